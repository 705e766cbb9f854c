"""The points of the line of each channel of a stream, for a span of time. Pure.

Few samples are drawn as they are, many as an envelope, slow and sparse ones as steps with a dot for
each value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.streams.sink import Stamps
from bela_module.viewing.signals.envelope import Envelope, EnvelopeRing, Floats
from bela_module.viewing.signals.gap_log import SignalGap
from bela_module.viewing.signals.sample_history import SampleHistory

_SLOW_HZ: Final = 20.0
"""Up to this rate, and without a rate, each value holds until the next: a step."""
_MAX_DOTS: Final = 300
"""Of a line; more of them would hide it."""
_SPARE_BINS: Final = 4
_BIN_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class SignalPoints:
    """What is drawn of a stream.

    Attributes
    ----------
    stamps_s : ndarray of float64 of shape (n_points,)
        LSL time of each point of the lines.
    values : ndarray of float64 of shape (n_points, n_channels)
        The lines; NaN where they are interrupted.
    dot_stamps_s : ndarray of float64 of shape (n_dots,)
        LSL time of each dot.
    dot_values : ndarray of float64 of shape (n_dots, n_channels)
        The dots.
    """

    stamps_s: Stamps
    values: Floats
    dot_stamps_s: Stamps
    dot_values: Floats


@dataclass(slots=True)
class _Bins:
    """Bins that a view keeps, what they were made for, and the span of time that is in them."""

    key: tuple[float, int, int]
    ring: EnvelopeRing
    first_s: float
    newest_s: float


class SignalView:
    """Follows the history of a stream for one page.

    Parameters
    ----------
    history : SampleHistory
        The samples.
    nominal_rate_hz : float
        Samples per second; 0 for an irregular stream.
    """

    def __init__(self, history: SampleHistory, nominal_rate_hz: float) -> None:
        self._history = history
        self._is_slow = nominal_rate_hz <= _SLOW_HZ
        self._is_irregular = nominal_rate_hz == 0
        self._bins: _Bins | None = None

    def points(
        self, first_s: float, last_s: float, n_bins: int, gaps: list[SignalGap]
    ) -> SignalPoints:
        """Give the points of a span of time.

        Parameters
        ----------
        first_s, last_s : float
            LSL times.
        n_bins : int
            Into how many bins the span is divided when it has more than two samples for each.
        gaps : list of SignalGap
            Where lines are interrupted.
        """
        if self._history.count_between(first_s, last_s) > 2 * n_bins:
            return self._envelope(first_s, last_s, n_bins)
        self._bins = None
        return self._samples(first_s, last_s, gaps)

    def _samples(self, first_s: float, last_s: float, gaps: list[SignalGap]) -> SignalPoints:
        block = self._history.between(first_s, last_s, and_before=True)
        stamps_s, values = block.stamps_s, block.values.astype(np.float64)
        if self._is_slow and stamps_s.size:
            last_value = values[-1:]
            steps_s = np.append(np.repeat(stamps_s, 2)[1:], max(last_s, stamps_s[-1]))
            steps = np.concatenate([np.repeat(values, 2, axis=0)[:-1], last_value])
            dots = slice(0, stamps_s.size if stamps_s.size <= _MAX_DOTS else 0)
            return SignalPoints(steps_s, steps, stamps_s[dots], values[dots])
        return _interrupted(stamps_s, values, gaps)

    def _envelope(self, first_s: float, last_s: float, n_bins: int) -> SignalPoints:
        ring = self._up_to_date(first_s, last_s, n_bins)
        bins = ring.between(first_s, last_s)
        if self._is_irregular:  # a bin without a sample is no gap there
            has_some = ~np.isnan(bins.low).all(axis=1)
            bins = Envelope(bins.begins_s[has_some], bins.low[has_some], bins.high[has_some])
        begins_s = np.repeat(bins.begins_s, 2)
        begins_s[0::2] += 0.25 * ring.bin_s
        begins_s[1::2] += 0.75 * ring.bin_s
        lines = np.empty((begins_s.size, self._history.n_channels))
        lines[0::2], lines[1::2] = bins.low, bins.high
        newest_s, newest = self._history.last_stamp_s, self._history.last_values
        if newest_s is not None and newest is not None and first_s <= newest_s <= last_s:
            # The last bin has only begun: lines end at the newest sample and with its value.
            begins_s = np.append(np.minimum(begins_s, newest_s), newest_s)
            lines = np.concatenate([lines, newest[None].astype(np.float64)])
        nothing = lines[:0]
        return SignalPoints(begins_s, lines, begins_s[:0], nothing)

    def _up_to_date(self, first_s: float, last_s: float, n_bins: int) -> EnvelopeRing:
        """Give the bins with all samples; made again when they have another width or place."""
        bin_s = float(f"{(last_s - first_s) / n_bins:.{_BIN_DIGITS}g}")
        key = (bin_s, n_bins, self._history.generation)
        bins = self._bins
        if bins is None or bins.key != key or first_s < bins.first_s:
            ring = EnvelopeRing(bin_s, n_bins + _SPARE_BINS, self._history.n_channels)
            bins = self._bins = _Bins(key, ring, first_s, -np.inf)
        block = self._history.between(
            max(first_s, float(np.nextafter(bins.newest_s, np.inf))), last_s
        )
        if block.n_samples:
            bins.ring.add(block.stamps_s, block.values)
            bins.newest_s = float(block.stamps_s[-1])
            bins.first_s = max(bins.first_s, bins.newest_s - bin_s * n_bins)
        return bins.ring


def _interrupted(stamps_s: Stamps, values: Floats, gaps: list[SignalGap]) -> SignalPoints:
    """Insert a point without values into each gap."""
    inside = [gap for gap in gaps if stamps_s.size and gap.ends_s > stamps_s[0]]
    if inside:
        middles_s = np.array([(gap.begins_s + gap.ends_s) / 2 for gap in inside])
        at = np.searchsorted(stamps_s, middles_s)
        stamps_s = np.insert(stamps_s, at, middles_s)
        values = np.insert(values, at, np.nan, axis=0)
    return SignalPoints(stamps_s, values, stamps_s[:0], values[:0])
