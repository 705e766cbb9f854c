"""A sketch is what its fields say, with defaults for the rest."""

from __future__ import annotations

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import EVERY_TICK
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable


def test_a_variable_is_dense_and_assigned_at_every_tick_unless_it_is_said() -> None:
    variable = SketchVariable("v", ValueType.FLOAT, ramp)
    assert not variable.sparse
    assert variable.assignments == EVERY_TICK


def test_a_sketch_ticks_every_frame_of_an_audio_block_unless_it_is_said() -> None:
    sketch = Sketch("own", "for a test", ())
    assert sketch.tick_rate_hz == sketch.declared_rate_hz == 44100.0
    assert sketch.burst_ticks == 16
