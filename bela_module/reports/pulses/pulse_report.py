"""Lag and jitter between two channels that saw the same pulses, and the delay to set. Pure.

``lag = time in the second channel - time in the first one``: positive when the second channel,
that of ``--against``, has the pulse later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import RecordingError
from bela_module.reports.pulses.channel_choice import ChosenChannel
from bela_module.reports.pulses.pulse_edges import PulseEdges
from bela_module.reports.pulses.pulse_matching import (
    MAX_LAG_S,
    RECORDED_MARGIN_S,
    PulseMatch,
    match_pulses,
    may_be_chance,
    n_missed,
)
from bela_module.reports.recorded_stream import Floats, RecordedStream
from bela_module.reports.stamp_breaks import find_breaks
from bela_module.reports.verdicts import ReportFinding, ReportVerdict

MIN_PULSES: Final = 3
MATCHED_WARN_SHARE: Final = 0.9
"""Share of the pulses of each channel that have to be matched while both were recorded."""

JITTER_WARN_S: Final = 0.002
"""95 % of the lags have to be nearer to their line than this, or than two samples."""

DRIFT_WARN_S: Final = 0.001
"""Change of the lag over the recording from which on it is worth a warning."""

OUTLIER_WARN_SHARE: Final = 0.05
"""Share of the pairs that may be far from the line."""

NO_LAG_S: Final = 1e-4
"""A lag that is too small to be corrected."""

MAX_INPUT_DELAY_S: Final = 1.0
_OUTLIER_SPREADS: Final = 6.0
_N_BINS: Final = 41
_SIGMA: Final = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class PulseReport:
    """Pulses of two channels, compared.

    Attributes
    ----------
    pulse, against : ChosenChannel
        Both channels.
    pulse_edges, against_edges : PulseEdges
        Their pulses.
    match : PulseMatch
        Which belong together.
    """

    pulse: ChosenChannel
    against: ChosenChannel
    pulse_edges: PulseEdges
    against_edges: PulseEdges
    match: PulseMatch

    @property
    def times_s(self) -> Floats:
        """Times of the matched pulses in the first channel, shape (n_pairs,)."""
        return self.pulse_edges.times_s[self.match.first]

    @property
    def lags_s(self) -> Floats:
        """Lag of each matched pulse, shape (n_pairs,)."""
        return self.against_edges.times_s[self.match.second] - self.times_s

    @property
    def residuals_s(self) -> Floats:
        """How far each lag is from the line that they follow, shape (n_pairs,)."""
        return self.lags_s - self.match.lag_at_s(self.times_s)

    @property
    def lag_s(self) -> float:
        """Median of the lags that are no outliers."""
        return float(np.median(self.lags_s[~self.is_outlier]))

    @property
    def drift_ppm(self) -> float:
        """Change of the lag, in microseconds per second."""
        return self.match.drift * 1e6

    @property
    def drift_error_ppm(self) -> float:
        """Half the width of the 99 % confidence interval of the drift, in microseconds per second.

        The standard error of a slope of least squares, times the quantile of Student's t
        (Abramowitz and Stegun, 26.7.5). Outliers count where they are many: then they may be
        jitter. Infinite for fewer than three pairs.
        """
        are_many = np.mean(self.is_outlier) > OUTLIER_WARN_SHARE
        inliers = ~self.is_outlier | are_many
        times_s, residuals_s = self.times_s[inliers], self.residuals_s[inliers]
        freedom = times_s.size - 2
        square_s2 = float(np.sum(np.square(times_s - np.mean(times_s)))) if freedom > 0 else 0.0
        if square_s2 == 0:
            return math.inf
        quantile = 2.576 + 4.917 / freedom + 8.84 / freedom**2 + 12.15 / freedom**3
        variance_s2 = float(np.sum(np.square(residuals_s))) / freedom
        return 1e6 * quantile * math.sqrt(variance_s2 / square_s2)

    @property
    def is_drifting(self) -> bool:
        """Whether the lag surely changes: by more than its jitter can seem to."""
        return abs(self.drift_ppm) > self.drift_error_ppm

    @property
    def change_s(self) -> float:
        """Change of the lag from the first matched pulse to the last."""
        return self.match.drift * float(np.ptp(self.times_s))

    @property
    def jitter_s(self) -> float:
        """Robust standard deviation of the lags around their line."""
        return _SIGMA * float(np.median(np.abs(self.residuals_s)))

    @property
    def p95_s(self) -> float:
        """95 % of the lags that are no outliers are nearer to their line than this."""
        return float(np.quantile(np.abs(self.residuals_s[~self.is_outlier]), 0.95))

    @property
    def max_s(self) -> float:
        """Largest distance of a lag from the line, outliers and all."""
        return float(np.max(np.abs(self.residuals_s)))

    @property
    def resolution_s(self) -> float:
        """Time between two samples of the slower channel."""
        return max(self.pulse_edges.resolution_s, self.against_edges.resolution_s)

    @property
    def is_outlier(self) -> NDArray[np.bool_]:
        """Which pairs are far from the line, shape (n_pairs,) of bool."""
        samples_s = self.pulse_edges.resolution_s + self.against_edges.resolution_s
        usual_s = max(_OUTLIER_SPREADS * self.jitter_s, 1.01 * samples_s, 1e-4)
        return np.asarray(np.abs(self.residuals_s) > usual_s)

    @property
    def unmatched_s(self) -> tuple[Floats, Floats]:
        """Times of the pulses of both channels that have no counterpart."""
        return (
            np.delete(self.pulse_edges.times_s, self.match.first),
            np.delete(self.against_edges.times_s, self.match.second),
        )

    @property
    def n_missed(self) -> tuple[int, int]:
        """How many pulses of both channels the other one lacks, though it was recorded then."""
        recorded_s = _recorded_s(self.pulse, self.against)
        first_s, second_s = self.pulse_edges.times_s, self.against_edges.times_s
        return n_missed(first_s, second_s, self.match, recorded_s)

    def histogram(self) -> tuple[Floats, Floats]:
        """Count the lags: counts of shape (n_bins,) and borders in seconds of (n_bins + 1,)."""
        counts, borders_s = np.histogram(self.lags_s, _N_BINS)
        return counts.astype(np.float64), borders_s

    @property
    def input_delay_s(self) -> float | None:
        """The ``board.input_delay_s`` that makes the lag zero, ``None`` when none does.

        That of the board of the first channel, else of the second. It is subtracted from all
        stamps of the board and can only make them earlier.
        """
        if self.pulse.stream.is_ours:
            delay_s = self.pulse.stream.input_delay_s - self.lag_s
        elif self.against.stream.is_ours:
            delay_s = self.against.stream.input_delay_s + self.lag_s
        else:
            return None
        return delay_s if 0 <= delay_s <= MAX_INPUT_DELAY_S else None

    @property
    def advice(self) -> str:
        """What to do about the lag, in words."""
        ours = self.pulse if self.pulse.stream.is_ours else self.against
        other = self.against if ours is self.pulse else self.pulse
        if not ours.stream.is_ours:
            return "neither channel is a board's: nothing to set here"
        if abs(self.lag_s) < NO_LAG_S:
            return f"nothing: the stamps agree within {1e3 * NO_LAG_S:g} ms"
        if self.match.other_lags_s:
            return "nothing yet: other lags fit as well; give pulses at uneven intervals"
        board = ours.stream.board.split(":")[0]
        if self.input_delay_s is None:
            late_s = abs(self.lag_s)
            return (
                f"{other.title} is {1e3 * late_s:.3f} ms later than {ours.title}. No input_delay_s "
                f"of the board {board!r} makes them equal, since it cannot make stamps later: "
                f"subtract the delay from {other.stream.name}"
            )
        return (
            f"to have the lag zero, set [board] input_delay_s = {self.input_delay_s:.6f} in the "
            f"configuration of the board {board!r} (it was {ours.stream.input_delay_s:.6f}), if it "
            f"is this board's converters that are late and not {other.stream.name} that is early"
        )


def report_on_pulses(
    pulse: ChosenChannel, against: ChosenChannel, edges: PulseEdges, against_edges: PulseEdges
) -> PulseReport:
    """Compare the pulses of two channels.

    Raises
    ------
    RecordingError
        Too few pulses, or no lag under which more of them match than by chance.
    """
    for chosen, found in ((pulse, edges), (against, against_edges)):
        if found.times_s.size < MIN_PULSES:
            raise RecordingError(
                f"{chosen.title} has {found.times_s.size} pulses; at least {MIN_PULSES} are needed"
            )
    recorded_s = _recorded_s(pulse, against)
    match = match_pulses(edges.times_s, against_edges.times_s, recorded_s=recorded_s)
    report = PulseReport(pulse, against, edges, against_edges, match)
    if match.first.size < MIN_PULSES or _is_chance(report):
        raise RecordingError(
            f"the {edges.times_s.size} pulses of {pulse.title} and the "
            f"{against_edges.times_s.size} of {against.title} do not match: of all lags up to "
            f"{MAX_LAG_S:g} s none fits more of them than unrelated ones would. Is it the right "
            "channel, and the right edge?"
        )
    return report


def _is_chance(report: PulseReport) -> bool:
    first_s, second_s = report.pulse_edges.times_s, report.against_edges.times_s
    return may_be_chance(first_s, second_s, report.match, report.resolution_s)


def _recorded_s(pulse: ChosenChannel, against: ChosenChannel) -> tuple[Floats, Floats]:
    """Give the stretches in which each channel was recorded, shape (n_stretches, 2) each.

    In an irregular stream nothing is written where nothing happens: it was recorded at least as
    long as the other one.
    """
    first, second = _stretches_s(pulse.stream), _stretches_s(against.stream)
    ends_s = np.array([[min(first.min(), second.min()), max(first.max(), second.max())]])
    return (
        first if pulse.stream.nominal_rate_hz > 0 else ends_s,
        second if against.stream.nominal_rate_hz > 0 else ends_s,
    )


def _stretches_s(stream: RecordedStream) -> Floats:
    """Give begin and end of what is between the longer breaks of a stream."""
    stamps_s = stream.stamps_s
    breaks = find_breaks(stamps_s, stream.nominal_rate_hz)
    before = breaks.before[breaks.missing_s > RECORDED_MARGIN_S]
    begins_s = np.concatenate([stamps_s[:1], stamps_s[before + 1]])
    return np.column_stack([begins_s, np.concatenate([stamps_s[before], stamps_s[-1:]])])


def judge_pulses(report: PulseReport) -> list[ReportFinding]:
    """Judge the lag: whether it is one, constant, and of enough pulses."""
    about = f"{report.pulse.title} and {report.against.title}"
    n_pairs = report.match.first.size
    faults = []
    for chosen, n_lacked in zip((report.pulse, report.against), report.n_missed, strict=True):
        if n_pairs < MATCHED_WARN_SHARE * (n_pairs + n_lacked):
            n_all = n_pairs + n_lacked
            faults.append(f"only {n_pairs} of {n_all} pulses of {chosen.title} have a counterpart")
    n_outliers = int(np.count_nonzero(report.is_outlier))
    if n_outliers > OUTLIER_WARN_SHARE * n_pairs:
        faults.append(
            f"{n_outliers} of {n_pairs} lags are outliers, up to {1e3 * report.max_s:.3f} ms off"
        )
    if report.p95_s > max(JITTER_WARN_S, 2 * report.resolution_s):
        faults.append(f"the lag is uneven: 95 % within {1e3 * report.p95_s:.3f} ms of its line")
    if report.is_drifting and abs(report.change_s) > max(DRIFT_WARN_S, report.resolution_s):
        faults.append(
            f"the lag drifts by {report.drift_ppm:+.2f} ± {report.drift_error_ppm:.2f} ppm, "
            f"{1e3 * report.change_s:+.3f} ms in all"
        )
    if report.match.other_lags_s:
        lags = ", ".join(f"{lag_s:g}" for lag_s in report.match.other_lags_s[:4])
        faults.append(f"lags of {lags} s fit nearly as many pulses: send them at uneven intervals")
    if faults:
        return [ReportFinding(ReportVerdict.WARN, about, text) for text in faults]
    text = f"{n_pairs} pulses, lag {1e3 * report.lag_s:.3f} ms, 95 % within "
    text += f"{1e3 * report.p95_s:.3f} ms of it"
    return [ReportFinding(ReportVerdict.OK, about, text)]


def pulses_json(report: PulseReport, begins_s: float) -> dict[str, Any]:
    """Give the comparison as an object for JSON; times are since ``begins_s``."""
    counts, borders_s = report.histogram()
    unmatched_s, unmatched_against_s = report.unmatched_s
    return {
        "pulse": _channel_json(report.pulse, report.pulse_edges),
        "against": _channel_json(report.against, report.against_edges),
        "matched": report.match.first.size,
        "lag_s": report.lag_s,
        "drift_ppm": report.drift_ppm,
        "drift_error_ppm": report.drift_error_ppm,
        "change_s": report.change_s,
        "jitter_s": report.jitter_s,
        "p95_s": report.p95_s,
        "max_s": report.max_s,
        "resolution_s": report.resolution_s,
        "outliers": int(np.count_nonzero(report.is_outlier)),
        "other_lags_s": list(report.match.other_lags_s),
        "input_delay_s": report.input_delay_s,
        "advice": report.advice,
        "unmatched_at_s": (unmatched_s - begins_s).tolist(),
        "unmatched_against_at_s": (unmatched_against_s - begins_s).tolist(),
        "at_s": (report.times_s - begins_s).tolist(),
        "lags_s": report.lags_s.tolist(),
        "histogram": {"counts": counts.tolist(), "borders_s": borders_s.tolist()},
    }


def _channel_json(chosen: ChosenChannel, edges: PulseEdges) -> dict[str, Any]:
    return {
        "channel": chosen.title,
        "pulses": edges.times_s.size,
        "bounces": edges.n_bounces,
        "method": edges.method.value,
        "edges": edges.direction.value,
        "resolution_s": edges.resolution_s if math.isfinite(edges.resolution_s) else None,
    }
