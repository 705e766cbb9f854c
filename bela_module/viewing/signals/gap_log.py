"""Where values of a stream are missing: jumps of its stamps, and rows with NaN. Pure."""

from __future__ import annotations

import copy
from collections import deque
from typing import Final, NamedTuple

import numpy as np

from bela_module.protocol.variables import Array
from bela_module.streams.sink import Stamps

_LARGEST_STEP: Final = 1.5
"""In steps between samples; stamps are corrected by some thousandths of a step at most."""


class SignalGap(NamedTuple):
    """Times in LSL seconds of the last sample before a gap and of the first one after it."""

    begins_s: float
    ends_s: float


class GapLog:
    """Finds the gaps of a stream in its samples, and keeps the newest.

    Parameters
    ----------
    n_channels : int
        Channels of the stream.
    nominal_rate_hz : float
        Its samples per second; 0 for an irregular stream, of which only NaN shows a gap.
    kept_s : float
        How long gaps are kept.
    correction_s : float
        How far a correction of the clock's offset can move stamps at once: that is no gap.
    """

    def __init__(
        self, n_channels: int, nominal_rate_hz: float, kept_s: float, correction_s: float = 0.0
    ) -> None:
        self._kept_s = kept_s
        self._longest_s = np.inf
        if nominal_rate_hz > 0:
            step_s = 1 / nominal_rate_hz
            self._longest_s = max(_LARGEST_STEP * step_s, step_s + correction_s)
        self._last_s: float | None = None
        self._complete_s: float | None = None
        """Time of the last row without a missing value, while values are missing."""
        # A variable that the sketch never assigns has no values that could be missing.
        self._assigned: Array = np.zeros(n_channels, np.bool_)
        self._gaps: deque[SignalGap] = deque()

    @property
    def gaps(self) -> list[SignalGap]:
        """The gaps that are kept, in the order of their times."""
        open_gaps = []
        if self._complete_s is not None and self._last_s is not None:
            open_gaps.append(SignalGap(self._complete_s, self._last_s))
        return [*self._gaps, *open_gaps]

    def frozen(self) -> GapLog:
        """Copy it as it is now."""
        return copy.deepcopy(self)

    def add(self, stamps_s: Stamps, values: Array) -> None:
        """Look for gaps in samples, later than those before."""
        if not stamps_s.size:
            return
        if self._last_s is not None and stamps_s[0] < self._last_s:  # another clock
            self._gaps.clear()
            self._last_s = self._complete_s = None
        self._add_jumps(stamps_s)
        if values.dtype.kind == "f":
            self._add_missing(stamps_s, np.isnan(values))
        self._last_s = float(stamps_s[-1])
        while self._gaps and self._gaps[0].ends_s < self._last_s - self._kept_s:
            self._gaps.popleft()

    def _add_jumps(self, stamps_s: Stamps) -> None:
        if self._last_s is not None and stamps_s[0] - self._last_s > self._longest_s:
            self._note(self._last_s, float(stamps_s[0]))
        for k in np.flatnonzero(stamps_s[1:] - stamps_s[:-1] > self._longest_s):
            self._note(float(stamps_s[k]), float(stamps_s[k + 1]))

    def _add_missing(self, stamps_s: Stamps, is_missing: Array) -> None:
        if not is_missing.any():
            self._assigned[:] = True
            self._end_missing(float(stamps_s[0]))
            return
        since_here = np.logical_or.accumulate(~is_missing, axis=0)
        assigned = np.asarray(since_here | self._assigned)
        self._assigned = assigned[-1]
        rows = np.asarray((is_missing & assigned).any(axis=1))
        edges = np.flatnonzero(np.diff(rows, prepend=self._complete_s is not None))
        for k in edges:
            if rows[k]:
                before_s = self._last_s if k == 0 else stamps_s[k - 1]
                self._complete_s = float(stamps_s[0] if before_s is None else before_s)
            else:
                self._end_missing(float(stamps_s[k]))

    def _end_missing(self, end_s: float) -> None:
        if self._complete_s is not None:
            self._note(self._complete_s, end_s)
            self._complete_s = None

    def _note(self, begins_s: float, ends_s: float) -> None:
        if self._gaps and begins_s < self._gaps[-1].ends_s:  # the same one, or it goes on
            last = self._gaps.pop()
            begins_s, ends_s = min(begins_s, last.begins_s), max(ends_s, last.ends_s)
        self._gaps.append(SignalGap(begins_s, ends_s))
