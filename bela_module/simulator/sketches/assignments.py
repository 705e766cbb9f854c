"""The ticks at which a sketch assigns a variable: patterns of numbered assignments. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.variables import Ticks
from bela_module.simulator.sketches.signals import uniform_noise

BEYOND_ALL_TICKS: Final = 2**62
"""The tick of an assignment that never happens."""


class AssignmentPattern(ABC):
    """The ticks at which a sketch assigns a variable, by the number of the assignment.

    They never decrease; an assignment before tick 0 has not happened.
    """

    @abstractmethod
    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return the tick of each assignment, of shape (n_numbers,)."""

    @abstractmethod
    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""

    def tick(self, number: int) -> int:
        """Return the tick of one assignment."""
        return int(self.ticks(np.array([number], dtype=np.int64))[0])

    def _search(self, guess: int, tick: int) -> int:
        """Return the first assignment at or after a tick, from a number near it."""
        while self.tick(guess - 1) >= tick:
            guess -= 1
        while self.tick(guess) < tick:
            guess += 1
        return guess


@dataclass(frozen=True, slots=True)
class Assignments(AssignmentPattern):
    """Assignments once in every step, at its start or anywhere in it."""

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
        return AssignmentPattern.tick(self, number)

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""
        number = (tick - self.phase_ticks) // self.step_ticks
        return number if self.tick(number) >= tick else number + 1


@dataclass(frozen=True, slots=True)
class UnevenAssignments(AssignmentPattern):
    """Assignments by an auxiliary task, which runs unevenly between two audio blocks.

    Each carries the last tick of the block before.
    """

    step_ticks: int
    """Mean distance of two assignments, above ``spread_ticks + block_ticks``."""
    spread_ticks: int
    """By how much an assignment is late at most; evenly distributed."""
    block_ticks: int = 16
    """Length of an audio block."""

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return the tick of each assignment."""
        late_ticks = (uniform_noise(numbers, seed=12) * self.spread_ticks).astype(np.int64)
        ticks: Ticks = (numbers * self.step_ticks + late_ticks) // self.block_ticks
        return ticks * self.block_ticks + self.block_ticks - 1

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""
        return self._search(tick // self.step_ticks, tick)


@dataclass(frozen=True, slots=True)
class GatedAssignments(AssignmentPattern):
    """Assignments at every tick for a while, then none until the next period."""

    open_ticks: int
    """Assignments in a row, at most ``period_ticks``."""
    period_ticks: int
    """Ticks from the first assignment of one row to that of the next."""

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return the tick of each assignment."""
        return numbers // self.open_ticks * self.period_ticks + numbers % self.open_ticks

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""
        periods, into = divmod(tick, self.period_ticks)
        return periods * self.open_ticks + min(into, self.open_ticks)


@dataclass(frozen=True, slots=True)
class RepeatedAssignments(AssignmentPattern):
    """Several assignments at each tick of another pattern."""

    times: int
    """Assignments at each of the ticks, at least 1."""
    pattern: AssignmentPattern = Assignments()

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return the tick of each assignment."""
        return self.pattern.ticks(numbers // self.times)

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""
        return self.pattern.first_at_or_after(tick) * self.times


class NoAssignments(AssignmentPattern):
    """A variable that the sketch never assigns, such as one that it only reads."""

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return a tick that never comes for each assignment."""
        return np.where(numbers < 0, -1, BEYOND_ALL_TICKS).astype(np.int64)

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the assignment that never happens."""
        return 0


EVERY_TICK: Final = Assignments()
NEVER_ASSIGNED: Final = NoAssignments()
