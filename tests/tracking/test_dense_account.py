"""What of a dense variable is accounted for: shared ticks, and padding that nobody can tell."""

from __future__ import annotations

from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import Gap, GapReason, ValueRun
from tests.support.faulty_board import SIZE, block_of, tracker, zeros_at


def test_variables_that_are_assigned_together_share_their_ticks() -> None:
    ticks = RegularTicks()
    one, two = (DenseTracker(Variable(k, f"v{k}", ValueType.DOUBLE), ticks) for k in range(2))
    runs = []
    for made in (one, two):
        made.begin(step_ticks=1)
        runs += [item for item in made.add(block_of(100)) if isinstance(item, ValueRun)]
    assert runs[0].ticks is runs[1].ticks


def test_zeros_at_the_end_are_withheld_when_nothing_tells_of_the_end() -> None:
    made = tracker(1)
    made.add(zeros_at(100, 10))
    assert made.finish() == [Gap(110, 99 + SIZE, SIZE - 10, GapReason.UNKNOWN_END)]
    assert (made.delivered, made.lost, made.withheld) == (10, 0, SIZE - 10)
