"""The wall clock beside LSL's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_N_PAIRED_READS: Final = 5


def unix_at_lsl_zero_s(now: Callable[[], float], unix_now: Callable[[], float]) -> float:
    """Measure how far the wall clock is from LSL's: the closest of some paired reads.

    Parameters
    ----------
    now, unix_now : callable
        Return LSL seconds, and seconds since 1970.

    Returns
    -------
    float
        Seconds since 1970 at which LSL's clock was zero.
    """
    closest_s, offset_s = float("inf"), 0.0
    for _ in range(_N_PAIRED_READS):
        before_s, unix_s, after_s = now(), unix_now(), now()
        if after_s - before_s < closest_s:
            closest_s = after_s - before_s
            offset_s = unix_s - (before_s + after_s) / 2
    return offset_s
