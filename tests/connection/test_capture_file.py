"""Captures are read as they were written, and what is wrong with one is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.connection.capture_file import CapturedMessage, CaptureWriter, read_capture
from bela_module.errors import CaptureError

LINE = {"t": 0.5, "channel": "data", "dir": "in", "kind": "binary", "b64": "AQI="}

messages = st.builds(
    CapturedMessage,
    time_s=st.integers(0, 10**10).map(lambda micro: round(micro * 1e-6, 6)),
    channel=st.sampled_from(["control", "data"]),
    from_board=st.booleans(),
    message=st.binary() | st.text(st.characters(codec="utf-8")),
    connection=st.integers(1, 5),
)


@given(st.lists(messages), st.sampled_from(["c.jsonl", "c.jsonl.gz"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[CapturedMessage], name: str
) -> None:
    path = tmp_path_factory.mktemp("capture") / name
    with CaptureWriter(path) as writer:
        for message in written:
            writer.write(message)
    assert list(read_capture(path)) == written


def test_recorded_captures_are_read(capture_path: Callable[[str], Path]) -> None:
    first, second, *rest = read_capture(capture_path("alltypes"))
    assert first.message == '{"event":"connection","projectName":"alltypes"}'
    assert (first.channel, first.from_board, second.from_board) == ("control", True, False)
    assert {type(m.message) for m in rest if m.channel == "data"} == {bytes}


def test_connections_are_numbered(capture_path: Callable[[str], Path]) -> None:
    numbers = [message.connection for message in read_capture(capture_path("reconnect"))]
    assert sorted(set(numbers)) == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[" * 100_000,
        "5",
        json.dumps(LINE | {"b64": "not base64!"}),
        json.dumps(LINE | {"channel": "video"}),
        json.dumps(LINE | {"dir": "sideways"}),
        json.dumps(LINE | {"t": None}),
        json.dumps(LINE | {"t": float("nan")}),
        json.dumps({key: LINE[key] for key in LINE if key != "kind"}),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_text(json.dumps(LINE) + "\n\n" + line + "\n")
    with pytest.raises(CaptureError, match=r"line 3 of .*wrong\.jsonl"):
        list(read_capture(path))


def test_a_last_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE)[:20])
    assert [message.message for message in read_capture(path)] == [b"\x01\x02"]


def test_a_compressed_capture_that_was_cut_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress((json.dumps(LINE) + "\n").encode() * 5000)
    path.write_bytes(whole[: len(whole) // 2])
    assert 0 < len(list(read_capture(path))) < 5000


def test_what_was_flushed_survives_a_writer_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "open.jsonl.gz"
    message = CapturedMessage(0.0, "data", True, b"\x01\x02")
    with CaptureWriter(path) as writer:
        writer.write(message)
        writer.flush()
        assert list(read_capture(path)) == [message]


def test_a_missing_file_and_one_of_another_kind_are_errors(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot read"):
        list(read_capture(tmp_path / "missing.jsonl"))
    wrong = tmp_path / "wrong.jsonl.gz"
    wrong.write_bytes(b"this is not gzip")
    with pytest.raises(CaptureError, match="cannot read"):
        list(read_capture(wrong))


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "there.jsonl"
    path.write_text("precious")
    with pytest.raises(CaptureError, match="cannot create"):
        CaptureWriter(path)
    assert path.read_text() == "precious"


def test_writing_after_the_end_is_an_error(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c.jsonl")
    writer.close()
    writer.close()
    with pytest.raises(CaptureError, match="cannot write"):
        writer.write(CapturedMessage(0.0, "data", True, b""))
