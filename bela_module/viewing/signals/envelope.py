"""Minimum and maximum of each of many equal bins of time: how fast signals are drawn. Pure.

A signal of 44 100 samples a second has hundreds of samples for each column of a screen. Its lowest
and its highest value in the time of a column look the same as all of them. Whole blocks are reduced
by numpy, each once: the cost of a drawing does not depend on the time that it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.variables import Array
from bela_module.streams.sink import Stamps

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Lowest and highest values of consecutive bins.

    Attributes
    ----------
    begins_s : ndarray of float64 of shape (n_bins,)
        LSL time at which each bin begins.
    low, high : ndarray of shape (n_bins, n_channels)
        Lowest and highest value of each bin; NaN where it has no sample.
    """

    begins_s: Stamps
    low: Floats
    high: Floats


class EnvelopeRing:
    """Reduces samples to the lowest and highest value of bins, and keeps the newest bins.

    Bins begin at multiples of their width in LSL time, so that they stay the same while a page
    scrolls and only the last one changes.

    Parameters
    ----------
    bin_s : float
        Width of a bin.
    n_bins : int
        How many are kept.
    n_channels : int
        Channels of the signal.
    """

    def __init__(self, bin_s: float, n_bins: int, n_channels: int) -> None:
        self.bin_s = bin_s
        self._n_bins = n_bins
        self._low = np.full((n_bins, n_channels), np.nan)
        self._high = np.full((n_bins, n_channels), np.nan)
        self._newest: int | None = None

    def add(self, stamps_s: Stamps, values: Array) -> None:
        """Take samples, later than those before.

        Parameters
        ----------
        stamps_s : ndarray of float64 of shape (n_samples,)
            LSL time of each.
        values : ndarray of shape (n_samples, n_channels)
            The samples; NaN where a value is missing.
        """
        if not stamps_s.size:
            return
        of_sample = np.floor(stamps_s / self.bin_s).astype(np.int64)
        starts = np.flatnonzero(np.diff(of_sample, prepend=of_sample[0] - 1))
        bins = of_sample[starts]
        low = np.fmin.reduceat(values, starts, axis=0)
        high = np.fmax.reduceat(values, starts, axis=0)
        kept = bins > bins[-1] - self._n_bins
        bins, low, high = bins[kept], low[kept], high[kept]
        self._clear_up_to(int(bins[-1]))
        # The first of these bins may have begun with the samples before.
        at = bins % self._n_bins
        self._low[at] = np.fmin(self._low[at], low)
        self._high[at] = np.fmax(self._high[at], high)

    def between(self, first_s: float, last_s: float) -> Envelope:
        """Give the bins of a span of time, as far as they are kept; the last one may go on."""
        if self._newest is None:
            nothing = self._low[:0]
            return Envelope(np.empty(0), nothing, nothing)
        first = max(int(np.floor(first_s / self.bin_s)), self._newest - self._n_bins + 1)
        last = min(int(np.floor(last_s / self.bin_s)), self._newest)
        bins = np.arange(first, last + 1)
        at = bins % self._n_bins
        begins_s = np.asarray(bins * self.bin_s, np.float64)
        return Envelope(begins_s, self._low[at], self._high[at])

    def _clear_up_to(self, newest: int) -> None:
        """Empty the bins after the newest one so far, whose places older ones have had."""
        before = newest - self._n_bins if self._newest is None else self._newest
        fresh = np.arange(max(before + 1, newest - self._n_bins + 1), newest + 1)
        self._low[fresh % self._n_bins] = np.nan
        self._high[fresh % self._n_bins] = np.nan
        self._newest = max(newest, before)
