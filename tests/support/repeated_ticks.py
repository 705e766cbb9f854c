"""Assignments of a variable that changes its rate again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.variables import Ticks
from bela_module.simulator.sketches.assignments import AssignmentPattern


@dataclass(frozen=True, slots=True)
class RepeatedTicks(AssignmentPattern):
    """Assignments at given ticks of every period."""

    offsets: NDArray[np.int64]
    period_ticks: int

    @classmethod
    def of_rates(cls, *parts: tuple[int, int]) -> RepeatedTicks:
        """Make it of pairs: for so many ticks, once in so many."""
        begun, found = 0, []
        for n_ticks, step in parts:
            found.append(np.arange(begun, begun + n_ticks, step))
            begun += n_ticks
        return cls(np.concatenate(found), begun)

    @classmethod
    def at(cls, offsets: Sequence[int], period_ticks: int) -> RepeatedTicks:
        return cls(np.array(offsets, dtype=np.int64), period_ticks)

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        periods, within = np.divmod(numbers, self.offsets.size)
        ticks: Ticks = periods * self.period_ticks + self.offsets[within]
        return ticks

    def first_at_or_after(self, tick: int) -> int:
        period, within = divmod(tick, self.period_ticks)
        return period * self.offsets.size + int(np.searchsorted(self.offsets, within))
