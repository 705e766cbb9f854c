"""Monotonic, slew-limited map from ticks to LSL time, by which samples are stamped. Pure.

The clock's estimate moves a little with every probe. Stamps must not: what was stamped stays,
and every stream gives one tick the same stamp, however late a slow stream asks for it. So the
mapping is a chain of straight pieces that is only ever continued, and a correction bends the
next piece, by some hundred parts per million as a rule, until it meets the estimate. Only a
correction so large that it would take longer than 10 s, as after a start on a slow network, bends
it more, and one that the bounds prove to be due, as after replies to others, is done in a second.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bela_module.clock.feasible_region import Floats
from bela_module.errors import StreamError

_MIN_SLEW_SHARE = 0.2
_LARGE_SETTLE_S, _DISPROVED_SETTLE_S = 10.0, 1.0
_MAX_SLEW = 0.1
_MAX_KNOWN = 8
_LONG_BLOCK_S = 0.25
"""Blocks that began before a pause was discovered may come for so long."""


class ReferenceClock(Protocol):
    """The part of a clock that a timeline uses."""

    generation: int
    discontinuities: int

    @property
    def tick_rate_hz(self) -> float:
        """Ticks per second."""

    @property
    def rate_uncertainty_ppm(self) -> float:
        """How far that rate may be from the truth, in parts per million."""

    @property
    def uncertainty_s(self) -> float:
        """How far off `time_at` may be near the newest tick, in seconds."""

    def time_at(self, ticks: int) -> float:
        """Return when a tick happened, in LSL seconds."""


class _Piece(NamedTuple):
    """A straight piece of the mapping; ticks are counted from the origin."""

    begin: int
    end: float
    """The tick at which the next one begins, or infinity."""
    time_s: float
    s_per_tick: float


_NO_PIECE: Final = _Piece(0, -math.inf, math.nan, math.nan)


class Timeline:
    """Maps ticks to stamps: piecewise linear, append-only, monotone.

    Parameters
    ----------
    max_slew_ppm : float
        How much faster or slower than the board the stamps may run to meet the estimate, as
        long as that takes no more than about 10 s; or 1 s, when the bounds exclude the stamps.
    settle_s : float
        Time, in seconds, over which a small correction is spread.
    max_pieces : int
        How many pieces are remembered; each probe makes one. Ticks before the oldest of them
        get its line.

    Attributes
    ----------
    correction_s : float
        What of the correction is still to come, in seconds: how far the newest stamps are from
        the clock's estimate. Infinite before the first `steer`.
    """

    def __init__(
        self, *, max_slew_ppm: float = 500.0, settle_s: float = 1.0, max_pieces: int = 32768
    ) -> None:
        self._max_slew = max_slew_ppm * 1e-6
        self._settle_s = settle_s
        # each piece begins at a tick (counted from the origin) and a time and has a slope
        self._begins = np.empty(max_pieces, np.int64)
        self._times_s = np.empty(max_pieces, np.float64)
        self._s_per_tick = np.empty(max_pieces, np.float64)
        self.reset()

    def reset(self) -> None:
        """Forget all pieces: the next `steer` starts a new mapping."""
        self._n_pieces = 0
        self._piece = _NO_PIECE  # the one that was used last
        self._origin = 0
        self._known: dict[int, tuple[NDArray[Any], Floats]] = {}  # of shared arrays, by their ids
        self._stamped: int | None = None  # the newest stamped tick
        self._landing: int | None = None  # where the last jump ends
        self._jump_s = 0.0
        self._unplaced_until: float = -math.inf  # the tick up to which that may be misplaced
        self._generation = 0
        self._discontinuities = 0
        self.correction_s = math.inf

    @property
    def started(self) -> bool:
        """Whether stamps can be given."""
        return self._n_pieces > 0

    @property
    def unplaced_s(self) -> float:
        """How far off stamps are that lie between a pause of the ticks and its discovery.

        Nobody knows at which tick they paused: stamps jump with the first one after what was
        stamped, which may be too early. It is stated until blocks with such ticks have come.
        """
        return self._jump_s

    def steer(self, clock: ReferenceClock, newest_tick: int) -> None:
        """Continue the mapping towards a clock's present estimate.

        Call it after every probe, once the clock is ready. A clock of a new generation starts
        a new mapping; ticks that paused or skipped (a discontinuity) make the only jump.

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
        if self._stamped is None:
            self._origin = newest_tick
            self._continue(0, (newest_tick, clock.time_at(newest_tick), s_per_tick))
        else:
            if newest_tick > self._unplaced_until:
                self._jump_s = 0.0
            if clock.discontinuities != self._discontinuities:
                self._unplaced_until = newest_tick + round(_LONG_BLOCK_S * clock.tick_rate_hz)
                self._jump_s = abs(clock.time_at(newest_tick) - self.time_at(newest_tick))
            self._correct(clock, self._stamped, s_per_tick)
        self.compare(clock, newest_tick)

    def compare(self, clock: ReferenceClock, tick: int) -> None:
        """Note how far the stamp of a tick is from a clock's present estimate."""
        self.correction_s = abs(clock.time_at(tick) - self.time_at(tick))

    def stamps_s(self, ticks: NDArray[Any]) -> Floats:
        """Return the stamps of ticks; from now on they are settled.

        Parameters
        ----------
        ticks : array of shape (n,), int64 or uint64
            Never decreasing; also ticks long past.

        Returns
        -------
        array of shape (n,), float64
            LSL seconds; read-only, for the same array of ticks gives the same array of stamps.

        Raises
        ------
        StreamError
            Nothing is known yet: `steer` was not called.
        """
        if not self._n_pieces:
            raise StreamError("no stamp can be given before the clock was measured; steer first")
        if len(ticks) == 0:
            return np.empty(0)
        known = self._known.get(id(ticks))
        if known is not None and known[0] is ticks:
            return known[1]
        if len(ticks) == 1:  # as single values come: plain numbers are the faster way
            newest = int(ticks[0])
            stamps_s = np.array([self._time_s(newest - self._origin)])
        else:
            newest = int(ticks[-1])
            stamps_s = self._times_of(ticks, int(ticks[0]), newest)
        self._stamped = newest if self._stamped is None else max(self._stamped, newest)
        stamps_s.flags.writeable = False
        if not ticks.flags.writeable:  # what does not change needs no second calculation
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[id(ticks)] = ticks, stamps_s
        return stamps_s

    def time_at(self, tick: int) -> float:
        """Return the stamp that a tick would have by now, without settling it; NaN before any."""
        if not self.started:
            return math.nan
        return self._time_s(tick - self._origin)

    def _times_of(self, ticks: NDArray[Any], oldest: int, newest: int) -> Floats:
        """Return the mapping at ticks, of which the oldest and the newest are known."""
        piece = self._piece_at(newest - self._origin)
        if oldest - self._origin >= piece.begin:  # as almost always
            since = _since(ticks, self._origin + piece.begin)
            times_s: Floats = np.multiply(since, piece.s_per_tick)
            times_s += piece.time_s
            return times_s
        since = _since(ticks, self._origin)
        begins = self._begins[: self._n_pieces]
        k = np.maximum(np.searchsorted(begins, since, side="right") - 1, 0)
        stamps_s: Floats = self._times_s[k] + (since - begins[k]) * self._s_per_tick[k]
        return stamps_s

    def _time_s(self, since: int) -> float:
        """Return the mapping at one tick, counted from the origin."""
        piece = self._piece_at(since)
        return piece.time_s + (since - piece.begin) * piece.s_per_tick

    def _piece_at(self, since: int) -> _Piece:
        """Return the piece of a tick, counted from the origin; mostly the one of the tick before.

        What lies before the first piece gets its line.
        """
        if not self._piece.begin <= since < self._piece.end:
            begins = self._begins[: self._n_pieces]
            k = max(0, int(np.searchsorted(begins, since, side="right")) - 1)
            self._piece = _Piece(
                int(begins[k]),
                int(begins[k + 1]) if k + 1 < self._n_pieces else math.inf,
                float(self._times_s[k]),
                float(self._s_per_tick[k]),
            )
        return self._piece

    def _correct(self, clock: ReferenceClock, start: int, s_per_tick: float) -> None:
        """Replace the pieces beyond the last stamped tick by a path to the estimate."""
        since = start - self._origin
        start_s = self._time_s(since)
        keep = int(np.searchsorted(self._begins[: self._n_pieces], since, side="left"))
        if keep == 0:  # all that was stamped lies before the first piece: let it begin earlier
            self._begins[0], self._times_s[0] = since - 1, start_s - self._s_per_tick[0]
            keep = 1
        if clock.discontinuities != self._discontinuities:
            self._discontinuities = clock.discontinuities
            self._landing = start + 1
        if self._landing is not None and self._landing > start:
            self._continue(keep, *self._jump(clock, start, start_s, s_per_tick))
            return
        behind_s = clock.time_at(start) - start_s
        # what the measured rate may be off counts as slew, but never stops a correction
        spare = self._max_slew - clock.rate_uncertainty_ppm * 1e-6
        disproved = abs(behind_s) > clock.uncertainty_s
        limit_s = _DISPROVED_SETTLE_S if disproved else _LARGE_SETTLE_S
        due = min(abs(behind_s) / limit_s, _MAX_SLEW)
        most = max(spare, _MIN_SLEW_SHARE * self._max_slew, due)
        slew = min(max(behind_s / self._settle_s, -most), most)
        slewed = s_per_tick * (1.0 + slew)
        pieces = [(start, start_s, slewed)]
        if slew != 0.0:
            ticks = math.ceil(behind_s / slew / s_per_tick)
            pieces.append((start + ticks, start_s + ticks * slewed, s_per_tick))
        self._continue(keep, *pieces)

    def _jump(
        self, clock: ReferenceClock, start: int, start_s: float, s_per_tick: float
    ) -> list[tuple[int, float, float]]:
        """Return pieces that follow ticks which paused or skipped, never running backwards."""
        behind_s = clock.time_at(start + 1) - start_s
        ticks = 1 + max(0, math.ceil(-behind_s / s_per_tick))
        self._landing = start + ticks
        land_s = max(start_s, clock.time_at(self._landing))
        return [
            (start, start_s, (land_s - start_s) / ticks),
            (self._landing, land_s, s_per_tick),
        ]

    def _continue(self, keep: int, *pieces: tuple[int, float, float]) -> None:
        """Cut the chain after `keep` pieces and append others; let the oldest half go if full."""
        if keep + len(pieces) > len(self._begins):
            half = len(self._begins) // 2
            for column in (self._begins, self._times_s, self._s_per_tick):
                column[: keep - half] = column[half:keep].copy()
            keep -= half
        for begin, time_s, s_per_tick in pieces:
            self._begins[keep] = begin - self._origin
            self._times_s[keep] = time_s
            self._s_per_tick[keep] = s_per_tick
            keep += 1
        self._n_pieces = keep
        self._piece = _NO_PIECE
        self._known.clear()


def _since(ticks: NDArray[Any], origin: int) -> NDArray[np.int64]:
    """Count ticks from an origin, exactly for ticks of any size."""
    if ticks.dtype.kind == "i":
        return ticks - origin
    # differences of unsigned numbers wrap rightly
    return (ticks.astype(np.uint64) - np.uint64(origin % 2**64)).view(np.int64)
