"""Clock of the simulated board: maps its ticks to the host's seconds, with drift and steps. Pure.

Convention: a value was taken at the time of its tick, ticks are evenly spaced, and a burst happens
at the time of its last tick, or later, when the board is late.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.protocol.variables import Ticks
from bela_module.simulator.parameters import NumberRange
from bela_module.simulator.sketches.signals import Times

RATE_HZ: Final = NumberRange(0.001, 1e8, "Hz")
"""Allowed tick rates."""

DRIFT_PPM: Final = NumberRange(-500_000, 1e6, "ppm")
"""Allowed drifts: from half the rate to twice the rate."""

_MAX_PIECES = 1000


@dataclass(frozen=True, slots=True)
class _RatePiece:
    """A linear part of the map, valid from its first tick on."""

    first_tick: int
    first_s: float
    rate_hz: float


class SimulatedClock:
    """Piecewise linear map from ticks to seconds; ticks happen in bursts.

    ``first_tick``, at ``start_s``, is a multiple of ``burst_ticks``, the length of an audio block.
    The true rate is ``drift_ppm`` millionths above the nominal ``rate_hz``.
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
        self._pieces = [_RatePiece(first_tick, start_s, rate_hz * (1 + drift_ppm * 1e-6))]
        self._late_tick = first_tick - 1
        self._late_until_s = -math.inf

    @property
    def true_rate_hz(self) -> float:
        """The present tick rate, drift included."""
        return self._pieces[-1].rate_hz

    def tick_at(self, time_s: float) -> int:
        """Return the last tick that has happened at a time, the end of a burst.

        It is ``first_tick - 1`` before the first burst, and stands still after a step back.
        """
        if time_s < self._late_until_s:
            return self._late_tick
        piece = self._pieces[-1]
        tick = int(piece.first_tick + (time_s - piece.first_s) * piece.rate_hz)
        complete = (tick + 1) // self.burst_ticks * self.burst_ticks - 1
        return max(complete, piece.first_tick - 1)

    def last_tick_of_burst(self, tick: int) -> int:
        """Return the last tick of the burst that a tick belongs to."""
        return tick // self.burst_ticks * self.burst_ticks + self.burst_ticks - 1

    @property
    def burst_s(self) -> float:
        """Time from one burst to the next."""
        return self.burst_ticks / self.true_rate_hz

    def burst_time_s(self, tick: int) -> float:
        """Return when the burst that a tick belongs to happens, in seconds."""
        return max(self.time_of(self.last_tick_of_burst(tick)), self._late_until_s)

    def delay_bursts(self, tick: int, until_s: float) -> None:
        """Let no burst after a tick, the last that has happened, happen before a time."""
        self._late_tick, self._late_until_s = tick, until_s

    def time_of(self, tick: int) -> float:
        """Return the time of one tick, in seconds."""
        piece = self._pieces[self._piece_index(tick)]
        return piece.first_s + (tick - piece.first_tick) / piece.rate_hz

    def times_of(self, ticks: Ticks) -> Times:
        """Return the time of each tick, in seconds."""
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
        self._append(_RatePiece(tick, self.time_of(tick), rate_hz))

    def step(self, tick: int, step_s: float) -> int:
        """Step the clock after the last tick that has happened; return the next tick.

        A positive step skips ticks. A negative one stops the ticks for that long: they never go
        back.
        """
        piece = self._pieces[-1]
        bursts = max(round(step_s * piece.rate_hz / self.burst_ticks), 0)
        left_out = bursts * self.burst_ticks
        next_tick = tick + 1 + left_out
        next_s = self.time_of(tick + 1) + max(-step_s, 0.0)
        self._append(_RatePiece(next_tick, next_s, piece.rate_hz))
        return next_tick

    def _append(self, piece: _RatePiece) -> None:
        self._pieces.append(piece)
        del self._pieces[:-_MAX_PIECES]

    def _piece_index(self, tick: int) -> int:
        return max(bisect_right(self._pieces, tick, key=lambda piece: piece.first_tick) - 1, 0)
