"""Watches of other clients, and those that are only left over: what comes of them tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bela_module.protocol.control_commands import watch_command
from bela_module.protocol.variables import ValueType
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.raw_client import raw_client
from tests.support.session_helpers import Running, WaitUntil, board_of, session_at, variable

TOUCH = SketchVariable("touch", ValueType.INT, ramp, sparse=True, copies=0)
"""It is assigned whenever buffer 0 is sent."""


def make_board() -> SimulatedBoard:
    return board_of(variable("fast"), TOUCH)


def touch(board: SimulatedBoard, one: Running, wait_until: WaitUntil) -> None:
    """Touch until it comes through, for the board may not have begun to stream it yet."""
    before = one.samples("bela_touch")
    while one.samples("bela_touch") == before:
        number = len(board.received_buffers) + 1  # the sketch takes each number once
        one.send(buffer_id=0, type="i", data=[number])
        wait_until(lambda n=number: len(board.received_buffers) == n, "received")
        time.sleep(0.2)


@contextmanager
def streamed_before(board: SimulatedBoard, wait_until: WaitUntil) -> Iterator[Running]:
    """Stream a variable whose watch then waits for its next value; go on with a new session."""
    with session_at(board.port) as one:
        one.start("touch")
        touch(board, one, wait_until)
        one.stop()
    assert board.watched_names() == ["touch"]
    with session_at(board.port) as one:
        yield one


def test_what_was_left_over_keeps_nobody_from_single_values(wait_until: WaitUntil) -> None:
    with make_board() as board, streamed_before(board, wait_until) as one:
        one.start("fast", "touch")
        touch(board, one, wait_until)
        assert one.streams["bela_touch"]["delivery"] == "single"
        [notice] = one.session.status()["notices"]
        assert notice == "touch: listed as watched, but nothing comes of it: left over, it seems"
        one.stop()


def test_what_seemed_left_over_and_comes_after_all_is_another_client_s(
    wait_until: WaitUntil,
) -> None:
    with make_board() as board, streamed_before(board, wait_until) as one:
        one.start("fast")
        wait_until(lambda: one.samples("bela_fast") > 0, "values")
        with raw_client(board.url) as other:  # it watches for good what was only left over
            other.list()
            other.tell(watch_command(["touch"]))
            for number in range(2, 1500):
                one.send(buffer_id=0, type="i", data=[number])
            words = "touch: watched by another client"
            wait_until(
                lambda: any(words in text for text in one.session.status()["notices"]), "told"
            )
        one.stop()


def test_another_client_is_heard(wait_until: WaitUntil) -> None:
    with make_board() as board, raw_client(board.url) as other:
        other.list()
        other.tell(watch_command(["fast"]))
        wait_until(lambda: board.watched_names() == ["fast"], "watched")
        with session_at(board.port) as one:
            one.start("touch")
            assert one.streams["bela_touch"]["delivery"] == "block"
            assert one.session.status()["notices"][0].startswith("fast: watched by another client")
            one.stop()


def test_beside_one_that_streams_all_that_is_watched_counts(wait_until: WaitUntil) -> None:
    with (
        make_board() as board,
        streamed_before(board, wait_until) as one,
        raw_client(board.url) as other,
    ):
        other.list()
        other.tell(watch_command(["fast"]))
        wait_until(lambda: "fast" in board.watched_names(), "watched")
        one.start("touch")
        assert one.streams["bela_touch"]["delivery"] == "block"
        one.stop()


def test_a_schedule_that_begins_soon_waits_for_nothing(wait_until: WaitUntil) -> None:
    with make_board() as board, streamed_before(board, wait_until) as one:
        one.schedule(variables=["fast"], start_in_s=0.2, duration_s=0.2)
        assert one.session.status()["notices"][0].startswith("touch: watched by another client")
        wait_until(lambda: "schedule_finished" in one.sink.events, "the end")


def test_a_schedule_that_begins_later_finds_out(wait_until: WaitUntil) -> None:
    with make_board() as board, streamed_before(board, wait_until) as one:
        one.schedule(variables=["fast"], start_in_s=2.5, duration_s=0.2)
        assert one.session.status()["notices"][0].startswith("touch: listed as watched")
        wait_until(lambda: "schedule_finished" in one.sink.events, "the end")
