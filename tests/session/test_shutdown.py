"""The end of a session: the board is left as it was found if it lets us, and always in time."""

from __future__ import annotations

import asyncio
import time

import pytest

from bela_module.session.shutdown import Shutdown
from bela_module.simulator.network.board_server import ChannelChoice
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import WaitUntil, flow, left_on, lose, session_at
from tests.support.stopwatch import Stopwatch

# ---- in time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [True, False])
def test_what_does_not_end_soon_after_close_is_cancelled(ends: bool) -> None:
    async def serve(asked: asyncio.Event) -> str:
        await asked.wait()
        await asyncio.sleep(0.01 if ends else 3600)
        return "served"

    async def body() -> None:
        shutdown, asked = Shutdown(time.monotonic), asyncio.Event()

        def ask() -> None:
            shutdown.ask()
            asked.set()

        serving = asyncio.ensure_future(serve(asked))
        asyncio.get_running_loop().call_later(0.01, ask)
        await shutdown.wait_for_task(serving, lambda: True)  # type: ignore[arg-type]
        assert serving.cancelled() is not ends
        assert not ends or serving.result() == "served"
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(body())


def test_a_connection_that_ends_by_itself_is_not_waited_for() -> None:
    async def body() -> None:
        serving = asyncio.ensure_future(asyncio.sleep(0.01, "served"))
        await Shutdown(time.monotonic).wait_for_task(serving, lambda: True)  # type: ignore[arg-type]
        assert serving.result() == "served"

    asyncio.run(body())


def test_close_cleans_a_board_that_has_just_been_lost(
    board: ObservedBoard, wait_until: WaitUntil
) -> None:
    with session_at(board.port) as one:
        one.start("a")
        one.set(b=2)
        flow(one, wait_until)
        lose(board, one, wait_until)
        board.refuse_connections(False)
        watch = Stopwatch()
    assert watch.passed_s < 3.0
    assert left_on(board) == ([], {}, {})


@pytest.mark.parametrize(("socket", "after_s"), [("both", 0.0), ("control", 1.2), ("data", 0.0)])
def test_close_ends_in_five_seconds_when_the_board_says_nothing(
    socket: ChannelChoice, after_s: float, board: ObservedBoard, wait_until: WaitUntil
) -> None:
    with session_at(board.port, board={"reply_timeout_s": 2.0}) as one:
        one.start("a")
        flow(one, wait_until)
        board.go_silent(True, socket=socket)
        time.sleep(after_s)
        watch = Stopwatch()
    assert watch.passed_s < 5.0
    assert one.sink.closed == 1


def test_what_could_not_be_ended_is_told(board: ObservedBoard, wait_until: WaitUntil) -> None:
    with session_at(board.port, board={"reply_timeout_s": 1.0}) as one:
        one.start("a")
        one.set(b=2)
        flow(one, wait_until)
        lose(board, one, wait_until)
        one.session.close()
        told = [text for text in one.session.status()["shortfalls"] if "left clean (a, b)" in text]
        assert len(told) == 1


def test_no_step_takes_less_than_no_time(
    board: ObservedBoard, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bela_module.session.shutdown.SHUTDOWN_S", -1.0)
    with session_at(board.port) as one:
        one.start("a")
        flow(one, wait_until)
        lose(board, one, wait_until)
        one.session.close()
        told = [text for text in one.session.status()["shortfalls"] if "left clean" in text]
    assert told == ["the board could not be left clean (a): no time was left for it"]


def test_when_there_is_nothing_to_leave_clean_nothing_is_waited_for() -> None:
    async def body() -> None:
        shutdown = Shutdown(time.monotonic)
        serving = asyncio.ensure_future(asyncio.sleep(3600))
        shutdown.ask()
        await shutdown.wait_for_task(serving, lambda: False)
        assert serving.cancelled()

    asyncio.run(body())
