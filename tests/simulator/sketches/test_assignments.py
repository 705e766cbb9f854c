"""Assignments happen at the ticks that they promise."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bela_module.simulator.sketches.assignments import (
    NEVER_ASSIGNED,
    AssignmentPattern,
    Assignments,
    GatedAssignments,
    RepeatedAssignments,
    UnevenAssignments,
)

single_assignments = st.one_of(
    st.builds(
        Assignments,
        step_ticks=st.integers(1, 10_000),
        phase_ticks=st.integers(0, 10_000),
        scattered=st.booleans(),
    ),
    st.builds(
        UnevenAssignments,
        step_ticks=st.integers(400, 10_000),
        spread_ticks=st.integers(0, 350),
        block_ticks=st.sampled_from([1, 8, 16, 32]),
    ),
    st.builds(
        GatedAssignments, open_ticks=st.integers(1, 50), period_ticks=st.integers(50, 10_000)
    ),
)
repeated_assignments = st.builds(RepeatedAssignments, st.integers(1, 20), single_assignments)
assignments = st.one_of(single_assignments, repeated_assignments)


@given(assignments, st.integers(0, 2**53))
def test_the_first_assignment_at_or_after_a_tick_is_the_first(
    pattern: AssignmentPattern, tick: int
) -> None:
    number = pattern.first_at_or_after(tick)
    assert pattern.tick(number - 1) < tick <= pattern.tick(number)


@given(single_assignments, st.integers(0, 2**40))
def test_many_ticks_are_the_single_ones(pattern: AssignmentPattern, start: int) -> None:
    numbers = np.arange(start, start + 20)
    ticks = pattern.ticks(numbers)
    assert ticks.tolist() == [pattern.tick(int(number)) for number in numbers]
    assert np.all(np.diff(ticks) > 0)


def test_an_auxiliary_task_is_uneven_and_sees_the_last_tick_of_a_block() -> None:
    ticks = UnevenAssignments(step_ticks=529, spread_ticks=310).ticks(np.arange(10_000))
    assert np.all(ticks % 16 == 15)
    distances = np.diff(ticks)
    assert abs(distances.mean() - 529) < 0.1
    assert 529 - 310 - 16 <= distances.min() < 300
    assert 760 < distances.max() <= 529 + 310 + 16


def test_gated_assignments_come_in_rows() -> None:
    pattern = GatedAssignments(open_ticks=3, period_ticks=100)
    assert pattern.ticks(np.arange(7)).tolist() == [0, 1, 2, 100, 101, 102, 200]
    assert [pattern.first_at_or_after(tick) for tick in (2, 3, 100, 103)] == [2, 3, 3, 6]


def test_repeated_assignments_share_a_tick() -> None:
    pattern = RepeatedAssignments(2, Assignments(12))
    assert pattern.ticks(np.arange(5)).tolist() == [0, 0, 12, 12, 24]
    assert [pattern.first_at_or_after(tick) for tick in (0, 1, 12, 13)] == [0, 2, 2, 4]


def test_what_is_never_assigned_has_no_tick_that_comes() -> None:
    assert NEVER_ASSIGNED.first_at_or_after(2**61) == 0
    assert NEVER_ASSIGNED.tick(0) > 2**61
    assert NEVER_ASSIGNED.tick(-1) < 0
