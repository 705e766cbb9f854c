"""From when to when the variables of a schedule stream, in board ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    def to_watch(
        self, names: Sequence[str], starts: Mapping[str, int]
    ) -> tuple[list[str], list[int], list[int]]:
        """Give what is left to be watched of some variables.

        Parameters
        ----------
        names : sequence of str
            The variables.
        starts : mapping of str to int
            The tick from which on each can be watched.

        Returns
        -------
        tuple of list
            Names, starts and durations in ticks, without the variables whose time is over.
        """
        alive = [name for name in names if self[name].last_tick > starts[name]]
        durations = [self[name].last_tick - starts[name] for name in alive]
        return alive, [starts[name] for name in alive], durations
