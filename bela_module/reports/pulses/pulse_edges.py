"""Times of the pulses in a channel: edges between samples, or markers. Pure.

Between two samples of a regular stream the time of an edge is interpolated where its height is
half; an edge that falls between two samples is in the middle of them in the mean. A tone or a noise
begins where it rises out of silence, long before its half. A sample of an
irregular stream is stamped when it was assigned, so that its own stamp is the time of the edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import RecordingError
from bela_module.reports.pulses.channel_choice import ChosenChannel
from bela_module.reports.pulses.pulse_levels import (
    EdgeDirection,
    EdgeMethod,
    PulseLevels,
    find_levels,
)
from bela_module.reports.recorded_stream import Floats

_HYSTERESIS: Final = 0.15
_LONGEST_BOUNCE_S: Final = 0.02
_MUCH_SHORTER: Final = 4.0
_LONGEST_REST_S: Final = 0.25
_GAP_STEPS: Final = 1.5
_LONGEST_JITTER_S: Final = 0.01
_AUDIBLE: Final = 0.05
_NOISE_MARGIN: Final = 6.0
_SIGMA: Final = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class PulseEdges:
    """Pulses of a channel.

    Attributes
    ----------
    times_s : ndarray of shape (n,)
        When they begin, in LSL seconds, ascending.
    resolution_s : float
        Time between two samples; 0 where each pulse has a stamp of its own.
    method : EdgeMethod
        How they were found.
    direction : EdgeDirection
        Which edges they are.
    n_bounces : int
        Edges so soon after another one that they are of the same pulse.
    """

    times_s: Floats
    resolution_s: float
    method: EdgeMethod
    direction: EdgeDirection
    n_bounces: int = 0


def find_edges(chosen: ChosenChannel, direction: EdgeDirection = EdgeDirection.AUTO) -> PulseEdges:
    """Find the pulses of a channel.

    Parameters
    ----------
    chosen : ChosenChannel
        The channel.
    direction : EdgeDirection
        Which edges count; by default those that lead away from where the channel rests.

    Raises
    ------
    RecordingError
        No pulse is in it.
    """
    stream = chosen.stream
    order = np.argsort(stream.stamps_s, kind="stable")
    stamps_s = stream.stamps_s[order]
    if stream.is_text:
        texts = [row[chosen.channel] for row in stream.texts]
        wanted = np.array([bool(t) if chosen.only is None else t == chosen.only for t in texts])
        found: PulseEdges | None = _events(stamps_s[wanted[order]] if texts else stamps_s)
    else:
        values = stream.column(chosen.channel)[order]
        known = np.isfinite(values)
        stamps_s, values = stamps_s[known], values[known]
        only = None if chosen.only is None else _value(chosen.only)
        if stream.nominal_rate_hz <= 0:
            found = _assigned(stamps_s, values, direction, only)
        else:
            is_wanted = values if only is None else (values == only).astype(np.float64)
            found = _sampled(stamps_s, is_wanted, direction)
    if found is None or found.times_s.size == 0:
        raise RecordingError(f"{chosen.title}: no pulses are in its {stamps_s.size} samples")
    is_first = begins_pulse(found.times_s)
    return PulseEdges(
        found.times_s[is_first],
        found.resolution_s,
        found.method,
        found.direction,
        found.n_bounces + int(np.count_nonzero(~is_first)),
    )


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RecordingError(f"{text!r} is no value of a channel of numbers") from None


def _events(times_s: Floats) -> PulseEdges:
    return PulseEdges(times_s, 0.0, EdgeMethod.EVENTS, EdgeDirection.AUTO)


def _assigned(
    stamps_s: Floats, values: Floats, direction: EdgeDirection, only: float | None
) -> PulseEdges:
    """Find pulses of an irregular stream, in which a value holds until the next one.

    A pulse is a value that is not 0 and not the same as before. Where no value is ever 0, as of
    codes and counters, each sample is one.
    """
    is_on = values != 0 if only is None else values == only
    if only is not None or is_on.all():
        return _events(stamps_s[is_on])
    before = np.append(0.0, values[:-1])
    if direction is EdgeDirection.FALLING:
        return replace(_events(stamps_s[~is_on & (before != 0)]), direction=direction)
    return replace(_events(stamps_s[is_on & (before != values)]), direction=EdgeDirection.RISING)


def _sampled(stamps_s: Floats, values: Floats, direction: EdgeDirection) -> PulseEdges | None:
    """Find pulses of a regular stream."""
    levels = find_levels(values)
    if levels is None:
        return None
    step_s = float(np.median(np.diff(stamps_s)))
    shown = direction
    if direction is EdgeDirection.AUTO:
        shown = EdgeDirection.RISING if levels.top > levels.rest else EdgeDirection.FALLING
    if levels.method is EdgeMethod.STEPS:
        times_s, shown = _step_times_s(stamps_s, values, levels, direction)
    elif levels.method is EdgeMethod.CODES:
        times_s, shown = _change_times_s(stamps_s, values, levels, direction)
    elif levels.method is EdgeMethod.OSCILLATION:
        sizes, height = np.abs(values - levels.rest), levels.top - levels.rest
        times_s, n_more = _onset_times_s(stamps_s, sizes, height)
        return PulseEdges(times_s, step_s, levels.method, shown, n_more)
    else:
        sign = 1.0 if shown is EdgeDirection.RISING else -1.0
        low, high = sorted((sign * levels.rest, sign * levels.top))
        times_s = _crossing_times_s(stamps_s, sign * values, low, high)
    return PulseEdges(times_s, step_s, levels.method, shown)


def _crossing_times_s(stamps_s: Floats, values: Floats, low: float, high: float) -> Floats:
    """Find when the values rise from one level to the other.

    Noise around the middle makes no edge: they have to come from well below to well above.
    """
    middle, height = (low + high) / 2, high - low
    state = np.zeros(values.size, np.int8)
    state[values >= middle + _HYSTERESIS * height] = 1
    state[values <= middle - _HYSTERESIS * height] = -1
    sure = np.flatnonzero(state)
    if sure.size < 2:
        return np.empty(0)
    rises = np.flatnonzero((state[sure[1:]] > 0) & (state[sure[:-1]] < 0))
    crossings = np.flatnonzero((values[:-1] < middle) & (values[1:] >= middle))
    # the last crossing before the sample that is surely above
    of_rise = np.searchsorted(crossings, sure[rises + 1], "left") - 1
    return _between(stamps_s, values, crossings[of_rise], np.full(of_rise.size, middle))


def _onset_times_s(stamps_s: Floats, sizes: Floats, height: float) -> tuple[Floats, int]:
    """Find where bursts rise out of silence; with the number of further waves that are as loud.

    Parameters
    ----------
    stamps_s, sizes : ndarray of shape (n,)
        Stamps, and how far each value is from where the channel rests.
    height : float
        Of a loud wave.
    """
    loud_s = _crossing_times_s(stamps_s, sizes, 0.0, height)
    begins_s = loud_s[begins_pulse(loud_s)]
    noise = _NOISE_MARGIN * _SIGMA * float(np.median(sizes))
    level = min(max(_AUDIBLE * height, noise), height / 2)
    rises = np.flatnonzero((sizes[:-1] < level) & (sizes[1:] >= level))
    rises_s = _between(stamps_s, sizes, rises, np.full(rises.size, level))
    onsets_s = rises_s[begins_pulse(rises_s)]
    before = np.searchsorted(onsets_s, begins_s, "right") - 1
    of_burst_s = np.append(onsets_s, -np.inf)[before]  # where there is none, the burst is as loud
    earlier_s = np.append(-np.inf, begins_s[:-1])
    times_s = np.where(of_burst_s > earlier_s, of_burst_s, begins_s)
    return times_s, loud_s.size - begins_s.size


def _change_times_s(
    stamps_s: Floats, values: Floats, levels: PulseLevels, direction: EdgeDirection
) -> tuple[Floats, EdgeDirection]:
    """Find changes to a code; to the rest between two codes only where the way down counts."""
    at = np.flatnonzero(np.diff(values))
    if direction is EdgeDirection.AUTO:
        at = at[values[at + 1] != levels.rest]
    else:
        at = at[(values[at + 1] > values[at]) == (direction is EdgeDirection.RISING)]
    return _between(stamps_s, values, at, (values[at] + values[at + 1]) / 2), direction


def _between(stamps_s: Floats, values: Floats, at: NDArray[np.int64], level: Floats) -> Floats:
    """Interpolate when a level is passed between a sample and the next; never across a gap."""
    before, after = values[at], values[at + 1]
    step_s = stamps_s[at + 1] - stamps_s[at]
    share = np.clip((level - before) / np.where(after == before, 1.0, after - before), 0.0, 1.0)
    is_whole = step_s <= _longest_step_s(stamps_s)
    return np.asarray((stamps_s[at] + share * step_s)[is_whole])


def _longest_step_s(stamps_s: Floats) -> float:
    """Give the longest time between two samples that is no gap; stamps may be uneven."""
    steps_s = np.diff(stamps_s)
    usual_s, long_s = np.quantile(steps_s, [0.5, 0.99])
    return _GAP_STEPS * max(float(usual_s), min(float(long_s), _LONGEST_JITTER_S))


def _step_times_s(
    stamps_s: Floats, values: Floats, levels: PulseLevels, direction: EdgeDirection
) -> tuple[Floats, EdgeDirection]:
    """Find edges by the differences of the values; the first of up and down begins a pulse."""
    height = abs(levels.top - levels.rest)
    differences = np.diff(values) - levels.rest
    up = _largest_of_each(differences, height / 2)
    down = _largest_of_each(-differences, height / 2)
    if direction is EdgeDirection.AUTO:
        direction = _which_begins(stamps_s[up], stamps_s[down])
    at = up if direction is EdgeDirection.RISING else down
    middle = (values[np.maximum(at - 1, 0)] + values[np.minimum(at + 2, values.size - 1)]) / 2
    return _between(stamps_s, values, at, middle), direction


def _largest_of_each(values: Floats, above: float) -> NDArray[np.int64]:
    """Give the number of the largest value of each run above a level."""
    is_out = values > above
    begins = np.flatnonzero(is_out & ~np.append(False, is_out[:-1]))
    ends = np.flatnonzero(is_out & ~np.append(is_out[1:], False)) + 1
    largest = [b + int(np.argmax(values[b:e])) for b, e in zip(begins, ends, strict=True)]
    return np.array(largest, np.int64)


def _which_begins(up_s: Floats, down_s: Floats) -> EdgeDirection:
    """Tell whether pulses go up or down: they are shorter than the time between them."""
    if down_s.size == 0 or up_s.size == 0:
        return EdgeDirection.RISING if up_s.size else EdgeDirection.FALLING
    return (
        EdgeDirection.RISING
        if _median_wait_s(up_s, down_s) <= _median_wait_s(down_s, up_s)
        else EdgeDirection.FALLING
    )


def _median_wait_s(from_s: Floats, to_s: Floats) -> float:
    after = np.searchsorted(to_s, from_s, "right")
    has_one = after < to_s.size
    return float(np.median(to_s[after[has_one]] - from_s[has_one])) if has_one.any() else math.inf


def begins_pulse(times_s: Floats) -> NDArray[np.bool_]:
    """Tell which edges begin a pulse: those after a rest that is longer than any bouncing.

    Edges bounce when there are intervals of at most 20 ms and others that are four times as long,
    with none between. Of a burst of oscillation only the first edge counts.

    Parameters
    ----------
    times_s : ndarray of shape (n,)
        Ascending.
    """
    waits_s = np.diff(times_s)
    ordered = np.sort(waits_s[waits_s > 0])
    if ordered.size < 2:
        return np.append(np.ones(min(1, times_s.size), bool), waits_s > 0)
    ratios = ordered[1:] / ordered[:-1]
    ratios[ordered[:-1] > _LONGEST_BOUNCE_S] = 1.0
    widest = int(np.argmax(ratios))
    rest_s = 0.0
    if ratios[widest] >= _MUCH_SHORTER:
        rest_s = min(math.sqrt(ordered[widest] * ordered[widest + 1]), _LONGEST_REST_S)
    return np.append(True, waits_s > rest_s)
