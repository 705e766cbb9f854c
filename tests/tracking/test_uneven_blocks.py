"""Interpolated ticks: spread over the time to the next block, never beyond what is certain."""

from __future__ import annotations

import numpy as np

from bela_module.tracking.dense_steps import BlockEvidence
from bela_module.tracking.runs import GapReason
from bela_module.tracking.uneven_blocks import interpolate_ticks


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
