"""Who writes never waits, and what is written is in order and readable in any encoding."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from bela_module.server.output.background_writer import BackgroundStream, BackgroundWriter


def test_what_is_put_is_written_in_order() -> None:
    written: list[bytes] = []

    def write(data: bytes) -> int:
        written.append(data[:3])
        return len(data[:3])

    writer = BackgroundWriter(write, "test")
    assert writer.put(b"abcdefg")
    assert writer.put(b"hi")
    assert writer.close(20)
    assert b"".join(written) == b"abcdefghi"


def test_who_writes_never_waits_and_what_is_too_much_is_dropped() -> None:
    gate = threading.Event()

    def write(data: bytes) -> int:
        gate.wait(20)
        return len(data)

    writer = BackgroundWriter(write, "test")
    accepted = [writer.put(b"x" * 100_000) for _ in range(20)]
    assert accepted == [True] * 10 + [False] * 10
    assert writer.n_waiting == 1_000_000
    assert not writer.wait(0.01)
    gate.set()
    assert writer.close(20)
    assert writer.n_waiting == 0


def test_an_error_ends_the_writing() -> None:
    def write(_data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = BackgroundWriter(write, "test")
    writer.put(b"x")
    assert not writer.wait(20)
    assert writer.error is not None
    assert not writer.put(b"x")
    assert not writer.close(20)


def test_a_descriptor_that_does_not_wait_is_tried_again() -> None:
    results: list[int | None] = [None, 1]
    writer = BackgroundWriter(lambda _data: results.pop(0), "test")
    writer.put(b"x")
    assert writer.close(20)
    assert results == []


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "a µ … 日".encode()),
        ("gbk", "a u … 日".encode("gbk")),
        ("ascii", rb"a u ... \u65e5"),
        ("utf-16", "a µ … 日".encode("utf-16")),
    ],
)
def test_any_encoding_is_readable(encoding: str, expected: bytes, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as raw:
        stream = BackgroundStream(raw, encoding, is_strict=True, name="test")
        for part in ("a µ", " … 日"):
            stream.write(part)
        stream.flush()
        assert stream.finish(20)
        assert not stream.isatty()
        assert stream.fileno() == raw.fileno()
    assert (tmp_path / "out").read_bytes() == expected
