"""Sketches give the values that they promise, at the ticks that they promise."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.simulator.sketches.built_in import SKETCHES, find_sketch
from bela_module.simulator.sketches.sketch import Sketch


@pytest.mark.parametrize("sketch", SKETCHES.values(), ids=SKETCHES)
def test_signals_give_the_same_values_whole_and_in_parts(sketch: Sketch) -> None:
    ticks = np.arange(10_000, 12_000)
    times_s = ticks / sketch.tick_rate_hz
    names = {variable.name for variable in sketch.variables}
    assert len(names) == len(sketch.variables) - (sketch.name == "duplicates")
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


def test_an_unknown_sketch_is_named_with_those_that_there_are() -> None:
    with pytest.raises(RequestError, match="no sketch 'pots'; there are simulation, potentio"):
        find_sketch("pots")
