"""Likelihood-weighted mean of the feasible lines: the clock's estimate. Pure.

Two things are known beyond the bounds.

*Probes*: the board told its tick at some moment between sending and receiving, and within the
burst period that begins with that tick. If delays there and back are exponential with one mean,
whatever it is, all such moments are equally likely, so that a line's likelihood is the length
for which its burst period and the round trip overlap.

*Arrivals*: blocks come more often than probes, over a way whose shortest delay is unknown but
stays the same. So they tell nothing of the offset beyond their bound but much of the rate:
seen along the true slope, their delays above the shortest are small (exponential, of a mean
that they tell themselves). The shortest delay itself may be anything up to the shortest round
trip with equal likelihood: only then symmetric delays of any size leave the estimate where it is.
Beyond it, which matters to slow ticks only, the likelihood falls.

The estimate is the mean over the polygon under that likelihood: it cannot leave the bounds.
"""

from __future__ import annotations

import numpy as np

from bela_module.clock.feasible_region import FeasibleLines, Floats

_SLOPES_COARSE, _SLOPES, _OFFSETS = 101, 13, 13
_SLOPES_AT_ONCE = 4
_NEGLIGIBLE = 12.0  # natural logarithm of a ratio of likelihoods that need not be looked at
_NEGLIGIBLE_SHARE = 1e-4
_MIN_ARRIVALS = 6
_ROUNDS = 3
# On real sockets the shortest delay wanders by 0.1 to 0.2 ms over seconds, and neighbouring
# arrivals share it: some twenty of them tell no more than one.
_INDEPENDENT = 0.05
_BEYOND_ROUND_TRIP_S = 0.005  # scale on which a shortest delay above a round trip is unlikely
_TINY_S = 1e-7
_MULTIPLIED = 32  # factors before their logarithm is taken


def likeliest_line(
    lines: FeasibleLines, ticks: Floats, sent_s: Floats, received_s: Floats, burst: float,
    arrivals: Floats,
) -> tuple[float, float]:  # fmt: skip
    """Return the mean (offset, slope) of the feasible lines, weighted by their likelihood.

    Parameters
    ----------
    lines : FeasibleLines
        What the bounds allow; y in seconds, x in ticks.
    ticks, sent_s, received_s : array of shape (n,)
        The probes, in the units of `lines`.
    burst : float
        Ticks per burst.
    arrivals : array of shape (m, 2)
        Points (tick, seconds) of the least delayed arrivals, one per equal span of time.

    Returns
    -------
    tuple of float
        Offset in seconds and slope in seconds per tick.
    """
    slopes = _likely_slopes(lines, arrivals)
    lowest = np.interp(slopes, lines.slopes, lines.lowest)
    width = np.maximum(np.interp(slopes, lines.slopes, lines.highest) - lowest, 0.0)
    log_by_slope = np.log(width + _TINY_S**2) + _log_by_arrivals(slopes, arrivals)
    round_trip_s = float((received_s - sent_s).min())
    first, last = 0.0, 1.0  # the part of the width that is looked at
    limits_s = _overlap_limits(slopes, ticks, sent_s, received_s, burst)
    for _ in range(_ROUNDS):
        places = first + (last - first) * (np.arange(_OFFSETS) + 0.5) / _OFFSETS
        offsets = lowest[:, None] + width[:, None] * places
        log_weight = _log_by_probes(offsets, *limits_s)
        beyond_s = np.maximum(_least_delays_s(slopes, offsets, arrivals) - round_trip_s, 0.0)
        log_weight += log_by_slope[:, None] - beyond_s / _BEYOND_ROUND_TRIP_S
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        found = np.flatnonzero(weight.sum(axis=0) > _NEGLIGIBLE_SHARE)
        if len(found) > _OFFSETS // 2:
            break
        step = (last - first) / _OFFSETS
        first, last = (
            first + step * max(0, found[0] - 1),
            first + step * min(_OFFSETS, found[-1] + 2),
        )
    return float((weight * offsets).sum()), float((weight.sum(axis=1) * slopes).sum())


def _overlap_limits(
    slopes: Floats, ticks: Floats, sent_s: Floats, received_s: Floats, burst: float
) -> tuple[Floats, Floats, Floats]:
    """Return what limits the overlap of a burst period and a round trip, of shape (slopes, 1, n).

    With an offset *o*, the overlap is the least of ``before - o``, from the burst's beginning until
    the reply came, ``after + o``, from the request until the burst's end, and the longest possible.
    """
    rise_s = slopes[:, None, None] * ticks
    period_s = (slopes * burst)[:, None, None]
    longest_s = np.minimum(received_s - sent_s, period_s)
    return received_s - rise_s, rise_s + period_s - sent_s, longest_s


def _log_by_probes(offsets: Floats, before_s: Floats, after_s: Floats, longest_s: Floats) -> Floats:
    """Return the logarithm of each line's likelihood by the probes, given the limits of overlaps.

    A few slopes at a time: memory that is larger is taken from the system and given back each time.
    """
    found = np.empty_like(offsets)
    for first in range(0, len(offsets), _SLOPES_AT_ONCE):
        some = slice(first, first + _SLOPES_AT_ONCE)
        offset = offsets[some, :, None]
        overlap_s = before_s[some] - offset
        np.minimum(overlap_s, longest_s[some], out=overlap_s)
        np.minimum(overlap_s, after_s[some] + offset, out=overlap_s)
        np.maximum(overlap_s, _TINY_S, out=overlap_s)
        found[some] = _log_of_product(overlap_s)
    return found


def _log_of_product(factors: Floats) -> Floats:
    """Return the logarithm of the product along the last axis, with few logarithms.

    Factors are from `_TINY_S` to some seconds: a double holds the product of some tens of them.
    """
    firsts = np.arange(0, factors.shape[-1], _MULTIPLIED)
    found: Floats = np.log(np.multiply.reduceat(factors, firsts, axis=-1)).sum(axis=-1)
    return found


def _least_delays_s(slopes: Floats, offsets: Floats, arrivals: Floats) -> Floats:
    """Return the delay of the least delayed arrival, seen from each line; zeros without any."""
    if len(arrivals) == 0:
        return np.zeros_like(offsets)
    delays_s = arrivals[:, 1] - slopes[:, None] * arrivals[:, 0]
    found: Floats = delays_s.min(axis=1, keepdims=True) - offsets
    return found


def _likely_slopes(lines: FeasibleLines, arrivals: Floats) -> Floats:
    """Return evenly spaced feasible slopes, only where the arrivals leave any likelihood."""
    low, high = lines.slope_range
    if len(arrivals) >= _MIN_ARRIVALS:
        for _ in range(2):
            slopes = np.linspace(low, high, _SLOPES_COARSE)
            log_weight = _log_by_arrivals(slopes, arrivals)
            kept = np.flatnonzero(log_weight > log_weight.max() - _NEGLIGIBLE)
            step = slopes[1] - slopes[0]
            low, high = max(low, slopes[kept[0]] - step), min(high, slopes[kept[-1]] + step)
    places = (np.arange(_SLOPES) + 0.5) / _SLOPES
    return low + (high - low) * places


def _log_by_arrivals(slopes: Floats, arrivals: Floats) -> Floats:
    """Return the logarithm of each slope's likelihood by the arrivals, up to a constant."""
    if len(arrivals) < _MIN_ARRIVALS:
        return np.zeros(len(slopes))
    delays_s = arrivals[:, 1] - slopes[:, None] * arrivals[:, 0]
    delays_s -= delays_s.min(axis=1, keepdims=True)
    total_s = delays_s.sum(axis=1)
    mean_s = max(float(total_s.min()) / (len(arrivals) - 2), _TINY_S)
    found: Floats = -_INDEPENDENT * total_s / mean_s
    return found
