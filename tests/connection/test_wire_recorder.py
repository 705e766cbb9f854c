"""A recording of the wire is the whole truth, or says that it is not; it never makes one wait."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bela_module.connection import wire_recorder
from bela_module.connection.capture_file import CapturedMessage, CaptureWriter, read_capture
from bela_module.connection.wire_recorder import WireTap
from bela_module.errors import CaptureError
from bela_module.session.session import Session
from bela_module.simulator.replay.replayed_board import ReplayedBoard
from bela_module.simulator.sketches.built_in import find_sketch
from bela_module.streams.lsl_clock import local_clock
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import (
    TIMEOUT_S,
    Recorder,
    Running,
    WaitUntil,
    session_at,
    settings_for,
    written_ticks,
)

MESSAGES: list[tuple[str, str, str | bytes]] = [
    ("control", "in", '{"event":"connection"}'),
    ("control", "out", "{}"),
    ("data", "in", b"0/f"),
    ("data", "out", bytes(range(256))),
]


@pytest.fixture(autouse=True)
def _logger_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the log, whatever configuration another test has imported."""
    monkeypatch.setattr(wire_recorder.logger, "disabled", False)


def clock() -> Callable[[], float]:
    ticks = itertools.count(1000)
    return lambda: float(next(ticks))


@pytest.mark.parametrize("name", ["wire.jsonl", "wire.jsonl.gz"])
def test_messages_are_written_as_they_were(name: str, tmp_path: Path) -> None:
    tap = WireTap(tmp_path / name, clock())
    for _ in range(2):
        tap.begin_connection()
        for message in MESSAGES:
            tap.record(*message)
    tap.close()
    tap.close()
    written = list(read_capture(tmp_path / name))
    assert [m.time_s for m in written] == list(range(1, 9))
    assert [m.connection for m in written] == [1] * 4 + [2] * 4
    directions = {True: "in", False: "out"}
    assert [(m.channel, directions[m.from_board], m.message) for m in written] == 2 * MESSAGES
    assert tap.dropped == 0


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    path.write_text("precious")
    with pytest.raises(CaptureError, match="cannot create the capture"):
        WireTap(path, clock())
    assert path.read_text() == "precious"


def test_a_slow_disk_makes_nobody_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    write = CaptureWriter.write

    def slow(self: CaptureWriter, message: CapturedMessage) -> None:
        assert go_on.wait(TIMEOUT_S)
        write(self, message)

    monkeypatch.setattr(CaptureWriter, "write", slow)
    monkeypatch.setattr(wire_recorder, "_MAX_WAITING", 10)
    tap = WireTap(tmp_path / "wire.jsonl", clock())
    began_s = time.monotonic()
    for _ in range(100):
        tap.record("data", "in", b"0/f")
    assert time.monotonic() - began_s < TIMEOUT_S / 2
    assert tap.dropped >= 89  # ten wait, and one may be in hand
    go_on.set()
    tap.close()
    assert len(list(read_capture(tmp_path / "wire.jsonl"))) == 100 - tap.dropped
    assert f"the capture lacks {tap.dropped} messages" in caplog.text


def test_a_full_disk_ends_the_recording_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_self: CaptureWriter, _message: CapturedMessage) -> None:
        raise CaptureError("no space left on the device")

    monkeypatch.setattr(CaptureWriter, "write", full)
    tap = WireTap(tmp_path / "wire.jsonl", clock())
    for _ in range(100):
        tap.record("data", "in", b"0/f")
    tap.close()
    assert "no space left on the device" in caplog.text
    assert tap.dropped > 0


@pytest.mark.parametrize("n_messages", [3, 100])
def test_a_disk_that_hangs_does_not_hold_up_the_end(
    n_messages: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wait_until: WaitUntil,
) -> None:
    works = threading.Event()
    write = CaptureWriter.write

    def hanging(self: CaptureWriter, message: CapturedMessage) -> None:
        assert works.wait(TIMEOUT_S)
        write(self, message)

    monkeypatch.setattr(CaptureWriter, "write", hanging)
    monkeypatch.setattr(wire_recorder, "_MAX_WAITING", 10)
    tap = WireTap(tmp_path / "wire.jsonl", clock())
    assert tap._thread.daemon
    for _ in range(n_messages):
        tap.record("data", "in", b"0/f")
    begun_s = time.monotonic()
    tap.close()
    assert time.monotonic() - begun_s < 2.0  # the limit is half a second
    assert "messages wait for the disk" in caplog.text
    works.set()
    wait_until(lambda: not tap._thread.is_alive(), "the end of the writing")
    assert len(list(read_capture(tmp_path / "wire.jsonl"))) == n_messages - tap.dropped


@pytest.mark.parametrize("method", ["write", "close"])
def test_whatever_ends_the_writing_is_said(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    close = CaptureWriter.close

    def failing(self: CaptureWriter, *_arguments: object) -> None:
        close(self)
        raise MemoryError("no memory")

    monkeypatch.setattr(CaptureWriter, method, failing)
    tap = WireTap(tmp_path / "wire.jsonl", clock())
    tap.record("data", "in", b"0/f")
    tap.close()
    assert "the capture failed: MemoryError: no memory" in caplog.text
    assert not tap._thread.is_alive()


def test_what_a_session_recorded_can_be_replayed(tmp_path: Path, wait_until: WaitUntil) -> None:
    path = tmp_path / "wire.jsonl.gz"
    tap = WireTap(path, local_clock)
    sink = Recorder()
    try:
        with (
            ObservedBoard(find_sketch("ramps")) as board,
            Session(
                settings_for(board.port), sink=sink.make, now=local_clock, recorder=tap
            ) as session,
        ):
            one = Running(session, sink)
            one.start("ramp_d", "ramp_i")
            wait_until(lambda: board.account("ramp_i").sent > 10_000, "blocks")
            one.stop()
            written = written_ticks(board, "ramp_d")
    finally:
        tap.close()
    wait_until(lambda: not tap._thread.is_alive(), "the end of the writing")
    assert tap.dropped == 0
    # The account ends at the tick that was asked for, of which a busy computer tells too late.
    ends = [
        command.timestamp_of("ramp_d") for command in board.commands if command.cmd == "unwatch"
    ]
    written = written[written <= max(end for end in ends if end is not None)]
    np.testing.assert_array_equal(sink["bela_ramp_d"].ticks, written)

    with ReplayedBoard(path, clock=local_clock) as replayed, session_at(replayed.port) as one:
        one.start("ramp_d", "ramp_i")
        assert replayed.finished.wait(TIMEOUT_S)
        one.stop()
        again = one.sink["bela_ramp_d"]
    np.testing.assert_array_equal(again.values, again.ticks)
    # Single values of the survey come before, and what the board wrote beyond the end after it.
    played = again.ticks[(again.ticks >= written[0]) & (again.ticks <= written[-1])]
    np.testing.assert_array_equal(played, written[: played.size])
    assert played.size > 5000
