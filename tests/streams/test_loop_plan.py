"""The plan of the stream of closed loops."""

from __future__ import annotations

from bela_module.streams.clock_plan import clock_plan
from bela_module.streams.loop_plan import LOOP_UNITS, loop_plan
from bela_module.streams.stream_plans import StreamMode


def test_it_is_irregular_and_on_no_wire() -> None:
    plan = loop_plan("bela_loop")
    assert plan.labels == tuple(LOOP_UNITS)
    assert plan.mode is StreamMode.SPARSE
    clock = {variable.index for variable in clock_plan("bela_clock").variables}
    assert all(variable.index < 0 and variable.index not in clock for variable in plan.variables)
    assert plan.settings is not None
    assert (plan.settings.type, plan.settings.units[1]) == ("Loop", "s")
