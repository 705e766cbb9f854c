"""Estimate of the burst size: how many ticks the board makes at once. Pure.

The board runs all ticks of an audio block in one burst, so replies carry last ticks of bursts:
their differences are multiples of the burst's size. Too small an answer would make the clock's
bounds false, too large a one only makes them loose: when in doubt the answer is large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LARGEST = 4096  # frames in Bela's largest audio block


def burst_ticks(ticks: NDArray[np.int64], granularity: int = 1, at_most: int | None = None) -> int:
    """Estimate how many ticks come in one burst.

    One reply in eight may have been read in the middle of a burst without changing the answer.

    Parameters
    ----------
    ticks : array of shape (n,), int64
        Ticks of successive replies, relative to any one tick; n >= 1.
    granularity : int
        What the replies' ticks were rounded to (they have 15 significant digits).
    at_most : int, optional
        The largest burst that is possible.

    Returns
    -------
    int
        Ticks per burst, at least 1 and at least `granularity`; more than the truth while
        there is too little to tell.
    """
    if at_most is None:
        return _likely_burst(ticks, granularity)
    if granularity == 1 and ticks.any() and not (ticks % at_most).any():
        return at_most  # all of them are on that grid, and so on that of whatever is found
    return min(at_most, _likely_burst(ticks, granularity))


def _likely_burst(ticks: NDArray[np.int64], granularity: int) -> int:
    steps = np.diff(np.unique(ticks))
    if len(steps) == 0:
        return max(1, granularity)
    if granularity > 1:
        # rounding hides the exact multiples; the usual block sizes can still be recognised
        candidates = _LARGEST >> np.arange(_LARGEST.bit_length())
    else:
        pairs = np.gcd(steps[:-1], steps[1:])
        together = np.gcd.reduce(steps)
        candidates = np.unique(np.append(pairs[pairs > together], together))[::-1]
    for candidate in candidates.tolist():
        if candidate <= granularity:
            break
        if _outliers(ticks, candidate, granularity) <= len(ticks) // 8:
            return _largest_divisor(candidate)
    return max(1, granularity)


def _largest_divisor(size: int) -> int:
    """Return the largest burst that can have made steps of a multiple of a size."""
    possible = np.arange(_LARGEST, 0, -1)
    return int(possible[size % possible == 0][0])


def _outliers(ticks: NDArray[np.int64], size: int, granularity: int) -> int:
    """Count the ticks that do not lie on one grid of the given size, within the rounding."""
    residues = np.sort(ticks % size)
    around = np.concatenate([residues, residues + size])
    reach = np.searchsorted(around, residues + granularity - 1, side="right")
    return len(ticks) - int((reach - np.arange(len(residues))).max())
