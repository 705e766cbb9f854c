"""The clock of all stamps, for those that publish nothing over LSL."""

from __future__ import annotations

import pylsl


def local_clock() -> float:
    """Read LSL's clock.

    No clock of Python's own is it on every system: on macOS they stand still while the computer
    sleeps, and on Windows ``time.monotonic`` moves in steps of 16 ms before Python 3.13.

    Returns
    -------
    float
        Seconds of ``pylsl.local_clock()``.
    """
    return float(pylsl.local_clock())
