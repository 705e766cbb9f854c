"""Streams begin at one tick, with nothing of earlier watches in them."""

from __future__ import annotations

import numpy as np

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    assert_times_are_true,
    board_of,
    session_at,
    written_ticks,
)
from tests.support.signal_cases import SKETCH, value_of


def assert_exactly(one: Running, name: str, first: int, last: int, step: int = 1) -> None:
    """Check that a stream has each value of a time, both its ends included, and no other."""
    kept = one.sink[f"bela_{name}"]
    np.testing.assert_array_equal(kept.ticks, np.arange(first, last + 1, step))
    np.testing.assert_array_equal(kept.values, value_of(name, kept.ticks))
    assert one.streams[f"bela_{name}"]["samples"] == kept.n_samples
    assert one.streams[f"bela_{name}"]["lost"] == 0


def test_a_stream_can_be_started_again_and_again(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    for _ in range(3):
        sent = board.account("ramp").sent
        one.start("ramp")
        wait_until(lambda before=sent: board.account("ramp").sent > before, "another block")
        one.stop()
    assert len(board.written("ramp")) == 3
    np.testing.assert_array_equal(one.sink["bela_ramp"].ticks, written_ticks(board, "ramp"))
    assert_times_are_true(board, one.sink, "bela_ramp")
    assert one.sink.events == ["started", "stopped"] * 3
    assert one.sink.gaps == []


def test_what_others_left_watched_does_not_get_into_a_stream(wait_until: WaitUntil) -> None:
    with board_of(*SKETCH) as board:
        board.inject_command('{"watcher":[{"cmd":"watch","watchers":["ramp","zero","touch"]}]}')
        wait_until(lambda: len(board.watched_names()) == 3, "three watched variables")
        with session_at(board.port) as one:
            others = lambda: one.session.status()["others"]["watched"]  # noqa: E731
            wait_until(lambda: others() == ["ramp", "zero", "touch"], "what others watch")
            one.start("ramp")
            wait_until(lambda: len(board.written("ramp")) == 2, "another stream")
            one.stop()
            last_run = board.written("ramp")[-1]
            assert_exactly(one, "ramp", last_run.first_tick, last_run.last_tick)
            assert board.watched_names() == ["zero", "touch"]
