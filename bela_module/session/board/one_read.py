"""What one read of the data websocket has told of the board's ticks. Pure, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bela_module.protocol.data_channel import Block


@dataclass(slots=True)
class OneRead:
    """What one read of the data websocket has told: all its blocks came at one time."""

    arrived_s: float = math.nan
    possible_tick: float = math.inf
    proven_tick: int = -1
    presumed_tick: int = -1

    def takes(self, proven_tick: int, presumed_tick: int | None) -> bool:
        """Note the last ticks of a block; tell whether any of them is later than those before."""
        is_later = proven_tick > self.proven_tick or (presumed_tick or -1) > self.presumed_tick
        self.proven_tick = max(self.proven_tick, proven_tick)
        self.presumed_tick = max(self.presumed_tick, presumed_tick or -1)
        return is_later


def last_ticks(block: Block, step_ticks: float | None) -> tuple[int, int | None]:
    """Return the latest tick that a block proves to be over, and the one if it is full.

    A dense block may be padded, so its own end proves nothing before the step is known and its
    last value is not zero. If it is taken for full, nothing is known without a step.
    """
    if block.monitor:
        return block.tick, block.tick
    if block.relative_ticks is not None:
        tick = block.tick + int(block.relative_ticks[-1])
        return tick, tick
    if step_ticks is None:
        return block.tick, None
    # A step that is no whole number is a mean: the values of this block may lie closer.
    whole = step_ticks if float(step_ticks).is_integer() else min(1.0, step_ticks)
    presumed = block.tick + math.floor((block.values.size - 1) * whole)
    return (presumed if block.values[-1] else block.tick), presumed
