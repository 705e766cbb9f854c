"""Rows aligned by tick across variables, whose blocks come in any order and size. Pure, no I/O.

A row is released once every member is known up to its tick, be it by values or by a gap: so a
group lags behind by as much as the slowest of its members' blocks, and no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike

from bela_module.errors import RequestError
from bela_module.protocol import Array, Ticks
from bela_module.runs import Gap, Run

_BEFORE_ALL: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a group, ready to be passed on.

    Attributes
    ----------
    ticks : ndarray of int64 of shape (n_rows,)
        Tick of each row, never decreasing.
    values : ndarray of shape (n_rows, n_members)
        One column for each member; NaN where a member has no value.
    """

    ticks: Ticks
    values: Array


@dataclass(slots=True)
class _Member:
    """What is held of one member, and the last tick up to which it is known."""

    held: deque[Run] = field(default_factory=deque)
    n_held: int = 0
    known_tick: int = _BEFORE_ALL
    lattice: tuple[int, int] | None = None

    def hold(self, run: Run) -> None:
        self.held.append(run)
        self.n_held += run.ticks.size
        self.known_tick = max(self.known_tick, int(run.ticks[-1]))
        if run.ticks.size > 1:
            first, second = int(run.ticks[0]), int(run.ticks[1])
            step = second - first
            self.lattice = (step, first % step if step else 0)

    def take(self, last_tick: int) -> list[Run]:
        """Remove what is held up to a tick, inclusive."""
        taken: list[Run] = []
        while self.held and self.held[0].ticks[0] <= last_tick:
            run = self.held.popleft()
            if run.ticks[-1] > last_tick:
                at = int(np.searchsorted(run.ticks, last_tick, "right"))
                self.held.appendleft(Run(run.ticks[at:], run.values[at:]))
                run = Run(run.ticks[:at], run.values[:at])
            taken.append(run)
            self.n_held -= run.ticks.size
        return taken

    def tick_to_keep(self, n_kept: int) -> int:
        """Give the tick up to which to take so that at most so many values stay."""
        surplus = self.n_held - n_kept
        for run in self.held:
            if surplus <= run.ticks.size:
                return int(run.ticks[surplus - 1])
            surplus -= run.ticks.size
        return self.known_tick


class Grouper:
    """Joins the runs of several variables into rows.

    Parameters
    ----------
    n_members : int
        Number of variables, at least 1.
    dtype : data-type
        Format of the rows. Where it is a float, a missing value is NaN; an integer cannot say
        that a value is missing, so that such rows are left out.
    max_held_rows : int, optional
        How many values of a member are held at most, waiting for the others. Beyond that rows are
        released without those that lag.

    Attributes
    ----------
    incomplete : int
        Rows that were left out since an integer cannot say which of their values are missing.
    late : int
        Values that came after their row had been released, and were dropped.
    superseded : int
        Values dropped for a later one of the same member at the same tick.

    Raises
    ------
    RequestError
        When there is no member, or nothing may be held.
    """

    def __init__(self, n_members: int, dtype: DTypeLike, *, max_held_rows: int = 200_000) -> None:
        if n_members < 1 or max_held_rows < 1:
            raise RequestError(
                f"a group of {n_members} members that holds {max_held_rows} rows; both must be "
                "at least 1"
            )
        self.incomplete = 0
        self.late = 0
        self.superseded = 0
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._max_held = max_held_rows
        self._members = tuple(_Member() for _ in range(n_members))
        self._released_tick = _BEFORE_ALL

    @property
    def mixed_steps(self) -> bool:
        """Whether the members are not assigned at the same ticks, so that rows must lack values."""
        return len({member.lattice for member in self._members if member.lattice}) > 1

    def add(self, member: int, item: Run | Gap) -> list[Rows]:
        """Take the next run or gap of a member.

        Parameters
        ----------
        member : int
            Which of them, in [0, n_members).
        item : Run or Gap
            What its tracker gave, in order.

        Returns
        -------
        list of Rows
            The rows that are complete now, each given once, in the order of ticks.
        """
        state = self._members[member]
        if isinstance(item, Gap):
            state.known_tick = max(state.known_tick, item.last_tick)
        else:
            run = self._in_time(item)
            if run.ticks.size:
                state.hold(run)
        last_tick = min(other.known_tick for other in self._members)
        if state.n_held > self._max_held:
            last_tick = max(last_tick, state.tick_to_keep(self._max_held))
        return self._release(last_tick)

    def finish(self) -> list[Rows]:
        """Release everything: nothing more will come.

        Returns
        -------
        list of Rows
            The last rows, in the order of ticks.
        """
        return self._release(max(member.known_tick for member in self._members))

    def _in_time(self, run: Run) -> Run:
        """Cut off what comes after its row has been released."""
        if run.ticks[0] > self._released_tick:
            return run
        n_late = int(np.searchsorted(run.ticks, self._released_tick, "right"))
        self.late += n_late
        return Run(run.ticks[n_late:], run.values[n_late:])

    def _release(self, last_tick: int) -> list[Rows]:
        if last_tick <= self._released_tick:
            return []
        self._released_tick = last_tick
        runs = [_joined(member.take(last_tick)) for member in self._members]
        first = runs[0]
        if first is not None and all(
            run is not None and _same_ticks(run.ticks, first.ticks) for run in runs
        ):
            values = np.empty((first.ticks.size, len(runs)), self._dtype)
            for column, run in enumerate(runs):
                if run is not None:
                    values[:, column] = run.values
            return [Rows(first.ticks, values)]
        return self._release_uneven(runs)

    def _release_uneven(self, runs: Sequence[Run | None]) -> list[Rows]:
        """Release rows that not all members have."""
        present = [run.ticks for run in runs if run is not None]
        if not present:
            return []
        ticks = np.unique(np.concatenate(present))
        shape = (ticks.size, len(runs))
        floating = self._dtype.kind == "f"
        values = np.full(shape, np.nan, self._dtype) if floating else np.zeros(shape, self._dtype)
        missing = np.ones(shape, np.bool_)
        for column, run in enumerate(runs):
            if run is None:
                continue
            rows = np.searchsorted(ticks, run.ticks)
            values[rows, column] = run.values
            missing[rows, column] = False
            self.superseded += run.ticks.size - (ticks.size - int(missing[:, column].sum()))
        if not floating:
            complete = ~missing.any(axis=1)
            self.incomplete += ticks.size - int(complete.sum())
            ticks, values = ticks[complete], values[complete]
        return [Rows(ticks, values)] if ticks.size else []


def _joined(runs: Sequence[Run]) -> Run | None:
    if not runs:
        return None
    if len(runs) == 1:
        return runs[0]
    return Run(
        np.concatenate([run.ticks for run in runs]), np.concatenate([run.values for run in runs])
    )


def _same_ticks(ticks: Ticks, others: Ticks) -> bool:
    return ticks is others or (
        ticks.size == others.size and ticks[0] == others[0] and np.array_equal(ticks, others)
    )
