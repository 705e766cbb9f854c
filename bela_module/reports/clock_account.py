"""What ``bela_clock`` of a recording says: stated uncertainty and drift over time. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bela_module.reports.recorded_stream import Floats, RecordedStream


@dataclass(frozen=True, slots=True, eq=False)
class ClockAccount:
    """The clock of a board over a recording.

    Attributes
    ----------
    board : str
        ``board:project``.
    stamps_s : ndarray of shape (n,)
        When each was stated, in LSL seconds.
    uncertainty_s, drift_ppm, rtt_s : ndarray of shape (n,)
        Largest possible error of the stamps, drift of the board's clock, and round trip.
    unix_minus_lsl_s : float
        Add it to a stamp for seconds since 1970; NaN when unknown.
    n_restarts : int
        How often the board's tick counter was reset.
    """

    board: str
    stamps_s: Floats
    uncertainty_s: Floats
    drift_ppm: Floats
    rtt_s: Floats
    unix_minus_lsl_s: float
    n_restarts: int

    @property
    def max_uncertainty_s(self) -> float:
        """Largest uncertainty that was stated, NaN when none was."""
        return float(np.nanmax(self.uncertainty_s)) if self._is_stated else math.nan

    @property
    def median_uncertainty_s(self) -> float:
        """Median of the uncertainty that was stated, NaN when none was."""
        return float(np.nanmedian(self.uncertainty_s)) if self._is_stated else math.nan

    @property
    def median_drift_ppm(self) -> float:
        """Median of the drift, NaN when none was stated."""
        known = self.drift_ppm[np.isfinite(self.drift_ppm)]
        return float(np.median(known)) if known.size else math.nan

    @property
    def _is_stated(self) -> bool:
        return bool(np.isfinite(self.uncertainty_s).any())


def clock_account(board: str, streams: Sequence[RecordedStream]) -> ClockAccount | None:
    """Account for the clock of a board; ``None`` when the recording does not have it."""
    streams = [stream for stream in streams if stream.stamps_s.size]
    if not streams:
        return None

    def joined(label: str) -> Floats:
        columns = [
            stream.column(stream.labels.index(label))
            if label in stream.labels
            else np.full(stream.stamps_s.size, math.nan)
            for stream in streams
        ]
        return np.concatenate(columns)[order]

    stamps_s = np.concatenate([stream.stamps_s for stream in streams])
    order = np.argsort(stamps_s, kind="stable")
    stamps_s = stamps_s[order]
    offsets_s = joined("unix_s") - stamps_s
    known = np.isfinite(offsets_s)
    return ClockAccount(
        board=board,
        stamps_s=stamps_s,
        uncertainty_s=joined("uncertainty_s"),
        drift_ppm=joined("drift_ppm"),
        rtt_s=joined("rtt_s"),
        unix_minus_lsl_s=float(np.median(offsets_s[known])) if known.any() else math.nan,
        n_restarts=int(np.count_nonzero(np.diff(joined("tick")) < 0)),
    )
