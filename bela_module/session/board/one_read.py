"""What one read of the data websocket has told of the board's ticks. Pure, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
