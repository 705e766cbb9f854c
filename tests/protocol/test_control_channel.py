"""The control channel: what boards reply."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.connection.capture_file import read_capture
from bela_module.errors import FrameError
from bela_module.protocol.control_channel import (
    ConnectionEvent,
    LogReply,
    OtherMessage,
    VariableList,
    parse_control_message,
)
from bela_module.protocol.variables import ValueType, Variable
from bela_module.simulator import board_json

ENTRY: dict[str, Any] = {
    "controlled": False,
    "logFileName": "",
    "logged": False,
    "monitor": 0,
    "name": "myvar",
    "timestampMode": 0,
    "type": "d",
    "value": 27071,
    "valueInput": 27071,
    "watched": False,
}


def listing(entry: dict[str, Any] | None = None, **changed: Any) -> str:
    watcher = {"sampleRate": 44100, "timestamp": 27071, "watchers": [{**ENTRY, **(entry or {})}]}
    return json.dumps({"watcher": {**watcher, **changed}})


def read_list(text: str | bytes) -> VariableList:
    reply = parse_control_message(text)
    assert isinstance(reply, VariableList)
    return reply


# ---- replies -----------------------------------------------------------------------------------


def test_a_reply_to_list_as_the_board_writes_it() -> None:
    # The text is a board's, byte by byte.
    reply = read_list(
        '{"watcher":{"sampleRate":44100,"timestamp":27071,"watchers":[{"controlled":false,'
        '"logFileName":"","logged":false,"monitor":0,"name":"myvar","timestampMode":0,'
        '"type":"d","value":27071,"valueInput":27071,"watched":false},{"controlled":true,'
        '"logFileName":"touch.bin","logged":true,"monitor":1000,"name":"touch",'
        '"timestampMode":1,"type":"j","value":4,"valueInput":3000000000,"watched":true}]}}'
    )
    assert (reply.sample_rate_hz, reply.tick, reply.tick_granularity) == (44100.0, 27071, 1)
    assert reply.variables == (
        Variable(0, "myvar", ValueType.DOUBLE, value=27071.0, value_input=27071.0),
        Variable(
            1,
            "touch",
            ValueType.UNSIGNED_INT,
            sparse=True,
            value=4.0,
            value_input=3e9,
            watched=True,
            controlled=True,
            logged=True,
            monitor_period_ticks=1000,
            log_file_name="touch.bin",
        ),
    )


def test_text_and_bytes_are_read_alike() -> None:
    assert read_list(listing().encode()) == read_list(listing())


def test_integers_may_come_as_floats() -> None:
    entry = {"timestampMode": 1.0, "monitor": 1000.0, "watched": 1, "controlled": 0.0}
    reply = read_list(listing(entry, timestamp=27071.0, sampleRate=44100.5))
    (variable,) = reply.variables
    assert isinstance(reply.tick, int)
    assert reply.tick == 27071
    assert reply.sample_rate_hz == 44100.5
    assert variable.sparse is True
    assert variable.monitor_period_ticks == 1000
    assert variable.watched is True
    assert variable.controlled is False


@pytest.mark.parametrize(
    ("text", "tick", "granularity"),
    [
        ("0", 0, 1),
        ("9007199254740993", 9007199254740993, 10),
        ("999999999999999", 999999999999999, 1),
        ("1e+15", 10**15, 10),
        ("1.00000000002642e+15", 1000000000026420, 10),
        ("9.99999999999999e+15", 9999999999999990, 10),
        ("1.23456789012345e+16", 12345678901234500, 100),
        ("1.23456789012345e+18", int(1.23456789012345e18), 10_000),
    ],
)
def test_large_ticks_say_how_coarse_they_are(text: str, tick: int, granularity: int) -> None:
    reply = read_list(f'{{"watcher":{{"sampleRate":1,"timestamp":{text},"watchers":[]}}}}')
    assert (reply.tick, reply.tick_granularity) == (tick, granularity)


@given(st.integers(0, 2**63 - 1025))
def test_the_granularity_covers_what_fifteen_digits_lose(tick: int) -> None:
    reply = read_list(board_json.list_reply(44100.0, tick, []))
    assert abs(reply.tick - tick) < reply.tick_granularity


def test_null_is_a_value_that_is_not_finite() -> None:
    (variable,) = read_list(listing({"value": None, "valueInput": None})).variables
    assert math.isnan(variable.value)
    assert math.isnan(variable.value_input)


def test_fields_of_newer_and_older_versions_may_be_more_or_fewer() -> None:
    entry = {key: ENTRY[key] for key in ("name", "type", "timestampMode", "value")}
    text = json.dumps(
        {
            "watcher": {
                "sampleRate": 1,
                "timestamp": 2,
                "watchers": [{**entry, "new": [1]}],
                "new": {},
            },
            "new": 1,
        }
    )
    (variable,) = read_list(text).variables
    assert math.isnan(variable.value_input)
    assert (variable.watched, variable.controlled, variable.logged) == (False, False, False)
    assert variable.monitor_period_ticks == 0


@pytest.mark.parametrize("name", ["", 'a/b "q" \\ \u00e9', "\u540d", "(anon)", "name~1", "'"])
def test_odd_names_are_names(name: str) -> None:
    assert read_list(listing({"name": name})).variables[0].name == name


def test_ids_are_positions_also_when_names_repeat() -> None:
    text = json.dumps(
        {"watcher": {"sampleRate": 1, "timestamp": 2, "watchers": [ENTRY, ENTRY, ENTRY]}}
    )
    assert [variable.index for variable in read_list(text).variables] == [0, 1, 2]


def test_a_reply_to_log_as_the_board_writes_it() -> None:
    reply = parse_control_message(
        '{"watcher":{"logFileName":"myvar.bin","timestamp":26752,'
        '"timestampEnd":1.84467440737096e+19,"watcher":"myvar"}}'
    )
    assert reply == LogReply("myvar", "myvar.bin", 26752.0, 1.84467440737096e19)


def test_the_connection_event_names_the_project() -> None:
    event = parse_control_message('{"event":"connection","projectName":"potentiometers"}')
    assert event == ConnectionEvent("potentiometers")


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "1", "null", '"text"', '{"event":"x"}', '{"watcher":[]}', '{"watcher":{}}'],
)
def test_other_messages_are_let_through(text: str) -> None:
    assert parse_control_message(text) == OtherMessage(text)


def test_other_messages_are_not_kept_whole() -> None:
    message = parse_control_message('{"x":"' + "y" * 100_000 + '"}')
    assert isinstance(message, OtherMessage)
    assert len(message.text) < 1000


_BROKEN_ENTRIES: list[tuple[dict[str, Any], str]] = [
    ({"type": "q"}, "type 'q'.*known are c, j, i, f, d"),
    ({"type": None}, "type None"),
    ({"name": 5}, "'name' is 5"),
    ({"name": None}, "'name' is None"),
    ({"timestampMode": 0.5}, "'timestampMode' is 0.5"),
    ({"timestampMode": None}, "'timestampMode' is None"),
    ({"timestampMode": True}, "'timestampMode' is True"),
    ({"value": "1"}, "'value' is '1'"),
    ({"value": True}, "'value' is True"),
    ({"value": 10**400}, "'value' is too large"),
    ({"valueInput": []}, r"'valueInput' is \[\]"),
    ({"watched": "yes"}, "'watched' is 'yes'"),
    ({"controlled": None}, "'controlled' is None"),
    ({"logged": {}}, "'logged' is {}"),
    ({"monitor": "0"}, "'monitor' is '0'"),
]

_BROKEN_LISTS: list[tuple[dict[str, Any], str]] = [
    ({"sampleRate": 0}, "'sampleRate' of 0"),
    ({"sampleRate": -1}, "'sampleRate' of -1"),
    ({"sampleRate": None}, "'sampleRate' of nan"),
    ({"sampleRate": "44100"}, "'sampleRate' is '44100'"),
    ({"timestamp": -1}, "'timestamp' of -1"),
    ({"timestamp": 2**63}, "'timestamp' of 9223372036854775808"),
    ({"timestamp": 1.5}, "'timestamp' is 1.5"),
    ({"timestamp": None}, "'timestamp' is None"),
    ({"watchers": {}}, "dict for its 'watchers'"),
    ({"watchers": None}, "NoneType for its 'watchers'"),
    ({"watchers": [ENTRY, 5]}, "variable 1 .* is 5"),
    ({"watchers": [ENTRY] * 2001}, "has 2001 variables; 2000 are possible"),
]


@pytest.mark.parametrize(
    ("text", "match"),
    [(listing(entry), match) for entry, match in _BROKEN_ENTRIES]
    + [(listing(**changed), match) for changed, match in _BROKEN_LISTS],
    ids=lambda value: value if " " in value and not value.startswith("{") else "",
)
def test_a_broken_reply_is_refused_and_the_field_named(text: str, match: str) -> None:
    with pytest.raises(FrameError, match=match):
        parse_control_message(text)


@pytest.mark.parametrize("key", ["name", "type", "timestampMode", "value"])
def test_a_field_that_is_needed_is_missed(key: str) -> None:
    entry = {k: v for k, v in ENTRY.items() if k != key}
    with pytest.raises(FrameError, match=key):
        parse_control_message(
            json.dumps({"watcher": {"sampleRate": 1, "timestamp": 2, "watchers": [entry]}})
        )


@pytest.mark.parametrize("key", ["sampleRate", "timestamp"])
def test_a_field_of_the_list_itself_is_missed(key: str) -> None:
    watcher = {"sampleRate": 1, "timestamp": 2, "watchers": []}
    del watcher[key]
    with pytest.raises(FrameError, match=key):
        parse_control_message(json.dumps({"watcher": watcher}))


@pytest.mark.parametrize("key", ["watcher", "timestamp", "timestampEnd"])
def test_a_field_of_a_log_reply_is_missed(key: str) -> None:
    watcher = {"logFileName": "a.bin", "timestamp": 1, "timestampEnd": 2, "watcher": "a"}
    del watcher[key]
    with pytest.raises(FrameError, match=key):
        parse_control_message(json.dumps({"watcher": watcher}))


def test_a_connection_event_without_its_project_is_refused() -> None:
    with pytest.raises(FrameError, match="projectName"):
        parse_control_message('{"event":"connection"}')


@pytest.mark.parametrize(
    "message",
    ["", "{", "nothing", b"\xff\xfe", b"{}\0", listing() + "x", "[" * 100_000, "1" * 5000],
    ids=["empty", "cut", "word", "bytes", "NUL", "trailing", "deep", "long number"],
)
def test_what_is_not_json_is_refused_in_few_words(message: str | bytes) -> None:
    with pytest.raises(FrameError, match="not JSON") as caught:
        parse_control_message(message)
    assert len(str(caught.value)) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
almost_replies = st.builds(
    lambda entry, changed: listing(entry, **changed),
    st.dictionaries(st.sampled_from(sorted(ENTRY)), json_values, max_size=3),
    st.dictionaries(st.sampled_from(["sampleRate", "timestamp", "watchers"]), json_values),
)
almost_others = st.builds(
    json.dumps,
    st.dictionaries(st.sampled_from(["event", "watcher", "projectName"]), json_values),
)


@given(st.text() | st.binary() | almost_replies | almost_others)
def test_anything_is_a_message_or_a_frame_error(message: str | bytes) -> None:
    try:
        parsed = parse_control_message(message)
    except FrameError:
        return
    assert isinstance(parsed, ConnectionEvent | VariableList | LogReply | OtherMessage)


few_digits = st.integers(-(10**9), 10**9).map(lambda n: n / 64)
described = st.builds(
    Variable,
    index=st.just(0),
    name=st.text(st.characters(max_codepoint=0xD7FF), max_size=20),
    value_type=st.sampled_from(ValueType),
    sparse=st.booleans(),
    value=few_digits,
    value_input=few_digits,
    watched=st.booleans(),
    controlled=st.booleans(),
    logged=st.booleans(),
    monitor_period_ticks=st.integers(0, 2**31 - 1),
    log_file_name=st.text(st.characters(max_codepoint=127), max_size=20),
)


@given(described, st.integers(0, 10**15 - 1), st.sampled_from([44100.0, 22050.0, 2756.25]))
def test_what_the_board_describes_is_what_is_read(
    variable: Variable, tick: int, rate_hz: float
) -> None:
    reply = read_list(board_json.list_reply(rate_hz, tick, [variable]))
    assert (reply.tick, reply.sample_rate_hz, reply.tick_granularity) == (tick, rate_hz, 1)
    assert reply.variables == (variable,)


@pytest.mark.parametrize(
    ("name", "events", "lists", "logs"),
    [
        ("control", 1, 6, 0),
        ("log", 1, 4, 5),
        ("manyvars", 1, 2, 0),
        ("reconnect", 2, 3, 0),
        ("two-clients-a", 2, 2, 0),
    ],
)
def test_control_messages_of_captures(
    name: str, events: int, lists: int, logs: int, capture_path: Callable[[str], Path]
) -> None:
    kinds = [
        type(parse_control_message(message.message))
        for message in read_capture(capture_path(name))
        if message.from_board and message.channel == "control"
    ]
    assert kinds.count(ConnectionEvent) == events
    assert kinds.count(VariableList) == lists
    assert kinds.count(LogReply) == logs
    assert len(kinds) == events + lists + logs


def test_odd_and_many_names_of_a_capture(capture_path: Callable[[str], Path]) -> None:
    replies = [
        parse_control_message(message.message)
        for message in read_capture(capture_path("manyvars"))
        if message.from_board and message.channel == "control"
    ]
    variables = next(reply for reply in replies if isinstance(reply, VariableList)).variables
    names = [variable.name for variable in variables]
    assert len(names) == 124
    assert 'a/b "q" \\ \u00e9' in names
    assert "" in names
    assert len(set(names)) < len(names)


def test_texts_of_the_board_are_cut_and_errors_are_short() -> None:
    long = "x" * 1_000_000
    event = parse_control_message(json.dumps({"event": "connection", "projectName": long}))
    assert isinstance(event, ConnectionEvent)
    assert event.project == long[:200]
    entry = {"name": long, "type": "f", "timestampMode": 0, "value": 0, "logFileName": long}
    reply: dict[str, Any] = {"sampleRate": 44100, "timestamp": 1, "watchers": [entry]}
    listed = parse_control_message(json.dumps({"watcher": reply}))
    assert isinstance(listed, VariableList)
    assert listed.variables[0].name == listed.variables[0].log_file_name == long[:15_000]
    logged = {"watcher": long, "logFileName": long, "timestamp": 1, "timestampEnd": 2}
    log = parse_control_message(json.dumps({"watcher": logged}))
    assert isinstance(log, LogReply)
    assert (len(log.name), len(log.file_name)) == (15_000, 15_000)
    for wrong in ({"type": long}, {"name": [long]}, {"value": long}, {"timestampMode": long},
                  {"watched": long}):  # fmt: skip
        reply["watchers"] = [entry | wrong]
        with pytest.raises(FrameError) as caught:
            parse_control_message(json.dumps({"watcher": reply}))
        assert len(str(caught.value)) < 300
    reply["watchers"] = [long]
    with pytest.raises(FrameError) as caught:
        parse_control_message(json.dumps({"watcher": reply}))
    assert len(str(caught.value)) < 300


def test_a_project_is_printable() -> None:
    text = json.dumps({"event": "connection", "projectName": "a\n\x1b[2J\ud800\u00e9"})
    assert parse_control_message(text) == ConnectionEvent("a??[2J?\u00e9")
