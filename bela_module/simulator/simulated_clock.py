"""The simulated board's own clock: its ticks against the host's seconds. Pure, no I/O.

Convention: a value was taken at the time of its tick, ticks are evenly spaced, and the last tick
of a burst is at the burst. So tick and time are two names for one line, and a burst happens when
its last tick does.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.protocol.variables import Ticks
from bela_module.simulator.parameters import Number
from bela_module.simulator.sketches.signals import Times

RATE_HZ: Final = Number(0.001, 1e8, "Hz")
"""What a rate of ticks may be."""

DRIFT_PPM: Final = Number(-500_000, 1e6, "ppm")
"""What a drift may be: from half the rate to twice the rate."""

_MAX_PIECES = 1000


@dataclass(frozen=True, slots=True)
class _Piece:
    """A straight part of the clock, valid from its first tick on."""

    first_tick: int
    first_s: float
    rate_hz: float


class SimulatedClock:
    """Ticks in bursts, at a rate that may drift and a phase that may step.

    Parameters
    ----------
    rate_hz : float
        Nominal rate of the ticks, above 0.
    burst_ticks : int
        Ticks in one audio block; the first tick of a block is a multiple of it.
    first_tick : int
        The first tick that happens; a multiple of ``burst_ticks``.
    start_s : float
        Time of the first tick.
    drift_ppm : float
        By how many millionths the true rate is above the nominal one.
    """

    def __init__(
        self,
        rate_hz: float,
        burst_ticks: int,
        *,
        first_tick: int = 0,
        start_s: float = 0.0,
        drift_ppm: float = 0.0,
    ) -> None:
        self.rate_hz = rate_hz
        self.burst_ticks = burst_ticks
        self.first_tick = first_tick
        self._pieces = [_Piece(first_tick, start_s, rate_hz * (1 + drift_ppm * 1e-6))]

    @property
    def true_rate_hz(self) -> float:
        """The rate at which ticks happen now."""
        return self._pieces[-1].rate_hz

    def tick_at(self, time_s: float) -> int:
        """Give the last tick that has happened at a time: the end of a burst.

        It is ``first_tick - 1`` before the first burst, and stands still after a step back.
        """
        piece = self._pieces[-1]
        tick = int(piece.first_tick + (time_s - piece.first_s) * piece.rate_hz)
        complete = (tick + 1) // self.burst_ticks * self.burst_ticks - 1
        return max(complete, piece.first_tick - 1)

    def burst_after(self, tick: int) -> int:
        """Give the last tick of the burst that a tick belongs to."""
        return tick // self.burst_ticks * self.burst_ticks + self.burst_ticks - 1

    def time_of(self, tick: int) -> float:
        """Give the time of one tick, in seconds."""
        piece = self._pieces[self._piece_index(tick)]
        return piece.first_s + (tick - piece.first_tick) / piece.rate_hz

    def times_of(self, ticks: Ticks) -> Times:
        """Give the time of each tick, in seconds."""
        if len(self._pieces) == 1 or np.all(ticks[:1] >= self._pieces[-1].first_tick):
            piece = self._pieces[-1]
            return (ticks - piece.first_tick) / piece.rate_hz + piece.first_s
        first_ticks = np.array([piece.first_tick for piece in self._pieces])
        which = np.maximum(np.searchsorted(first_ticks, ticks, side="right") - 1, 0)
        first_s = np.array([piece.first_s for piece in self._pieces])[which]
        rate_hz = np.array([piece.rate_hz for piece in self._pieces])[which]
        times_s: Times = (ticks - first_ticks[which]) / rate_hz + first_s
        return times_s

    def drift(self, tick: int, drift_ppm: float) -> None:
        """Change the rate from a tick on; times stay continuous."""
        rate_hz = self.rate_hz * (1 + drift_ppm * 1e-6)
        self._append(_Piece(tick, self.time_of(tick), rate_hz))

    def step(self, tick: int, step_s: float) -> int:
        """Step the board's clock after a tick.

        Parameters
        ----------
        tick : int
            The last tick that has happened.
        step_s : float
            Forward, above 0: ticks are left out. Back, below 0: the board stands still that
            long. Ticks never go back.

        Returns
        -------
        int
            The tick that is next.
        """
        piece = self._pieces[-1]
        bursts = max(round(step_s * piece.rate_hz / self.burst_ticks), 0)
        left_out = bursts * self.burst_ticks
        next_tick = tick + 1 + left_out
        next_s = self.time_of(tick + 1) + max(-step_s, 0.0)
        self._append(_Piece(next_tick, next_s, piece.rate_hz))
        return next_tick

    def _append(self, piece: _Piece) -> None:
        self._pieces.append(piece)
        del self._pieces[:-_MAX_PIECES]

    def _piece_index(self, tick: int) -> int:
        return max(bisect_right(self._pieces, tick, key=lambda piece: piece.first_tick) - 1, 0)
