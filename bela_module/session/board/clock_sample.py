"""What is known of the board's clock at one tick: a row of the ``bela_clock`` stream. Pure."""

from __future__ import annotations

from typing import NamedTuple


class ClockSample(NamedTuple):
    """A tick, its times, and how well they are known.

    Attributes
    ----------
    tick : int
        The latest tick that the board has told.
    uncertainty_s : float
        The largest uncertainty that was stated since the sample before, in seconds: it covers
        all samples that were stamped in between.
    tick_rate_hz, drift_ppm : float
        The tick rate as measured, and how far it is from the announced one.
    rtt_s : float
        Median round trip of the probes in use, in seconds.
    unix_s : float
        The tick's time on this computer's wall clock, seconds since 1970.
    """

    tick: int
    uncertainty_s: float
    tick_rate_hz: float
    drift_ppm: float
    rtt_s: float
    unix_s: float
