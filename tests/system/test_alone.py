"""A variable that is alone on its board: no other data tell that it is slow, and not the board."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from bela_module.protocol.variables import Ticks, ValueType
from bela_module.simulator.sketches.assignments import AssignmentPattern
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import (
    RATE_HZ,
    Running,
    WaitUntil,
    assert_times_are_true,
    board_of,
    flow,
    session_on,
    variable,
)

SLOW_STEP = 16_000


@dataclass(frozen=True)
class ChangingAssignments(AssignmentPattern):
    """Assignments at one step up to a tick, and at another from then on."""

    change_tick: int
    before: int
    after: int

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        n_before = self.change_tick // self.before
        ticks: Ticks = np.where(
            numbers < n_before,
            numbers * self.before,
            self.change_tick + (numbers - n_before) * self.after,
        )
        return ticks

    def first_at_or_after(self, tick: int) -> int:
        if tick <= self.change_tick - self.before:
            return -(-tick // self.before)
        n_before = self.change_tick // self.before
        return n_before + max(0, -(-(tick - self.change_tick) // self.after))


def changing(before: int, after: int, change_s: float) -> SketchVariable:
    change_tick = round(change_s * RATE_HZ) // before * before
    pattern = ChangingAssignments(change_tick, before, after)
    return SketchVariable("alone", ValueType.DOUBLE, ramp, assignments=pattern)


def texts(one: Running) -> str:
    status = one.session.status()
    return " / ".join([*status["notices"], *status["problems"], *status["shortfalls"]])


def check(one: Running) -> None:
    kept = one.sink["bela_alone"]
    np.testing.assert_array_equal(kept.values, kept.ticks)
    assert np.all(np.diff(kept.stamps_s) > 0)


def test_a_slow_one_comes_singly_from_the_start_on(wait_until: WaitUntil) -> None:
    with board_of(variable("alone", step=SLOW_STEP)) as board, session_on(board) as one:
        one.start()
        wait_until(lambda: one.samples("bela_alone") >= 6, "values")
        assert one.streams["bela_alone"]["delivery"] == "single"
        one.stop()
        check(one)
        [run] = board.written("alone")
        assert one.sink["bela_alone"].ticks.tolist() == list(
            range(run.first_tick, run.last_tick + 1, SLOW_STEP)
        )
        assert one.streams["bela_alone"]["lost"] == 0
        assert_times_are_true(board, one.sink, "bela_alone")
        assert "connecting again" not in texts(one)
        assert board.monitored() == {}


def test_one_that_is_silent_at_first_is_not_asked_for_every_value(wait_until: WaitUntil) -> None:
    first_tick = round(3 * RATE_HZ)
    with board_of(changing(first_tick, 1, 3.0)) as board, session_on(board) as one:
        one.start()
        asked = [text for text in board.control_messages if '"monitor"' in text]
        assert not any('"periods":[2]' in text for text in asked)
        wait_until(lambda: one.samples("bela_alone") > 20_000, "values")
        assert one.streams["bela_alone"]["delivery"] == "block"
        one.stop()
        check(one)
        asked = [text for text in board.control_messages if '"monitor"' in text]
        assert not any('"periods":[2]' in text for text in asked)
        assert one.streams["bela_alone"]["lost"] == 0


def test_one_that_becomes_slow_comes_singly(wait_until: WaitUntil) -> None:
    change_s = 3.0
    with board_of(changing(1, SLOW_STEP, change_s)) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until)
        wait_until(lambda: one.streams["bela_alone"]["delivery"] == "single", "single values")
        there = one.samples("bela_alone")
        wait_until(lambda: one.samples("bela_alone") >= there + 4, "values")
        one.stop()
        check(one)
        ticks = one.sink["bela_alone"].ticks
        singles = ticks[ticks > change_s * RATE_HZ]
        assert set(np.diff(singles)) == {SLOW_STEP}
        assert "connecting again" not in texts(one)


@pytest.mark.parametrize("step", [44_100 * 2])
def test_nothing_is_demanded_of_a_very_slow_one(step: int, wait_until: WaitUntil) -> None:
    with board_of(variable("alone", step=step)) as board, session_on(board) as one:
        one.start()
        begun_s = local_clock()
        while local_clock() < begun_s + 7.0:
            time.sleep(0.1)
            assert one.session.status()["problems"] == []
        wait_until(lambda: one.samples("bela_alone") >= 3, "values")
        one.stop()
        check(one)
        assert "connecting again" not in texts(one)
