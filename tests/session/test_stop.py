"""STOP in every state of the connection: the account is right, and the board is left clean."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from bela_module.errors import BelaError
from bela_module.requests import ScheduleRequest, StartRequest, make_request
from bela_module.simulator.faults.timed_faults import Pause
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.accounts import Ledger, stated_s
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    answer,
    flow,
    left_on,
    lose,
    stream_and_lose,
)
from tests.support.stopwatch import Stopwatch


def test_a_stop_shows_as_state_until_it_is_answered(board: ObservedBoard, one: Running) -> None:
    one.start("a")
    states = []
    board.with_next("unwatch", lambda: states.append(one.state))
    assert one.stop() == "stopped"
    assert [*states, one.state] == ["stopping", "idle"]


def stop_while_it_comes_back(
    board: ObservedBoard, one: Running, wait_until: WaitUntil, part: Callable[[], None]
) -> None:
    one.start("a")
    flow(one, wait_until)
    part()
    assert one.stop() == "stopped"
    assert left_on(board) == ([], {}, {})
    (account,) = Ledger(board, one.sink).accounts(one.streams, worst_s=stated_s(one.sink))
    account.check()


def test_a_board_that_is_back_at_once_is_stopped_with_its_true_end(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    stop_while_it_comes_back(board, one, wait_until, board.disconnect)
    assert one.sink.events[-1] == "stopped"


def test_a_board_that_is_back_soon_is_stopped_with_its_true_end(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    def part() -> None:
        lose(board, one, wait_until)
        board.call_later(0.1, lambda: board.refuse_connections(False))

    stop_while_it_comes_back(board, one, wait_until, part)


def test_a_board_that_is_lost_twice_is_stopped_without(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    stopped = one.session.stop()
    for _ in range(40):
        board.disconnect()
        time.sleep(0.05)
    assert stopped.result(5).startswith("stopped")
    wait_until(lambda: left_on(board) == ([], {}, {}), "a clean board")
    assert one.sink.events.count("stopped") == 1


def test_stop_without_a_board_tidies_up_when_it_comes_back(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    one.monitor(variables="b", periods=1000)
    flow(one, wait_until)
    lose(board, one, wait_until)
    assert one.stop() == "stopped; the board is not connected"
    assert board.watched_names() == ["a"]
    board.refuse_connections(False)
    wait_until(lambda: left_on(board) == ([], {}, {}), "a clean board")
    wait_until(lambda: one.state == "idle", "idle")


def test_stop_does_not_wait_for_a_board_that_says_nothing(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    board.go_silent(True)
    watch = Stopwatch()
    assert one.stop() == "stopped; the board is not connected"
    assert watch.passed_s < 5.0
    board.go_silent(False)
    wait_until(lambda: board.watched_names() == [], "a clean board")


# ---- what else may be under way ----------------------------------------------------------------


def test_a_board_that_stands_still_can_be_stopped(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.list()
    board.inject(Pause(for_s=30.0))
    one.start("a", "b")
    watch = Stopwatch()
    assert one.stop() == "stopped"
    assert watch.passed_s < 1.5
    assert [stream["lost"] for stream in one.streams.values()] == [0, 0]


def test_two_that_stop_have_one_answer(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    stream_and_lose(board, one, wait_until)
    board.call_later(0.2, lambda: board.refuse_connections(False))
    answers = [one.session.stop(), one.session.stop(), one.session.stop()]
    assert {answer.result(10) for answer in answers} == {"stopped"}
    assert one.sink.events.count("stopped") == 1
    assert one.session.status()["shortfalls"] == []
    assert left_on(board) == ([], {}, {})


def test_a_start_after_the_stop_is_not_stopped(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    board.go_silent(True)
    stopped = one.session.stop()
    time.sleep(0.2)
    started = one.session.start(StartRequest(variables=("b",)))
    assert stopped.result(10) == "stopped; the board is not connected"
    board.go_silent(False)
    wait_until(lambda: one.samples("bela_b") > 0, "samples")
    assert started.result(10).startswith(("waiting", "streaming"))
    one.stop()


@pytest.mark.parametrize("away_s", [0.3, 0.45, 0.6, 0.75])
def test_a_stop_whose_patience_ends_while_the_board_is_taken_over(
    away_s: float, board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a", "b")
    one.monitor(variables="a", periods=1000)
    flow(one, wait_until)
    board.refuse_connections(True)
    board.restart()
    board.call_later(away_s, lambda: board.refuse_connections(False))
    assert one.stop().startswith("stopped")
    wait_until(lambda: one.state == "idle", "idle")
    wait_until(lambda: left_on(board) == ([], {}, {}), "a clean board")
    time.sleep(0.3)
    assert left_on(board) == ([], {}, {})
    assert one.stop() == "nothing was running"


# ---- what was still to come --------------------------------------------------------------------


def test_a_schedule_that_was_still_to_come_does_not_begin_without_us(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    words = one.schedule(variables="a", start_in_s=4.0, duration_s=30.0).split()
    lose(board, one, wait_until)
    assert one.stop() == "stopped; the board is not connected"
    assert "bela_a: the board was not there to cancel it" in one.session.status()["shortfalls"]
    board.refuse_connections(False)
    wait_until(lambda: board.tick_now() > int(words[3]) + 4410, "when it was to begin")
    assert board.watched_names() == []
    assert one.samples("bela_a") == 0


@pytest.mark.parametrize("closes", [False, True])
def test_a_start_that_was_just_asked_for_is_ended(
    closes: bool, board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    one.stop()  # clock and step are known
    board.with_next("watch", board.disconnect)
    answer(one.session.start(StartRequest(variables=("a",))))
    stopped, listed = one.session.stop(), one.session.list_variables()
    assert answer(stopped).startswith("stopped")
    answer(listed)
    if closes:
        one.session.close()
    begins_tick = board.tick_now() + 8820
    wait_until(lambda: board.tick_now() > begins_tick, "whatever was to begin")
    assert board.watched_names() == []


def test_start_right_after_stop_while_the_board_is_away_streams(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    stream_and_lose(board, one, wait_until)
    stopped = one.session.stop()
    started = one.session.start(StartRequest(variables=("a",)))
    assert answer(stopped) == "stopped; the board is not connected"
    assert answer(started).startswith("waiting for the board")
    before = one.samples("bela_a")
    board.refuse_connections(False)
    wait_until(lambda: one.samples("bela_a") > before, "samples")
    assert one.stop() == "stopped"


@pytest.mark.parametrize("name", ["a", "b"])
def test_start_right_after_a_stop_that_is_cut_streams(
    name: str, board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    board.with_next("unwatch", board.disconnect)
    stopped = one.session.stop()
    started = one.session.start(StartRequest(variables=(name,)))
    assert answer(stopped) == "stopped"
    assert answer(started).startswith(("streaming", "waiting for the board"))
    wait_until(lambda: one.sink.events.count("started") == 2, "the second start")
    flow(one, wait_until)
    assert one.state == "streaming"
    assert one.stop() == "stopped"


def test_nothing_is_left_of_a_stop_that_gave_up(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    stream_and_lose(board, one, wait_until)
    stopped = one.session.stop()
    scheduled = one.session.schedule(
        make_request(ScheduleRequest, {"variables": "b", "start_in_s": 3.0, "duration_s": 0.1})
    )
    assert answer(stopped) == "stopped; the board is not connected"
    assert answer(scheduled).startswith("waiting for the board")
    board.restart()
    board.refuse_connections(False)
    wait_until(lambda: "schedule_finished" in one.sink.events, "the end of the schedule")
    wait_until(lambda: one.state == "idle", "idle")


def test_stop_of_what_waits_is_over_at_once(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    board.refuse_connections(True)
    assert answer(one.session.start(StartRequest(variables=("a",)))).startswith("waiting")
    time.sleep(1.0)  # the next attempt is some tenths of a second away
    assert one.stop() == "stopped waiting"
    watch = Stopwatch()
    wait_until(lambda: one.state == "idle", "idle")
    assert watch.passed_s < 0.3


def test_who_stops_has_an_answer_when_the_session_closes(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    stream_and_lose(board, one, wait_until)
    stopped = one.session.stop()
    one.session.close()
    # Whichever was first has ended it.
    assert answer(stopped) in ("stopped; the board is not connected", "nothing was running")


def test_however_many_commands_wait_they_can_be_stopped(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    board.go_silent(True)
    asked = [one.session.list_variables() for _ in range(70)]
    assert one.stop() == "stopped; the board is not connected"
    assert all(isinstance(future.exception(10.0), BelaError) for future in asked)
