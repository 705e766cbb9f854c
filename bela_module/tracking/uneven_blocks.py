"""Interpolated ticks for the blocks of a dense variable that is assigned unevenly. Pure, no I/O.

Such a block carries the tick of its first value only, so its values are spread evenly over the
time until the next block begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.protocol.variables import Ticks
from bela_module.tracking.dense_steps import BlockEvidence
from bela_module.tracking.runs import GapReason

_LOSS_FACTOR: Final = 1.9
"""Distance of two blocks, in usual distances, above which one was lost between them."""


@dataclass(frozen=True, slots=True, eq=False)
class InterpolatedTicks:
    """Ticks for the first values of a block, and why values are missing after them, if any are."""

    ticks: Ticks
    missing: GapReason | None = None


def interpolate_ticks(
    block: BlockEvidence,
    block_values: int,
    step: float,
    next_tick: int | None,
    end_tick: int | None,
) -> InterpolatedTicks:
    """Spread a block's values over the time until the next block, or by the mean step.

    Parameters
    ----------
    block : BlockEvidence
        The block.
    block_values : int
        Number of values that a full block holds.
    step : float
        Mean distance of two values, in ticks.
    next_tick : int or None
        First tick of the next block, if there is one.
    end_tick : int or None
        The known end of the stream, inclusive.
    """
    n_values, spacing, missing = block_values, step, None
    if next_tick is None:
        n_values = block.n_certain
        if end_tick is not None and n_values > 1:  # by then all of them were assigned
            spacing = min(step, max(end_tick - block.tick, 0) / (n_values - 1))
    else:
        distance = next_tick - block.tick
        n_blocks = distance / (block_values * step)
        spacing = distance / block_values
        if n_blocks > _LOSS_FACTOR:
            n_values, spacing, missing = block.n_certain, step, GapReason.LOST
        elif block.n_certain < block_values and n_blocks < 1 / _LOSS_FACTOR:
            n_values, missing = block.n_certain, GapReason.CUT
            spacing = min(step, distance / max(n_values, 1))
    return InterpolatedTicks(block.tick + (np.arange(n_values) * spacing).astype(np.int64), missing)
