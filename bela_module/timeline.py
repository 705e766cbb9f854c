"""Stamps that last: the mapping from ticks to LSL seconds that samples are given.

The clock's estimate moves a little with every probe. Stamps must not: what was stamped stays,
and every stream gives one tick the same stamp, however late a slow stream asks for it. So the
mapping is a chain of straight pieces that is only ever continued, and a correction bends the
next piece, by some hundred parts per million at most, until it meets the estimate.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import StreamError

Floats = NDArray[np.float64]


class ReferenceClock(Protocol):
    """What a timeline needs to know of a clock."""

    generation: int
    discontinuities: int

    @property
    def tick_rate_hz(self) -> float:
        """Ticks per second."""

    def time_at(self, ticks: int) -> float:
        """Return when a tick happened, in LSL seconds."""

    @property
    def uncertainty_s(self) -> float:
        """How far off `time_at` may be near the newest tick, in seconds."""


class Timeline:
    """The stamps' mapping: piecewise linear in ticks, append-only, monotone.

    Parameters
    ----------
    max_slew_ppm : float
        How much faster or slower than measured the stamps may run to meet the estimate.
    settle_s : float
        Time, in seconds, over which a small correction is spread.
    max_knots : int
        How many pieces are remembered. Older ticks than those get the oldest piece's line.

    Attributes
    ----------
    uncertainty_s : float
        How far the newest stamp may be from the truth, in seconds: the clock's uncertainty and
        what of the correction is still to come.
    """

    def __init__(
        self, *, max_slew_ppm: float = 500.0, settle_s: float = 1.0, max_knots: int = 32768
    ) -> None:
        self._max_slew = max_slew_ppm * 1e-6
        self._settle_s = settle_s
        self._max_knots = max_knots
        self.reset()

    def reset(self) -> None:
        """Forget all pieces: the next `steer` begins anew."""
        self._ticks: list[int] = []
        self._times_s: list[float] = []
        self._s_per_tick: list[float] = []
        self._table: tuple[int, Floats, Floats, Floats] | None = None
        self._horizon: int | None = None
        self._generation = 0
        self._discontinuities = 0
        self._landing: int | None = None
        self.uncertainty_s = math.inf

    @property
    def started(self) -> bool:
        """Whether stamps can be given."""
        return bool(self._ticks)

    def steer(self, clock: ReferenceClock, newest_tick: int) -> None:
        """Continue the mapping towards a clock's present estimate.

        Call it after every probe, once the clock is ready. A clock of a new generation starts
        a new mapping.

        Parameters
        ----------
        clock : DeviceClock
            A clock that is ready.
        newest_tick : int
            The newest tick known; what is stamped next lies near it.
        """
        if self._generation != clock.generation:
            self.reset()
            self._generation = clock.generation
            self._discontinuities = clock.discontinuities
        s_per_tick = 1.0 / clock.tick_rate_hz
        if self._horizon is None:
            self._replace_from(0, (newest_tick, clock.time_at(newest_tick), s_per_tick))
        else:
            self._bend(clock, self._horizon, s_per_tick)
        off_s = abs(clock.time_at(newest_tick) - self._stamp_s(newest_tick))
        self.uncertainty_s = off_s + clock.uncertainty_s

    def stamps_s(self, ticks: NDArray[Any]) -> Floats:
        """Return the stamps of ticks; from now on they are settled.

        Parameters
        ----------
        ticks : array of shape (n,), int64 or uint64
            In any order; also ticks long past.

        Returns
        -------
        array of shape (n,), float64
            LSL seconds.

        Raises
        ------
        StreamError
            Nothing is known yet: `steer` was not called.
        """
        if not self._ticks:
            raise StreamError("no stamp can be given before the clock was measured; steer first")
        if len(ticks) == 0:
            return np.empty(0)
        newest = int(ticks.max())
        if self._horizon is None or newest > self._horizon:
            self._horizon = newest
        origin, knots, times_s, s_per_tick = self._arrays()
        since = (ticks.astype(np.uint64) - np.uint64(origin)).view(np.int64).astype(np.float64)
        piece = np.maximum(np.searchsorted(knots, since, side="right") - 1, 0)
        stamps: Floats = times_s[piece] + (since - knots[piece]) * s_per_tick[piece]
        return stamps

    def _bend(self, clock: ReferenceClock, start: int, s_per_tick: float) -> None:
        """Append a piece from the last settled tick that meets the estimate, and one after it."""
        start_s = self._stamp_s(start)
        keep = self._piece_of(start) + 1 if start > self._ticks[0] else 0
        behind_s = clock.time_at(start) - start_s
        if clock.discontinuities != self._discontinuities:
            self._discontinuities = clock.discontinuities
            self._landing = start + 1
        if self._landing is not None and self._landing > start:
            self._jump(clock, start, keep, s_per_tick)
            return
        slew = min(max(behind_s / self._settle_s, -self._max_slew), self._max_slew)
        run = math.ceil(abs(behind_s / slew) / s_per_tick) if slew else 0
        pieces = [(start, start_s, s_per_tick * (1.0 + slew))]
        if run:
            meet_s = start_s + run * pieces[0][2]
            pieces.append((start + run, meet_s, s_per_tick))
        self._replace_from(keep, *pieces)

    def _jump(self, clock: ReferenceClock, start: int, keep: int, s_per_tick: float) -> None:
        """Follow ticks that paused or skipped, without ever running backwards."""
        start_s = self._stamp_s(start)
        behind_s = clock.time_at(start + 1) - start_s
        steps = 1 + max(0, math.ceil(-behind_s / s_per_tick))
        self._landing = start + steps
        land_s = max(start_s, clock.time_at(start + steps))
        self._replace_from(
            keep,
            (start, start_s, (land_s - start_s) / steps),
            (start + steps, land_s, s_per_tick),
        )

    def _replace_from(self, keep: int, *pieces: tuple[int, float, float]) -> None:
        """Cut the chain after `keep` pieces and append others."""
        for column, values in zip(
            (self._ticks, self._times_s, self._s_per_tick), zip(*pieces, strict=True), strict=True
        ):
            del column[keep:]
            column.extend(values)
            if len(column) > self._max_knots:
                del column[: self._max_knots // 2]
        self._table = None

    def _piece_of(self, tick: int) -> int:
        """Return the index of the piece that a tick lies on."""
        for index in range(len(self._ticks) - 1, 0, -1):
            if self._ticks[index] < tick:
                return index
        return 0

    def _stamp_s(self, tick: int) -> float:
        """Return one tick's stamp without settling it."""
        piece = self._piece_of(tick)
        return self._times_s[piece] + (tick - self._ticks[piece]) * self._s_per_tick[piece]

    def _arrays(self) -> tuple[int, Floats, Floats, Floats]:
        """Return the chain as arrays, its ticks relative to an origin."""
        if self._table is None:
            origin = self._ticks[0]
            knots = np.array([tick - origin for tick in self._ticks], dtype=np.float64)
            self._table = (origin, knots, np.array(self._times_s), np.array(self._s_per_tick))
        return self._table
