"""Which pulse of one channel is which of another: unknown lag, drift, missing and extra ones. Pure.

All pairs of pulses vote for a lag under each drift that clocks can have; the lags with the most
votes are refined by matching one to one and fitting a line, robustly. Pulses at even intervals fit
several lags; then the smallest one of those that explain as much is taken, and the others are told.
A lag explains less when its pairs are farther from their line, or when it leaves more pulses
without a counterpart while the other channel was recorded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.recorded_stream import Floats

Recorded: TypeAlias = tuple[float, float] | Floats
"""Begin and end in seconds, or of several stretches: ascending, of shape (n_stretches, 2)."""

MAX_LAG_S: Final = 10.0
MAX_DRIFT_PPM: Final = 1000.0
_BIN_S: Final = 0.01
_MAX_PAIRS: Final = 60_000
_MAX_DRIFTS: Final = 1500
_MAX_CANDIDATES: Final = 32
_ROUNDS: Final = 6
_WIDEST_S: Final = 0.1
RECORDED_MARGIN_S: Final = _WIDEST_S
"""A pulse is only missed where the channel was recorded for so long before and after it."""

_NARROWEST_S: Final = 0.002
_OF_AN_INTERVAL: Final = 0.3
_MIN_FITTED: Final = 5
_TUKEY: Final = 4.685
_SIGMA: Final = 1.4826
_MISSES_BY_CHANCE: Final = 2.0
_MUCH_FARTHER: Final = 2.0
_SMALLEST_REST_S: Final = 1e-4
_BY_CHANCE: Final = 0.1
_PAIRS_A_STEP: Final = 10
_FEW_VOTES: Final = 0.4
_NEARLY_AS_GOOD: Final = 0.8
_OTHER_LAG_S: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class PulseMatch:
    """Pairs of pulses, and the line that their lags follow.

    Attributes
    ----------
    first, second : ndarray of int of shape (n_pairs,)
        Numbers of the pulses of both channels that belong together, ascending.
    lag_s : float
        Lag of the second channel at ``at_s``.
    drift : float
        Change of the lag, in seconds per second.
    at_s : float
        Middle of the pulses of the first channel.
    other_lags_s : tuple of float
        Lags that explain nearly as many pulses.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    lag_s: float
    drift: float
    at_s: float
    other_lags_s: tuple[float, ...] = ()

    def lag_at_s(self, times_s: Floats) -> Floats:
        """Give the lag of the line at times of the first channel, shape as given."""
        return self.lag_s + self.drift * (times_s - self.at_s)


def match_pulses(
    first_s: Floats,
    second_s: Floats,
    max_lag_s: float = MAX_LAG_S,
    recorded_s: tuple[Recorded, Recorded] | None = None,
) -> PulseMatch:
    """Match the pulses of two channels.

    Parameters
    ----------
    first_s, second_s : ndarray of shape (n,) and (m,)
        Times of the pulses, ascending; at least one each.
    max_lag_s : float
        Largest lag that is looked for, in both directions.
    recorded_s : tuple of (begin, end) or ndarray of shape (n_stretches, 2), optional
        From when until when each channel was recorded; by default from its first to its last pulse.

    Returns
    -------
    PulseMatch
        Without pairs when nothing fits.
    """
    at_s = float(first_s[0] + first_s[-1]) / 2
    widest_s = min(_WIDEST_S, _OF_AN_INTERVAL * min(_interval_s(first_s), _interval_s(second_s)))
    found = [
        _refined(first_s, second_s, lag_s, drift, at_s, widest_s)
        for lag_s, drift in _candidates(first_s, second_s, at_s, max_lag_s)
    ]
    if not found:
        none = np.empty(0, np.int64)
        return PulseMatch(none, none, 0.0, 0.0, at_s)
    extents = recorded_s or ((first_s[0], first_s[-1]), (second_s[0], second_s[-1]))
    rests_s = [_rests_s(first_s, second_s, match) for match in found]
    scores = np.array([np.sum(1 - rest_s / widest_s) for rest_s in rests_s])
    usual_s = np.array([np.median(rest_s) if rest_s.size else np.inf for rest_s in rests_s])
    lags_s = np.array([match.lag_s for match in found])
    best = int(np.argmax(scores))
    likely = scores >= _NEARLY_AS_GOOD * scores[best]
    likely &= usual_s <= _MUCH_FARTHER * usual_s[best] + _SMALLEST_REST_S
    missed = np.array([sum(n_missed(first_s, second_s, match, extents)) for match in found])
    # Missing pulses decide between the lags that even intervals allow by chance only.
    least = int(missed[likely].min())
    as_good = np.flatnonzero(likely & (missed <= least + _MISSES_BY_CHANCE * np.sqrt(least)))
    taken = as_good[np.argmin(np.abs(lags_s[as_good]))]
    taken = max(
        np.flatnonzero(np.abs(lags_s - lags_s[taken]) < _OTHER_LAG_S), key=lambda k: scores[k]
    )
    others = likely & (np.abs(lags_s - lags_s[taken]) > _OTHER_LAG_S)
    told = sorted(set(np.round(lags_s[others], 2).tolist()), key=abs)
    match = found[taken]
    return PulseMatch(
        match.first, match.second, match.lag_s, match.drift, at_s, tuple(map(float, told))
    )


def _interval_s(times_s: Floats) -> float:
    return float(np.median(np.diff(times_s))) if times_s.size > 1 else np.inf


def _candidates(
    first_s: Floats, second_s: Floats, at_s: float, max_lag_s: float
) -> list[tuple[float, float]]:
    """Let all pairs vote; give the lags that have the most votes, each with its drift."""
    pairs_s, since_s = _pairs(first_s, second_s, at_s, max_lag_s)
    if pairs_s.size == 0:
        return []
    span_s = max(float(first_s[-1] - first_s[0]), 1.0)
    max_drift = MAX_DRIFT_PPM * 1e-6 if first_s.size >= _MIN_FITTED else 0.0
    bin_s = max(_BIN_S, 2 * max_drift * span_s / _MAX_DRIFTS)
    n_drifts = 2 * int(np.ceil(max_drift * span_s / bin_s)) + 1
    drifts = np.linspace(-max_drift, max_drift, n_drifts)
    reach_s = max_lag_s + max_drift * span_s + bin_s
    n_bins = int(2 * reach_s / bin_s) + 2
    votes, voted = np.zeros(n_bins, np.int64), np.zeros(n_bins)
    for drift in drifts[np.argsort(np.abs(drifts), kind="stable")]:
        places = ((pairs_s - drift * since_s + reach_s) / bin_s).astype(np.int64)
        count = np.bincount(places, minlength=n_bins)[:n_bins]
        count[:-1] += count[1:]  # a lag at the border of two bins has its votes in both
        better = count > votes
        votes[better], voted[better] = count[better], drift
    candidates: list[tuple[float, float]] = []
    least = max(1.0, _FEW_VOTES * float(votes.max()))
    for _ in range(_MAX_CANDIDATES):
        place = int(np.argmax(votes))
        if votes[place] < least:
            break
        candidates.append(((place + 1) * bin_s - reach_s, float(voted[place])))
        votes[max(0, place - 2) : place + 3] = 0
    return candidates


def _pairs(
    first_s: Floats, second_s: Floats, at_s: float, max_lag_s: float
) -> tuple[Floats, Floats]:
    """Give the lags of all pairs within reach, and when they are; of very many, of some pulses."""
    begin = np.searchsorted(second_s, first_s - max_lag_s)
    n_each = np.searchsorted(second_s, first_s + max_lag_s, "right") - begin
    n_pairs = int(n_each.sum())
    chosen = np.arange(0, first_s.size, max(1, int(np.ceil(n_pairs / _MAX_PAIRS))))
    n_each, begin = n_each[chosen], begin[chosen]
    owner = np.repeat(chosen, n_each)
    within = np.arange(owner.size) - np.repeat(np.cumsum(n_each) - n_each, n_each)
    return second_s[np.repeat(begin, n_each) + within] - first_s[owner], first_s[owner] - at_s


def _refined(
    first_s: Floats, second_s: Floats, lag_s: float, drift: float, at_s: float, widest_s: float
) -> PulseMatch:
    """Match one to one and fit a line, in turns; the last match has room for outliers."""
    reach_s = widest_s
    for _ in range(_ROUNDS):
        match = _matched(first_s, second_s, lag_s, drift, at_s, reach_s)
        if match.first.size == 0:
            break
        since_s = first_s[match.first] - at_s
        lags_s = second_s[match.second] - first_s[match.first]
        lag_s, drift, spread_s = fit_line(since_s, lags_s)
        if abs(drift) > MAX_DRIFT_PPM * 1e-6:
            drift = math.copysign(MAX_DRIFT_PPM * 1e-6, drift)
            lag_s = float(np.median(lags_s - drift * since_s))
        reach_s = min(widest_s, max(8 * spread_s, _NARROWEST_S))
    return _matched(first_s, second_s, lag_s, drift, at_s, widest_s)


def _matched(
    first_s: Floats, second_s: Floats, lag_s: float, drift: float, at_s: float, reach_s: float
) -> PulseMatch:
    """Match pulses that are each other's nearest ones under a lag, and near enough."""
    expected_s = first_s + lag_s + drift * (first_s - at_s)
    second = _nearest(second_s, expected_s)
    first = _nearest(expected_s, second_s)
    numbers = np.arange(first_s.size)
    near = np.abs(second_s[second] - expected_s) <= reach_s
    mutual = near & (first[second] == numbers)
    return PulseMatch(numbers[mutual], second[mutual], lag_s, drift, at_s)


def _nearest(among_s: Floats, times_s: Floats) -> NDArray[np.int64]:
    """Give for each time the number of the nearest one among others, which ascend."""
    right = np.clip(np.searchsorted(among_s, times_s), 1, max(1, among_s.size - 1))
    right = np.minimum(right, among_s.size - 1)
    left = np.maximum(right - 1, 0)
    is_left = times_s - among_s[left] <= among_s[right] - times_s
    return np.asarray(np.where(is_left, left, right), np.int64)


def fit_line(since_s: Floats, lags_s: Floats) -> tuple[float, float, float]:
    """Fit a line that outliers do not move: least squares with Tukey's weights, repeated.

    Parameters
    ----------
    since_s, lags_s : ndarray of shape (n,)
        Where and what; with fewer than five, the line is level.

    Returns
    -------
    lag_s, drift, spread_s : float
        Lag at zero, slope, and robust standard deviation of what is left.
    """
    lag_s, drift = float(np.median(lags_s)), 0.0
    rest_s = lags_s - lag_s
    if since_s.size >= _MIN_FITTED and np.ptp(since_s) > 0:
        half = since_s.size // 2  # a first slope from the medians of both halves
        first, second = slice(None, half), slice(-half, None)
        distance_s = np.median(since_s[second]) - np.median(since_s[first])
        if distance_s > 0:
            drift = float((np.median(lags_s[second]) - np.median(lags_s[first])) / distance_s)
        lag_s = float(np.median(lags_s - drift * since_s))
        for _ in range(_ROUNDS):
            rest_s = lags_s - lag_s - drift * since_s
            scale_s = max(_spread(rest_s), 1e-7)
            weights = np.square(np.clip(1 - np.square(rest_s / (_TUKEY * scale_s)), 0, None))
            total = weights.sum()
            if total <= 0:
                break
            mean_since, mean_lag = weights @ since_s / total, weights @ lags_s / total
            centred = since_s - mean_since
            square = weights @ np.square(centred)
            if square <= 0:
                break
            drift = float(weights @ (centred * (lags_s - mean_lag)) / square)
            lag_s = float(mean_lag - drift * mean_since)
        rest_s = lags_s - lag_s - drift * since_s
    return lag_s, drift, _spread(rest_s)


def _spread(values: Floats) -> float:
    return _SIGMA * float(np.median(np.abs(values - np.median(values))))


def _rests_s(first_s: Floats, second_s: Floats, match: PulseMatch) -> Floats:
    """Give how far the lag of each pair is from the line, shape (n_pairs,)."""
    lags_s = second_s[match.second] - first_s[match.first]
    return np.asarray(np.abs(lags_s - match.lag_at_s(first_s[match.first])))


def n_missed(
    first_s: Floats, second_s: Floats, match: PulseMatch, recorded_s: tuple[Recorded, Recorded]
) -> tuple[int, int]:
    """Count the pulses of both channels that the other one lacks, though it was recorded then.

    Parameters
    ----------
    first_s, second_s : ndarray of shape (n,) and (m,)
        Times of the pulses, ascending.
    match : PulseMatch
        Which belong together.
    recorded_s : tuple of (begin, end) or ndarray of shape (n_stretches, 2)
        From when until when each channel was recorded.
    """
    of_first_s, of_second_s = recorded_s
    expected_s = np.delete(first_s + match.lag_at_s(first_s), match.first)
    sources_s = np.delete(second_s, match.second) - match.lag_s
    sources_s = sources_s + match.lag_s - match.lag_at_s(sources_s)
    return _n_within(expected_s, of_second_s), _n_within(sources_s, of_first_s)


def _n_within(times_s: Floats, recorded_s: Recorded) -> int:
    """Count times that are surely within what was recorded."""
    begins_s, ends_s = np.atleast_2d(recorded_s).T
    latest = np.searchsorted(begins_s + RECORDED_MARGIN_S, times_s) - 1
    within = (latest >= 0) & (times_s < ends_s[latest] - RECORDED_MARGIN_S)
    return int(np.count_nonzero(within))


def may_be_chance(
    first_s: Floats, second_s: Floats, match: PulseMatch, resolution_s: float
) -> bool:
    """Tell whether unrelated pulses can match as well, under one of all the lags that are tried.

    How many lags fit as well by chance is estimated with Chernoff's bound, for the best share of
    the pairs, as if pulses came at random. They come at more even intervals, which makes chance
    matches of many pairs likelier than that: the more pairs, the less is allowed.

    Parameters
    ----------
    first_s, second_s : ndarray of shape (n,) and (m,)
        Times of the pulses, ascending.
    match : PulseMatch
        Which were found to belong together; at least one pair.
    resolution_s : float
        How far a time can be off by itself.
    """
    few_s, many_s = (first_s, second_s) if first_s.size <= second_s.size else (second_s, first_s)
    span_s = max(float(many_s[-1] - many_s[0]), 1.0)
    density_hz = max(many_s.size / span_s, 1 / _interval_s(many_s))
    near_s = np.maximum(np.sort(_rests_s(first_s, second_s, match)), max(resolution_s, 1e-4) / 2)
    share = np.arange(1, near_s.size + 1) / few_s.size
    chance = 1 - np.exp(-2 * near_s * density_hz)
    with np.errstate(divide="ignore", invalid="ignore"):
        missing = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - chance)), 0.0)
    gain = few_s.size * (share * np.log(share / chance) + missing)
    n_lags = MAX_LAG_S / near_s
    if first_s.size >= _MIN_FITTED:
        n_lags = n_lags * np.maximum(1.0, 2e-6 * MAX_DRIFT_PPM * span_s / near_s)
    least = float(np.min(np.where(share > chance, np.log(n_lags) - gain, np.inf)))
    return least > math.log(_BY_CHANCE) * (1 + near_s.size / _PAIRS_A_STEP)
