"""A replayed board sends what was recorded, and its ticks and times are of one piece."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bela_module.connection.capture_file import read_capture
from bela_module.errors import CaptureError, RequestError
from bela_module.protocol.control_commands import monitor_command, unwatch_command, watch_command
from bela_module.simulator.replay.replayed_board import ReplayedBoard
from tests.support.raw_client import RawClient, raw_client

CapturePath = Callable[[str], Path]
WaitUntil = Callable[..., None]


class SteppedClock:
    """Real time that a test can also set forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


def recorded_data(path: Path) -> list[bytes]:
    return [
        m.message
        for m in read_capture(path)
        if m.channel == "data" and m.from_board and isinstance(m.message, bytes)
    ]


def receive(client: RawClient, count: int) -> list[bytes]:
    received = [client.data.recv(timeout=20) for _ in range(count)]
    return [message for message in received if isinstance(message, bytes)]


@pytest.mark.parametrize("name", ["alltypes", "manyvars", "potentiometers", "overflow"])
def test_the_recorded_data_is_sent_byte_for_byte(name: str, capture_path: CapturePath) -> None:
    path = capture_path(name)
    expected = recorded_data(path)
    with ReplayedBoard(path, speed=10.0) as board, raw_client(board.url) as client:
        variable = client.list().variables[0]
        client.tell(watch_command([variable.name]))
        assert receive(client, len(expected)) == expected
        assert board.finished.wait(20)


def test_a_capture_of_monitors_alone_starts_with_a_monitor(capture_path: CapturePath) -> None:
    path = capture_path("monitor-alltypes")
    expected = recorded_data(path)
    with ReplayedBoard(path, speed=5.0) as board, raw_client(board.url) as client:
        client.tell(monitor_command(["dc"], [4410]))
        assert client.list().variables[0].monitor_period_ticks == 4410
        assert receive(client, len(expected)) == expected
        assert board.finished.wait(20)
        assert client.list().variables[0].monitor_period_ticks == 0


def test_flags_follow_what_the_client_does(capture_path: CapturePath) -> None:
    with ReplayedBoard(capture_path("alltypes")) as board, raw_client(board.url) as client:
        assert not any(v.watched for v in client.list().variables)
        client.tell(monitor_command(["dd"], [10]))
        client.tell(watch_command(["dd", "nothing"]))
        client.block()
        assert [v.name for v in client.list().variables if v.watched] == ["dd"]
        assert board.watched_names() == ["dd"]
        client.tell(unwatch_command(["dd"]))
        assert not any(v.watched for v in client.list().variables)
        assert board.finished.is_set()
        client.tell(watch_command(["dd"]))
        assert not any(v.watched for v in client.list().variables)


def test_no_block_is_ahead_of_the_ticks(capture_path: CapturePath) -> None:
    with ReplayedBoard(capture_path("bela-test")) as board, raw_client(board.url) as client:
        listed = client.list()
        client.tell(watch_command(["myvar", "myvar5"]))
        assert listed.tick < client.block().tick
        for _ in range(60):
            block = client.block()
            if block.variable.index == 0:
                # It was full before it was sent, and its values are their ticks.
                assert block.values[-1] <= board.tick_now()
        assert board.true_tick_rate_hz == pytest.approx(44100, rel=0.01)


def test_ticks_stand_still_for_a_client_that_watches_late(capture_path: CapturePath) -> None:
    clock = SteppedClock()
    with (
        ReplayedBoard(capture_path("alltypes"), clock=clock) as board,
        raw_client(board.url) as client,
    ):
        clock.ahead_s = 60.0
        waiting = [client.list().tick, client.list().tick]
        assert waiting[0] == waiting[1]
        client.tell(watch_command(["dd"]))
        block = client.block()
        assert (block.tick, block.variable.name) == (26320, "dd")
        assert waiting[1] < 26320 < board.tick_now()


def test_ticks_run_before_a_client_watches(
    capture_path: CapturePath, wait_until: WaitUntil
) -> None:
    with ReplayedBoard(capture_path("alltypes")) as board, raw_client(board.url) as client:
        first = client.list().tick
        assert first < 26320
        wait_until(lambda: board.tick_now() > first)


def test_other_messages_are_ignored(capture_path: CapturePath) -> None:
    with ReplayedBoard(capture_path("alltypes")) as board, raw_client(board.url) as client:
        for text in ("nonsense", "[]", '{"watcher":[5,{"cmd":"log","watchers":["dd"]}]}'):
            client.control.send(text)
        client.data.send(b"a buffer")
        assert client.list().variables[0].name == "dc"
        assert not board.finished.is_set()


@pytest.mark.parametrize("name", ["log", "control"])
def test_a_capture_without_data_cannot_be_replayed(name: str, capture_path: CapturePath) -> None:
    path = capture_path(name)
    with pytest.raises(CaptureError, match="no data"):
        ReplayedBoard(path)


def test_a_speed_that_is_none_is_refused(capture_path: CapturePath) -> None:
    with pytest.raises(RequestError, match="above 0"):
        ReplayedBoard(capture_path("alltypes"), speed=0)
