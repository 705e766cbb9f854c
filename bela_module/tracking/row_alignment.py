"""Align the values of several variables into rows by tick. Pure, no I/O.

Members' blocks may come in any order and size. A row is released once every member is known up to
its tick, by values or by a gap: a group lags by as much as its slowest member's blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from bela_module.errors import RequestError
from bela_module.protocol.variables import Array, Ticks
from bela_module.tracking.runs import Gap, ValueRun

_BEFORE_ALL: Final = -1

_Column: TypeAlias = tuple[Ticks, Array]


@dataclass(frozen=True, slots=True, eq=False)
class AlignedRows:
    """Complete rows of a group of variables.

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
    """Values of one member that wait for the others, and the last tick known of it."""

    held: deque[_Column] = field(default_factory=deque)
    n_held: int = 0
    known_tick: int = _BEFORE_ALL

    def hold(self, ticks: Ticks, values: Array) -> None:
        self.held.append((ticks, values))
        self.n_held += ticks.size
        self.known_tick = max(self.known_tick, int(ticks[-1]))

    def take(self, last_tick: int) -> _Column | None:
        """Remove what is held up to a tick, inclusive; ``None`` when there is nothing."""
        taken: list[_Column] = []
        while self.held:
            ticks, values = self.held[0]
            at = ticks.size
            if ticks[-1] > last_tick:
                at = int(np.searchsorted(ticks, last_tick, "right"))
                if at:
                    self.held[0] = (ticks[at:], values[at:])
                    taken.append((ticks[:at], values[:at]))
                    self.n_held -= at
                break
            taken.append(self.held.popleft())
            self.n_held -= at
        if len(taken) < 2:
            return taken[0] if taken else None
        return (
            np.concatenate([ticks for ticks, _ in taken]),
            np.concatenate([values for _, values in taken]),
        )

    def tick_to_keep(self, n_kept: int) -> int:
        """Give the tick up to which to take so that at most so many values stay."""
        surplus = self.n_held - n_kept
        for ticks, _ in self.held:
            if surplus <= ticks.size:
                return int(ticks[surplus - 1])
            surplus -= ticks.size
        return self.known_tick


class RowAligner:
    """Joins the value runs of several variables into rows.

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
    left_out : int
        Values in the rows that were left out.

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
        self.left_out = 0
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._max_held = max_held_rows
        self._members = tuple(_Member() for _ in range(n_members))
        self._released_tick = _BEFORE_ALL
        self._complete_tick = _BEFORE_ALL  # up to which every member is known
        self._n_slowest = n_members  # members that are known no further

    @property
    def dropped(self) -> int:
        """Values that came and were not given, whatever the reason."""
        return self.left_out + self.late + self.superseded

    def add(self, member: int, item: ValueRun | Gap) -> list[AlignedRows]:
        """Take the next run or gap of a member.

        Parameters
        ----------
        member : int
            Which of them, in [0, n_members).
        item : ValueRun or Gap
            What its tracker gave, in order.

        Returns
        -------
        list of AlignedRows
            The rows that are complete now, each given once, in the order of ticks.
        """
        state = self._members[member]
        known_before = state.known_tick
        if isinstance(item, Gap):
            state.known_tick = max(state.known_tick, item.last_tick)
        else:
            n_late = self._count_late(item.ticks)
            if n_late == 0:
                state.hold(item.ticks, item.values)
            elif n_late < item.ticks.size:
                state.hold(item.ticks[n_late:], item.values[n_late:])
        if known_before <= self._complete_tick < state.known_tick:
            self._n_slowest -= 1
        if self._n_slowest == 0:
            self._find_slowest()
        last_tick = self._complete_tick
        if state.n_held > self._max_held:
            last_tick = max(last_tick, state.tick_to_keep(self._max_held))
        return self._release(last_tick)

    def _find_slowest(self) -> None:
        known = [member.known_tick for member in self._members]
        self._complete_tick = min(known)
        self._n_slowest = known.count(self._complete_tick)

    def finish(self) -> list[AlignedRows]:
        """Release everything: nothing more will come.

        Returns
        -------
        list of AlignedRows
            The last rows, in the order of ticks.
        """
        return self._release(max(member.known_tick for member in self._members))

    def _count_late(self, ticks: Ticks) -> int:
        """Count the values that come after their row has been released."""
        if ticks[0] > self._released_tick:
            return 0
        n_late = int(np.searchsorted(ticks, self._released_tick, "right"))
        self.late += n_late
        return n_late

    def _release(self, last_tick: int) -> list[AlignedRows]:
        if last_tick <= self._released_tick:
            return []
        self._released_tick = last_tick
        columns = [member.take(last_tick) for member in self._members]
        present = [column for column in columns if column is not None]
        if not present:
            return []
        ticks = present[0][0]
        if len(present) < len(columns) or not all(
            _same_ticks(ticks, others) for others, _ in present[1:]
        ):
            return self._release_uneven(columns, present)
        rows = np.empty((ticks.size, len(columns)), self._dtype)
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            for member, (_, values) in enumerate(present):
                rows[:, member] = values
        return [AlignedRows(ticks, rows)]

    def _release_uneven(
        self, columns: Sequence[_Column | None], present: Sequence[_Column]
    ) -> list[AlignedRows]:
        """Release rows that not all members have."""
        ticks = np.unique(np.concatenate([ticks for ticks, _ in present]))
        floating = self._dtype.kind == "f"
        rows = np.full((ticks.size, len(columns)), np.nan if floating else 0, self._dtype)
        missing = np.ones(rows.shape, np.bool_)
        for member, column in enumerate(columns):
            if column is None:
                continue
            at = np.searchsorted(ticks, column[0])
            with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
                rows[at, member] = column[1]
            missing[at, member] = False
            self.superseded += at.size - int(np.count_nonzero(~missing[:, member]))
        if not floating:
            complete = ~missing.any(axis=1)
            self.incomplete += ticks.size - int(np.count_nonzero(complete))
            self.left_out += int(np.count_nonzero(~missing[~complete]))
            ticks, rows = ticks[complete], rows[complete]
        return [AlignedRows(ticks, rows)] if ticks.size else []


def _same_ticks(ticks: Ticks, others: Ticks) -> bool:
    if ticks is others:
        return True
    return ticks.size == others.size and bool((ticks == others).all())
