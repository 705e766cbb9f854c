"""Which pulse of one channel is which of another: unknown lag, drift, missing and extra ones. Pure.

All pairs of pulses vote for a lag under each drift that clocks can have; the lags with the most
votes are refined by matching one to one and fitting a line, robustly. Pulses at even intervals fit
several lags; then the smallest one of those that explain as much is taken, and the others are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.recorded_stream import Floats

MAX_LAG_S: Final = 10.0
MAX_DRIFT_PPM: Final = 1000.0
_BIN_S: Final = 0.01
_MAX_PAIRS: Final = 60_000
_MAX_DRIFTS: Final = 1500
_MAX_CANDIDATES: Final = 32
_ROUNDS: Final = 6
_WIDEST_S: Final = 0.1
_NARROWEST_S: Final = 0.002
_OF_AN_INTERVAL: Final = 0.3
_MIN_FITTED: Final = 5
_TUKEY: Final = 4.685
_SIGMA: Final = 1.4826
_CHANCE: Final = 1.2
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


def match_pulses(first_s: Floats, second_s: Floats, max_lag_s: float = MAX_LAG_S) -> PulseMatch:
    """Match the pulses of two channels.

    Parameters
    ----------
    first_s, second_s : ndarray of shape (n,) and (m,)
        Times of the pulses, ascending; at least one each.
    max_lag_s : float
        Largest lag that is looked for, in both directions.

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
    scores = np.array([_score(first_s, second_s, match, widest_s) for match in found])
    lags_s = np.array([match.lag_s for match in found])
    best = float(scores.max())
    # Missing pulses decide between the lags that even intervals allow by chance only.
    margin = min(_CHANCE * np.sqrt(best), (1 - _NEARLY_AS_GOOD) * best)
    as_good = np.flatnonzero(scores >= best - margin)
    taken = as_good[np.argmin(np.abs(lags_s[as_good]))]
    taken = max(
        np.flatnonzero(np.abs(lags_s - lags_s[taken]) < _OTHER_LAG_S), key=lambda k: scores[k]
    )
    others = (scores >= _NEARLY_AS_GOOD * best) & (np.abs(lags_s - lags_s[taken]) > _OTHER_LAG_S)
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


def _score(first_s: Floats, second_s: Floats, match: PulseMatch, widest_s: float) -> float:
    """Count pairs, each the less the farther it is from the line."""
    if match.first.size == 0:
        return 0.0
    lags_s = second_s[match.second] - first_s[match.first]
    rest_s = np.abs(lags_s - match.lag_at_s(first_s[match.first]))
    return float(np.sum(1 - rest_s / widest_s))
