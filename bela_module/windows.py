"""From when to when the variables of a schedule stream, in board ticks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when a variable is to stream, in board ticks; both ends are part of it."""

    first_tick: int
    last_tick: int


class Windows(dict[str, Window]):
    """The window of each variable, by its name; none where nothing is scheduled."""

    @property
    def first_tick(self) -> int:
        """The tick at which the first of them begins."""
        return min(window.first_tick for window in self.values())

    @property
    def last_tick(self) -> int:
        """The last tick of the one that ends last."""
        return max(window.last_tick for window in self.values())
