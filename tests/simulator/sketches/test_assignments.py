"""Assignments happen at the ticks that they promise."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bela_module.simulator.sketches.assignments import Assignments

assignments = st.builds(
    Assignments,
    step_ticks=st.integers(1, 10_000),
    phase_ticks=st.integers(0, 10_000),
    scattered=st.booleans(),
)


@given(assignments, st.integers(0, 2**53))
def test_the_first_assignment_at_or_after_a_tick_is_the_first(
    pattern: Assignments, tick: int
) -> None:
    number = pattern.first_at_or_after(tick)
    assert pattern.tick(number - 1) < tick <= pattern.tick(number)


@given(assignments, st.integers(0, 2**40))
def test_many_ticks_are_the_single_ones(pattern: Assignments, start: int) -> None:
    numbers = np.arange(start, start + 20)
    ticks = pattern.ticks(numbers)
    assert ticks.tolist() == [pattern.tick(int(number)) for number in numbers]
    assert np.all(np.diff(ticks) > 0)
