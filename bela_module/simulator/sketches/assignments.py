"""The ticks at which a sketch assigns a variable. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.variables import Ticks
from bela_module.simulator.sketches.signals import uniform_noise


@dataclass(frozen=True, slots=True)
class Assignments:
    """The ticks at which a sketch assigns a variable, by the number of the assignment."""

    step_ticks: int = 1
    """Ticks from one assignment to the next, at least 1."""
    phase_ticks: int = 0
    """Tick of assignment number 0."""
    scattered: bool = False
    """Whether an assignment falls anywhere in its step, as events do, instead of at its start."""

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return the tick of each assignment."""
        ticks = numbers * self.step_ticks + self.phase_ticks
        if self.scattered:
            ticks += (uniform_noise(numbers) * self.step_ticks).astype(np.int64)
        return ticks

    def tick(self, number: int) -> int:
        """Return the tick of one assignment."""
        if not self.scattered:
            return number * self.step_ticks + self.phase_ticks
        return int(self.ticks(np.array([number], dtype=np.int64))[0])

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""
        number = (tick - self.phase_ticks) // self.step_ticks
        return number if self.tick(number) >= tick else number + 1


EVERY_TICK: Final = Assignments()
