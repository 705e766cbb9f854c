"""Requests: what macros send is accepted, everything else is refused with its words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bela_module.errors import RequestError
from bela_module.requests import (
    MAX_TICK,
    MonitorRequest,
    ReleaseRequest,
    Request,
    ScheduleRequest,
    SendRequest,
    SetRequest,
    StartRequest,
    VerboseRequest,
    make_request,
    parse_fields,
    saving_folder,
)

MODELS: dict[str, type[Request]] = {
    "START": StartRequest,
    "SCHEDULE": ScheduleRequest,
    "STOP": Request,
    "MONITOR": MonitorRequest,
    "SET": SetRequest,
    "RELEASE": ReleaseRequest,
    "SEND": SendRequest,
    "LIST": Request,
    "STATUS": Request,
    "VERBOSE": VerboseRequest,
}


def parse_request(pcomm: str, payload: str) -> Request:
    return make_request(MODELS[pcomm], parse_fields(payload))


ACCEPTED: list[tuple[str, str, Request]] = [
    ("START", "", StartRequest()),
    ("START", "  {} ", StartRequest()),
    ("START", '{"variables": null}', StartRequest()),
    ("START", '{"variables": "pot1"}', StartRequest(variables=("pot1",))),
    ("START", '{"saving_enabled": "True"}', StartRequest(saving_enabled=True)),
    ("START", '{"saving_enabled": 1}', StartRequest(saving_enabled=True)),
    ("START", '{"saving_enabled": "false"}', StartRequest(saving_enabled=False)),
    (
        "START",
        '{"saving_dir": "sub-01", "saving_filename": "run_1.txt"}',
        StartRequest(saving_dir="sub-01", saving_filename="run_1.txt"),
    ),
    (
        "SCHEDULE",
        '{"timestamps": "100", "durations": [5.0]}',
        ScheduleRequest(timestamps=(100,), durations=(5,)),
    ),
    (
        "SCHEDULE",
        '{"variables": ["a", "b"], "timestamps": ["1e3", 2], "durations": 7}',
        ScheduleRequest(variables=("a", "b"), timestamps=(1000, 2), durations=(7,)),
    ),
    (
        "SCHEDULE",
        f'{{"timestamps": {MAX_TICK}, "durations": 1}}',
        ScheduleRequest(timestamps=(MAX_TICK,), durations=(1,)),
    ),
    (
        "SCHEDULE",
        '{"start_in_s": "0.5", "duration_s": 2}',
        ScheduleRequest(start_in_s=0.5, duration_s=2.0),
    ),
    (
        "SCHEDULE",
        '{"start_lsl_s": 12.5, "duration_s": "3"}',
        ScheduleRequest(start_lsl_s=12.5, duration_s=3.0),
    ),
    ("MONITOR", "", MonitorRequest()),
    (
        "MONITOR",
        '{"variables": "t", "period_s": "0.1"}',
        MonitorRequest(variables=("t",), period_s=0.1),
    ),
    ("MONITOR", '{"periods": 100}', MonitorRequest(periods=(100,))),
    (
        "SET",
        '{"values": {"gain": "0.5", "mode": 2}}',
        SetRequest(values={"gain": 0.5, "mode": 2.0}),
    ),
    ("RELEASE", "", ReleaseRequest()),
    ("RELEASE", '{"variables": ["gain"]}', ReleaseRequest(variables=("gain",))),
    (
        "SEND",
        '{"buffer_id": "0", "type": "f", "data": "1.5"}',
        SendRequest(buffer_id=0, type="f", data=(1.5,)),
    ),
    (
        "SEND",
        '{"buffer_id": 4294967295, "type": "j", "data": [4294967295, 0]}',
        SendRequest(buffer_id=2**32 - 1, type="j", data=(4294967295.0, 0.0)),
    ),
    ("VERBOSE", "", VerboseRequest(on=True)),
    ("VERBOSE", '{"on": "0"}', VerboseRequest(on=False)),
    ("STOP", "{}", Request()),
    ("STATUS", " ", Request()),
]


@pytest.mark.parametrize(("pcomm", "payload", "request_"), ACCEPTED)
def test_accepted(pcomm: str, payload: str, request_: Request) -> None:
    parsed = parse_request(pcomm, payload)
    assert type(parsed) is type(request_)
    assert parsed == request_


REFUSED: list[tuple[str, str, str]] = [
    ("START", "{", "the payload '{' is no JSON: "),
    ("START", "[]", r"the payload '\[\]' is no JSON object like \{\}"),
    ("START", "3", "the payload '3' is no JSON object"),
    ("START", "[" * 60_000, "is no JSON: recursion limit exceeded"),
    ("START", '{"variable": "pot1"}', "variable: unknown key; did you mean variables"),
    ("START", '{"variables": []}', r"variables = .*: must have at least 1"),
    ("START", '{"variables": [""]}', "variables.0 = '': must be a name, not empty"),
    ("START", '{"variables": ["a", "a"]}', "must name each variable once"),
    ("START", '{"variables": 3}', "variables.0 = 3: must be a text"),
    ("START", '{"variables": {"a": 1}}', "variables: must be a list"),
    ("START", '{"saving_enabled": "perhaps"}', "saving_enabled = 'perhaps': must be true or false"),
    ("START", '{"saving_enabled": 2}', "saving_enabled = 2: must be true or false"),
    ("SCHEDULE", "", "either timestamps and durations .* are required, or duration_s, with"),
    ("SCHEDULE", '{"timestamps": 1}', "either timestamps and durations"),
    ("SCHEDULE", '{"timestamps": 1, "durations": 1, "duration_s": 1}', "either timestamps and"),
    ("SCHEDULE", '{"start_in_s": 1}', "duration_s is required with start_in_s or"),
    (
        "SCHEDULE",
        '{"start_in_s": 1, "start_lsl_s": 1, "duration_s": 1}',
        "exclude each other",
    ),
    ("SCHEDULE", '{"start_in_s": -1, "duration_s": 1}', "start_in_s = -1: must be greater than or"),
    ("SCHEDULE", '{"start_in_s": 1, "duration_s": 0}', "duration_s = 0: must be greater than 0"),
    ("SCHEDULE", '{"timestamps": -1, "durations": 1}', "timestamps.0 = -1: must be greater than"),
    ("SCHEDULE", '{"timestamps": 1, "durations": 0}', "durations.0 = 0: must be greater than or"),
    ("SCHEDULE", '{"timestamps": 1.5, "durations": 1}', "timestamps.0 = 1.5: must be a whole"),
    (
        "SCHEDULE",
        '{"timestamps": "soon", "durations": 1}',
        "timestamps.0 = 'soon': must be a whole",
    ),
    (
        "SCHEDULE",
        '{"timestamps": true, "durations": 1}',
        "timestamps.0 = True: must be a number, not",
    ),
    ("SCHEDULE", f'{{"timestamps": {MAX_TICK + 1}, "durations": 1}}', "must be less than or equal"),
    ("SCHEDULE", '{"timestamps": "inf", "durations": 1}', "timestamps.0 = inf: must be a finite"),
    (
        "SCHEDULE",
        '{"variables": ["a", "b"], "timestamps": [1, 2, 3], "durations": 1}',
        "timestamps must be one for all or one for each of 2 variables, not 3",
    ),
    (
        "SCHEDULE",
        '{"start_in_s": 1e308, "duration_s": 1}',
        r"start_in_s = 1e\+308: must be less than or equal to",
    ),
    (
        "SCHEDULE",
        '{"start_lsl_s": 1e308, "duration_s": 1}',
        r"start_lsl_s = 1e\+308: must be less than or equal to",
    ),
    ("MONITOR", '{"period_s": 1e300}', r"period_s = 1e\+300: must be less than or equal to"),
    ("MONITOR", '{"period_s": 1, "periods": 1}', "period_s and periods exclude each other"),
    ("MONITOR", '{"period_s": "fast"}', "period_s = 'fast': must be a number"),
    ("MONITOR", '{"periods": 0}', "periods.0 = 0: must be greater than or equal to 1"),
    ("MONITOR", '{"variables": "a", "periods": [1, 2]}', "periods must be one for all or one for"),
    ("SET", "", "values: is required and missing"),
    ("SET", '{"values": {}}', "values: must have at least 1"),
    ("SET", '{"values": [1]}', r"values = \[1\]: must be a table of keys and values"),
    ("SET", '{"values": {"a": "nan"}}', "values.a = 'nan': must be a finite number"),
    ("SET", '{"values": {"a": NaN}}', "is no JSON"),
    ("SET", '{"values": {"a": true}}', "values.a = True: must be a number, not a boolean"),
    ("SEND", '{"buffer_id": 0, "type": "f"}', "data: is required and missing"),
    ("SEND", '{"buffer_id": 0, "type": "f", "data": []}', r"data = .*: must have at least 1"),
    (
        "SEND",
        '{"buffer_id": 0, "type": "x", "data": 1}',
        "type = 'x': must be 'c', 'j', 'i', 'f' or",
    ),
    ("SEND", '{"buffer_id": -1, "type": "f", "data": 1}', "buffer_id = -1: must be greater than"),
    (
        "SEND",
        '{"buffer_id": 0, "type": "c", "data": 256}',
        "type c takes whole numbers from -128 to",
    ),
    (
        "SEND",
        '{"buffer_id": 0, "type": "i", "data": 0.5}',
        "data = 0.5: type i takes whole numbers",
    ),
    ("SEND", '{"buffer_id": 0, "type": "j", "data": -1}', "from 0 to 4294967295"),
    ("VERBOSE", '{"on": null}', "on = None: must be true or false"),
    ("STOP", '{"now": 1}', "now: unknown key; none is allowed here"),
    ("LIST", '{"now": 1}', "now: unknown key; none is allowed here"),
]


@pytest.mark.parametrize(("pcomm", "payload", "words"), REFUSED)
def test_refused(pcomm: str, payload: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        parse_request(pcomm, payload)
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "C:x",
        "a\0b",
        "a\nb",
        "x" * 201,
        "a*",
        "con",
        "NUL.txt",
        "lpt1",
    ],
)
def test_file_names_that_are_more_than_a_name(name: str) -> None:
    with pytest.raises(RequestError, match="saving_filename = .*: must be a "):
        parse_request("START", json.dumps({"saving_filename": name}))


@pytest.mark.parametrize("asked", ["a\nb", "x" * 1001])
def test_folders_that_are_none(asked: str) -> None:
    with pytest.raises(RequestError, match="saving_dir = .*: must be a folder inside"):
        parse_request("START", json.dumps({"saving_dir": asked}))


def test_recordings_stay_inside_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    root.mkdir()
    (root / "way_out").symlink_to(tmp_path)
    assert saving_folder(root, None) == root.resolve()
    assert saving_folder(root, "sub-01/ses-1") == root.resolve() / "sub-01" / "ses-1"
    assert saving_folder(root, str(root / "sub-01")) == root.resolve() / "sub-01"
    for outside in ("..", "a/../../b", str(tmp_path), "way_out/b"):
        with pytest.raises(RequestError, match="saving_dir = .*: must lie inside of"):
            saving_folder(root, outside)


def test_a_loop_of_links_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(RequestError, match="saving_dir = 'loop/a': no folder: "):
        saving_folder(tmp_path, "loop/a")


def test_ticks_are_spread_over_the_variables() -> None:
    both = ScheduleRequest(timestamps=(1, 2), durations=(3,))
    assert both.in_ticks
    assert both.ticks_for(["a", "b"]) == ((1, 3), (2, 3))
    with pytest.raises(RequestError, match="timestamps must be one for all or one for each of 3"):
        both.ticks_for(["a", "b", "c"])
    assert MonitorRequest(periods=(5,)).periods_for(["a", "b"]) == (5, 5)
    assert not ScheduleRequest(start_in_s=0, duration_s=1).in_ticks


def test_requests_are_frozen() -> None:
    request: Any = StartRequest()
    with pytest.raises(ValidationError):
        request.saving_enabled = True


def test_fields_and_requests_apart() -> None:
    fields = parse_fields('{"on": 0}')
    assert fields == {"on": 0}
    assert make_request(VerboseRequest, fields) == VerboseRequest(on=False)


def test_a_schedule_without_a_start_begins_at_once() -> None:
    request = make_request(ScheduleRequest, {"duration_s": 1})
    assert (request.start_in_s, request.start_lsl_s, request.in_ticks) == (None, None, False)


def test_start_takes_a_group_and_a_delay_of_at_most_a_year() -> None:
    request = make_request(StartRequest, {"group": "all", "start_in_s": "1", "exclusive": "True"})
    assert (request.group, request.start_in_s, request.exclusive) == ("all", 1.0, True)
    with pytest.raises(RequestError, match=r"start_in_s = 1e\+308: must be less than or equal to"):
        make_request(StartRequest, {"start_in_s": 1e308})
