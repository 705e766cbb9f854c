"""The count of values at each tick, against variables of the simulated Watcher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.protocol.data_channel import Block, decode_payload
from bela_module.protocol.variables import ValueType, Variable
from bela_module.simulator.sketches.assignments import (
    AssignmentPattern,
    Assignments,
    GatedAssignments,
    RepeatedAssignments,
)
from bela_module.simulator.sketches.signals import Signal
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.watcher.simulated_variable import SimulatedVariable
from bela_module.tracking.value_count import ValueCount

RATE_HZ = 44_100.0


def never_zero(ticks: np.ndarray, _times_s: np.ndarray) -> np.ndarray:
    return 1.0 + ticks % 100


def zero(ticks: np.ndarray, _times_s: np.ndarray) -> np.ndarray:
    return np.zeros(ticks.size)


@dataclass
class Watched:
    """A variable that is watched as long as the count asks for, and then on to a tick."""

    pattern: AssignmentPattern
    signal: Signal = never_zero
    value_type: ValueType = ValueType.DOUBLE

    def count(self, spacing: int, *, now: int = 1000, lasts: int | None = None) -> ValueCount:
        made = Variable(0, "x", self.value_type)
        count = ValueCount(made, spacing, RATE_HZ)
        for block in self.blocks(made, count, now, lasts):
            count.add(block)
        return count

    def blocks(self, made: Variable, count: ValueCount, now: int, lasts: int | None) -> list[Block]:
        spec = SketchVariable("x", self.value_type, self.signal, assignments=self.pattern)
        board = SimulatedVariable(0, spec, lambda ticks: ticks / RATE_HZ, client_active=True)
        board.skip(now)
        command = count.command
        assert (command["cmd"], command["watchers"]) == ("watch", ["x"])
        board.start(board.watch, command["timestamps"][0], command["durations"][0], now)
        sent = board.advance(now + (lasts or 3 * count.length_ticks))
        return [decode_payload(made, payload.data) for payload in sent]


@given(
    spacing=st.integers(1, 2000),
    phase=st.integers(0, 2000),
    times=st.integers(1, 9),
    kind=st.sampled_from(list(ValueType)),
)
def test_however_many_values_each_tick_has(
    spacing: int, phase: int, times: int, kind: ValueType
) -> None:
    pattern = RepeatedAssignments(times, Assignments(spacing, phase % spacing))
    count = Watched(pattern, value_type=kind).count(spacing)
    assert count.done
    assert count.step_ticks == spacing / times
    assert isinstance(count.step_ticks, int) is (spacing % times == 0)


def test_sixteen_values_for_each_audio_block() -> None:
    count = Watched(RepeatedAssignments(16, Assignments(16))).count(16)
    assert (count.done, count.step_ticks) == (True, 1)


@given(spacing=st.integers(1, 8), times=st.integers(1, 4))
def test_zeros_are_counted_where_blocks_fill_fast(spacing: int, times: int) -> None:
    count = Watched(RepeatedAssignments(times, Assignments(spacing)), zero).count(spacing)
    assert (count.done, count.step_ticks) == (True, spacing / times)


@given(spacing=st.integers(9, 500), times=st.integers(1, 4))
def test_of_zeros_that_come_slowly_nothing_is_said(spacing: int, times: int) -> None:
    count = Watched(RepeatedAssignments(times, Assignments(spacing)), zero).count(spacing)
    assert (count.done, count.step_ticks) == (True, None)


def test_more_values_than_a_block_holds_are_not_counted() -> None:
    count = Watched(RepeatedAssignments(200, Assignments(441))).count(441)
    assert count.step_ticks is None


def test_what_pauses_meanwhile_is_not_done() -> None:
    count = Watched(GatedAssignments(300, 88_200)).count(1, now=0, lasts=20_000)
    assert (count.done, count.step_ticks) == (False, None)


@pytest.mark.parametrize("spacing", [1, 4, 6, 441, 1764])
def test_it_takes_no_longer_than_outlets_can_wait(spacing: int) -> None:
    count = ValueCount(Variable(0, "x", ValueType.CHAR), spacing, RATE_HZ)
    assert count.length_ticks <= max(0.1 * RATE_HZ, 3 * spacing)
