"""What of a dense variable is accounted for: shared ticks, and padding that nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.dense_account import interpolate_ticks
from bela_module.tracking.dense_steps import BlockEvidence
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import Gap, GapReason, ValueRun
from tests.support.faulty_board import SIZE, block_of, gaps_of, ticks_of, tracker, zeros_at


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


def test_zeros_up_to_a_known_end_are_values() -> None:
    made = tracker(1, last_tick=SIZE - 1)
    items = made.add(zeros_at(0, 100), SIZE + 10.0) + made.finish()
    assert ticks_of(items) == list(range(SIZE))
    assert made.lost == made.withheld == 0


def test_zeros_that_cannot_have_come_by_then_are_padding() -> None:
    made = tracker(1, last_tick=SIZE - 1)
    items = made.add(zeros_at(0, 100), 150.0) + made.finish()
    assert ticks_of(items) == list(range(100))
    assert [(gap.n_values, gap.reason) for gap in gaps_of(items)] == [(SIZE - 100, GapReason.CUT)]


@pytest.mark.parametrize("possible", [SIZE + 10.0, 249.0])
def test_without_an_end_they_are_withheld_as_far_as_they_are_possible(possible: float) -> None:
    made = tracker(1)
    items = made.add(zeros_at(0, 100), possible) + made.finish()
    assert ticks_of(items) == list(range(100))
    assert made.withheld == min(SIZE, possible + 1) - 100
    assert made.lost == 0


def test_blocks_without_a_step_are_counted_with_the_reason() -> None:
    made = tracker(None)
    made.add(block_of(0))
    made.interrupted()
    made.resume(2000)
    made.add(zeros_at(3000, 7))
    gaps = [(gap.n_values, gap.reason) for gap in gaps_of(made.finish())]
    assert gaps == [(SIZE, GapReason.RECONNECTED), (7, GapReason.UNKNOWN_STEP)]
    assert made.finish() == []


def test_values_are_spread_evenly_up_to_the_next_block() -> None:
    spread = interpolate_ticks(BlockEvidence(10, 4), 4, 2.5, next_tick=22, end_tick=None)
    np.testing.assert_array_equal(spread.ticks, [10, 13, 16, 19])
    assert spread.missing is None


def test_a_distance_of_two_blocks_is_a_loss_and_the_mean_step_is_used() -> None:
    spread = interpolate_ticks(BlockEvidence(0, 3), 4, 2.5, next_tick=20, end_tick=None)
    np.testing.assert_array_equal(spread.ticks, [0, 2, 5])
    assert spread.missing is GapReason.LOST


def test_a_block_that_was_cut_short_gives_only_its_certain_values() -> None:
    spread = interpolate_ticks(BlockEvidence(0, 2), 4, 2.5, next_tick=4, end_tick=None)
    np.testing.assert_array_equal(spread.ticks, [0, 2])
    assert spread.missing is GapReason.CUT


def test_the_last_block_ends_at_the_known_end() -> None:
    spread = interpolate_ticks(BlockEvidence(0, 3), 4, 2.5, next_tick=None, end_tick=4)
    np.testing.assert_array_equal(spread.ticks, [0, 2, 4])
    open_end = interpolate_ticks(BlockEvidence(0, 3), 4, 2.5, next_tick=None, end_tick=None)
    np.testing.assert_array_equal(open_end.ticks, [0, 2, 5])
