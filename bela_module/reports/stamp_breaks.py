"""Breaks in the stamps of a regular stream: where, and how many samples they lack. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.recorded_stream import Floats

_BREAK_STEPS: Final = 1.5
_SHORT_STEPS: Final = 0.5
_ODD_RATE: Final = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class StampBreaks:
    """Where the stamps of a stream go on later than one step after another.

    Attributes
    ----------
    step_s : float
        Time between two samples, as measured where nothing is missing; NaN when there is none.
    before : ndarray of int of shape (n_breaks,)
        Number of the last sample before each break.
    n_missing : ndarray of int of shape (n_breaks,)
        Samples that have room in it.
    missing_s : ndarray of shape (n_breaks,)
        Time that it lacks, in seconds.
    n_backwards : int
        Stamps that are earlier than the one before.
    n_repeated : int
        Stamps that are the same as the one before.
    """

    step_s: float
    before: NDArray[np.int64]
    n_missing: NDArray[np.int64]
    missing_s: Floats
    n_backwards: int
    n_repeated: int


def find_breaks(stamps_s: Floats, nominal_rate_hz: float) -> StampBreaks:
    """Find the breaks in the stamps of a stream.

    Parameters
    ----------
    stamps_s : ndarray of shape (n_samples,)
        Stamps in seconds.
    nominal_rate_hz : float
        As announced. With 0 the stream is irregular, and no time is missing in it.
    """
    steps_s = np.diff(stamps_s)
    n_backwards = int(np.count_nonzero(steps_s < 0))
    n_repeated = int(np.count_nonzero(steps_s == 0))
    step_s = _step_s(steps_s, nominal_rate_hz)
    if np.isnan(step_s):
        none = np.empty(0, np.int64)
        return StampBreaks(step_s, none, none, np.empty(0), n_backwards, n_repeated)
    before = np.flatnonzero(steps_s > _BREAK_STEPS * step_s)
    missing_s = steps_s[before] - step_s
    n_missing = np.rint(missing_s / step_s).astype(np.int64)
    return StampBreaks(step_s, before, n_missing, missing_s, n_backwards, n_repeated)


def _step_s(steps_s: Floats, nominal_rate_hz: float) -> float:
    """Measure the time between two samples, from those that follow each other directly.

    A nominal rate that is plainly wrong is not believed.
    """
    if nominal_rate_hz <= 0 or steps_s.size == 0:
        return float("nan")
    about_s = 1 / nominal_rate_hz
    median_s = float(np.median(steps_s))
    if median_s > 0 and abs(median_s / about_s - 1) > _ODD_RATE:
        about_s = median_s
    near = (steps_s > _SHORT_STEPS * about_s) & (steps_s < _BREAK_STEPS * about_s)
    return float(np.mean(steps_s[near])) if near.any() else about_s
