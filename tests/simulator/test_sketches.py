"""Sketches give the values that they promise, at the ticks that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.errors import RequestError
from bela_module.simulator.sketches import (
    SKETCHES,
    Assignments,
    Sketch,
    find_sketch,
    noise,
    potentiometer,
    uniform_noise,
)

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


@pytest.mark.parametrize("sketch", SKETCHES.values(), ids=SKETCHES)
def test_signals_give_the_same_values_whole_and_in_parts(sketch: Sketch) -> None:
    ticks = np.arange(10_000, 12_000)
    times_s = ticks / sketch.tick_rate_hz
    assert len({variable.name for variable in sketch.variables}) == len(sketch.variables)
    for variable in sketch.variables:
        whole = variable.signal(ticks, times_s)
        parts = [variable.signal(ticks[k::3], times_s[k::3]) for k in range(3)]
        assert whole.shape == ticks.shape
        for k, part in enumerate(parts):
            np.testing.assert_array_equal(whole[k::3], part)
        integers = variable.value_type.dtype.kind in "iu"
        assert not integers or np.asarray(whole).dtype.kind in "iu"


def test_the_default_sketch_is_what_the_tutorial_describes_and_more() -> None:
    sketch = find_sketch("simulation")
    assert sketch.tick_rate_hz == sketch.declared_rate_hz / 2
    kinds = {v.name: (v.value_type.value, v.sparse) for v in sketch.variables}
    assert kinds["pot1"] == kinds["pot2"] == ("f", False)
    assert kinds["touch"] == ("i", True)
    assert kinds["counter"] == ("j", False)


def test_a_knob_stays_in_its_range_and_moves() -> None:
    ticks = np.arange(0, 60 * 22050, 50)
    position = potentiometer(1)(ticks, ticks / 22050)
    assert 0 < position.min() < 0.2
    assert 0.8 < position.max() < 1


def test_noise_is_uniform_and_differs_by_seed() -> None:
    numbers = np.arange(100_000)
    uniform = uniform_noise(numbers)
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    assert np.histogram(uniform, 10)[0] == pytest.approx(10_000, rel=0.05)
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.01
    assert not np.any(uniform == uniform_noise(numbers, seed=1))
    assert np.abs(noise(0.5, seed=3)(numbers, numbers / 1e3)).max() <= 0.5


def test_an_unknown_sketch_is_named_with_those_that_there_are() -> None:
    with pytest.raises(RequestError, match="no sketch 'pots'; there are simulation, potentio"):
        find_sketch("pots")
