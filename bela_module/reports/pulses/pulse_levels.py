"""Levels of a channel that has pulses: where it rests, how high they are, which way they go. Pure.

Four ways are tried, in this order:

1. *Codes*, as of a trigger channel: a few whole numbers, each of which may begin a pulse.
2. *Two levels*, as of a square wave: the values fall into two groups far apart.
3. *Excursions* from where the channel rests, as of short pulses: each counts once, however short,
   by the height that it comes to.
4. *Steps*: excursions of the differences, where the level wanders by more than the pulses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from bela_module.reports.recorded_stream import Floats

_SIGMA: Final = 1.4826  # of a normal distribution, in median absolute deviations
_SEPARATION: Final = 5.0
_MIN_DUTY: Final = 0.05
_NOISE_MARGIN: Final = 6.0
_ROUNDS: Final = 50
_MANY_VALUES: Final = 500_000
_LIKE_EACH_OTHER: Final = 0.5
_MAX_CODES: Final = 256
_MOST_CHANGES: Final = 0.2
_OF_CHANGES: Final = 0.75
_SHORTEST_HELD: Final = 0.1


class EdgeMethod(StrEnum):
    """How edges are found in a channel."""

    CODES = "codes"
    LEVELS = "levels"
    EXCURSIONS = "excursions"
    OSCILLATION = "oscillation"
    STEPS = "steps"
    EVENTS = "events"


class EdgeDirection(StrEnum):
    """Which edges are meant."""

    AUTO = "auto"
    RISING = "rising"
    FALLING = "falling"


@dataclass(frozen=True, slots=True)
class PulseLevels:
    """How a channel is to be looked at.

    Parameters
    ----------
    method : EdgeMethod
        How it was found.
    rest, top : float
        Level without and with a pulse; ``top`` is the lower one of pulses that go down. Of steps,
        the difference of the values that rests, and that of an edge. Of codes, ``rest`` is NaN when
        there is none between two of them.
    """

    method: EdgeMethod
    rest: float
    top: float


def find_levels(values: Floats) -> PulseLevels | None:
    """Find the levels of a channel; ``None`` when there are no pulses in it.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite values.
    """
    if values.size < 2:
        return None
    return (
        _codes(values)
        or _two_levels(_thinned(values))
        or _excursions(values, EdgeMethod.EXCURSIONS)
        or _steps(values)
    )


def _codes(values: Floats) -> PulseLevels | None:
    """Look for three or more whole numbers that hold: between rests, or until the next one."""
    changes = np.flatnonzero(np.diff(values))
    if not 2 <= changes.size <= _MOST_CHANGES * values.size:
        return None
    numbers, counts = np.unique(np.append(values[changes], values[-1]), return_counts=True)
    if not 3 <= numbers.size <= _MAX_CODES or (numbers != np.rint(numbers)).any():
        return None
    rest = float(numbers[np.argmax(counts)])
    of_rest = (values[changes] == rest) | (values[changes + 1] == rest)
    if float(np.mean(of_rest)) < _OF_CHANGES:
        held = np.diff(changes)
        if np.quantile(held, 0.1) < _SHORTEST_HELD * held.mean():
            return None  # a slope
        rest = math.nan
    return PulseLevels(EdgeMethod.CODES, rest, float(numbers[-1]))


def _thinned(values: Floats) -> Floats:
    """Take some of very many values, for medians."""
    return values[:: max(1, values.size // _MANY_VALUES)]


def _spread(values: Floats) -> float:
    return _SIGMA * float(np.median(np.abs(values - np.median(values))))


def _two_levels(values: Floats) -> PulseLevels | None:
    """Divide the values into two groups around their own medians."""
    middle = float(values.min() + values.max()) / 2
    for _ in range(_ROUNDS):
        is_high = values > middle
        duty = float(is_high.mean())
        if not _MIN_DUTY <= duty <= 1 - _MIN_DUTY:
            return None
        low, high = float(np.median(values[~is_high])), float(np.median(values[is_high]))
        moved, middle = middle, (low + high) / 2
        if moved == middle:
            break
    spread = _spread(values[~is_high]) + _spread(values[is_high])
    if high - low <= _SEPARATION * spread or high == low:
        return None
    rest, top = (low, high) if duty <= 1 / 2 else (high, low)
    return PulseLevels(EdgeMethod.LEVELS, rest, top)


def _excursions(values: Floats, method: EdgeMethod) -> PulseLevels | None:
    """Look at the height of each excursion from the median."""
    some = _thinned(values)
    rest = float(np.median(some))
    margin = _NOISE_MARGIN * _spread(some)
    upward, downward = _heights(values - rest, margin), _heights(rest - values, margin)
    up, down = _typical(upward), _typical(downward)
    if up == down == 0:
        return None
    alike = min(up, down) > _LIKE_EACH_OTHER * max(up, down)
    as_many = min(upward.size, downward.size) > _LIKE_EACH_OTHER * max(upward.size, downward.size)
    if alike and as_many and method is EdgeMethod.EXCURSIONS:
        return PulseLevels(EdgeMethod.OSCILLATION, rest, rest + max(up, down))
    return PulseLevels(method, rest, rest + up if up >= down else rest - down)


def _heights(above: Floats, margin: float) -> Floats:
    """Give the height of each excursion beyond a margin."""
    is_out = above > margin
    begins = np.flatnonzero(is_out & ~np.append(False, is_out[:-1]))
    if begins.size == 0:
        return np.empty(0)
    return np.maximum.reduceat(np.where(is_out, above, 0.0), begins)


def _typical(heights: Floats) -> float:
    """Give the height of a pulse, whatever small spikes and a few large ones there are."""
    if heights.size == 0:
        return 0.0
    large = heights[heights >= np.quantile(heights, 0.9, method="lower") / 2]
    return float(np.median(large))


def _steps(values: Floats) -> PulseLevels | None:
    """Look at the differences; an edge is one that is far larger than the others."""
    return _excursions(np.diff(values), EdgeMethod.STEPS)
