"""Fit of one line, ticks to seconds, to the bounds of probes and arrivals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bela_module.clock.announced_rate import (
    CRYSTAL_TOLERANCE,
    AnnouncedRate,
    announced_rate,
    simple_rate_hz,
)
from bela_module.clock.arrival_filter import MinimumDelayFilter
from bela_module.clock.feasible_region import FeasibleLines, convex_hull, lines_between
from bela_module.clock.likelihood import likeliest_line
from bela_module.clock.tick_bursts import burst_ticks

MARGIN_S = 2e-6

_SLOWEST_HZ, _FASTEST_HZ = 0.2, 1e6
_RATIO_KNOWN_WITHIN = 0.05  # the bounds must tell the rate this well before a ratio is certain


class Probe(NamedTuple):
    """One ``list`` exchange: LSL times of sending and receiving, the tick and its rounding.

    `is_proven` tells that no other client can have been meant.
    """

    sent_s: float
    received_s: float
    tick: int
    granularity: int
    is_proven: bool = False

    def precedes(self, other: Probe) -> bool:
        """Tell whether its tick is certainly an earlier one."""
        return self.tick < other.tick - self.granularity


class FitConstraints(NamedTuple):
    """Prior knowledge that restricts the fit besides the bounds.

    `ageing_per_s` is how fast the two rates may drift apart (1/s), `max_burst_ticks` the
    largest burst that earlier probes left possible, `slope_limits` the possible seconds per tick.
    """

    declared_rate_hz: float
    ageing_per_s: float
    max_burst_ticks: int | None = None
    slope_limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClockFit:
    """The lines that the bounds allow, in ticks since `tick` and seconds since `base_s`.

    `free_lines` are all of them, `lines` those near a simple ratio of the declared rate, once
    the bounds point to one closely; `offset_s` and `s_per_tick` are the estimate, which assumes
    such a ratio as soon as no second one is possible.
    """

    tick: int
    base_s: float
    lines: FeasibleLines
    free_lines: FeasibleLines
    offset_s: float
    s_per_tick: float
    burst: int
    ageing_per_s: float
    declared_rate_hz: float

    @property
    def is_consistent(self) -> bool:
        """Whether one line satisfies all bounds."""
        return self.free_lines.relaxed_by <= MARGIN_S

    @property
    def has_simple_rate(self) -> bool:
        """Whether the bounds point closely to a simple ratio of the declared rate."""
        return self.lines is not self.free_lines

    @property
    def rate_range_hz(self) -> tuple[float, float]:
        """The lowest and the highest tick rate that the bounds alone allow."""
        low_s, high_s = self.free_lines.slope_range
        return 1.0 / high_s, 1.0 / low_s

    @property
    def announced(self) -> AnnouncedRate:
        """The tick rate to announce."""
        return announced_rate(self.declared_rate_hz, 1.0 / self.s_per_tick, self.rate_range_hz)

    @property
    def rate_uncertainty_ppm(self) -> float:
        """How far the tick rate may be from the truth, in parts per million."""
        low_s, high_s = self.lines.slope_range
        return max(high_s - self.s_per_tick, self.s_per_tick - low_s) / self.s_per_tick * 1e6

    def time_at(self, ticks: int | float | NDArray[Any]) -> Any:
        """Return the estimate of when ticks happened, in LSL seconds."""
        return self.base_s + self.offset_s + ticks_since(ticks, self.tick) * self.s_per_tick

    def tick_at(self, lsl_s: float) -> float:
        """Return the estimate of the tick at an LSL time."""
        return self.tick + (lsl_s - self.base_s - self.offset_s) / self.s_per_tick

    def half_width_s(self, tick: int) -> float:
        """Return how far, in seconds, the truth at a tick may be from the estimate."""
        since = float(tick - self.tick)
        lowest_s, highest_s = self.lines.limits_at_one(since)
        age_s = since * self.s_per_tick
        estimate_s = self.offset_s + age_s
        half_s = max(highest_s - estimate_s, estimate_s - lowest_s)
        return half_s + 0.5 * self.ageing_per_s * age_s**2 + 2.0 * self.lines.relaxed_by

    def latest_possible_tick(self, lsl_s: float) -> float:
        """Return the highest tick that the bounds allow to have happened by an LSL time."""
        lines, since_s = self.free_lines, lsl_s - self.base_s
        reach_s = since_s + 0.5 * self.ageing_per_s * since_s**2 + 2.0 * lines.relaxed_by
        return self.tick + lines.highest_x(reach_s) + self.burst

    def lag_s(self, probe: Probe) -> float:
        """Return by how much ticks lag behind every line, if a reply is ours; 0 if they need not.

        That they do is what the sending of a request proves: the next burst came after it.
        """
        next_burst = probe.tick + probe.granularity // 2 + self.burst - self.tick
        _, highest_s = self.free_lines.limits_at_one(float(next_burst))
        return self._beyond_margin_s(probe.sent_s - self.base_s - highest_s, probe.sent_s)

    def lead_s(self, tick: int, received_s: float) -> float:
        """Return by how much a tick that is over is ahead of every line; 0 if it is not."""
        lowest_s, _ = self.free_lines.limits_at_one(float(tick - self.tick))
        return self._beyond_margin_s(lowest_s - (received_s - self.base_s), received_s)

    def share_beyond(self, tick: int, received_s: float) -> float:
        """Return the share of the times possible for a tick that are later than its arrival."""
        lowest_s, highest_s = self.lines.limits_at_one(float(tick - self.tick))
        return (highest_s - (received_s - self.base_s)) / max(highest_s - lowest_s, MARGIN_S)

    def _beyond_margin_s(self, missed_s: float, at_s: float) -> float:
        aged_s = 0.5 * self.ageing_per_s * (at_s - self.base_s) ** 2
        return max(0.0, missed_s - MARGIN_S - aged_s)


def fit_clock(
    probes: Sequence[Probe], arrivals: MinimumDelayFilter, constraints: FitConstraints
) -> ClockFit:
    """Find the lines that satisfy all bounds, and the likeliest of them.

    A probe bounds two bursts: the one of its tick from above, by its arrival, and the next one
    from below, by its sending. The line is the tangent at the newest probe; older bounds are
    loosened by what the truth may have bent away from it, ``ageing / 2 * age**2``.

    `probes` are in order of time, at least one; arrivals older than them are left out.
    """
    newest = probes[-1]
    tick, base_s = newest.tick, newest.received_s
    sent_at_s, received_at_s, ticks, granularities, _ = zip(*probes, strict=True)
    sent_s, received_s = np.array(sent_at_s) - base_s, np.array(received_at_s) - base_s
    whole_since = np.array(ticks, dtype=np.int64) - tick
    since, half = whole_since.astype(np.float64), np.array(granularities) // 2
    burst = burst_ticks(whole_since, newest.granularity, constraints.max_burst_ticks)
    arrived = arrivals.since(probes[0].sent_s, tick, base_s)
    upper = np.concatenate([np.stack([since - half, received_s], axis=1), arrived])
    lower = np.stack([since + half + burst, sent_s], axis=1)
    upper[:, 1] += 0.5 * constraints.ageing_per_s * upper[:, 1] ** 2
    lower[:, 1] -= 0.5 * constraints.ageing_per_s * lower[:, 1] ** 2
    slopes = constraints.slope_limits or (1.0 / _FASTEST_HZ, 1.0 / _SLOWEST_HZ)
    # Of some hundred points few are on the hulls, on which alone the lines depend.
    above, below = convex_hull(upper, 1.0), convex_hull(lower, -1.0)
    free_lines = lines_between(above, below, slopes, MARGIN_S)
    low_s, high_s = free_lines.slope_range
    lines = likely_lines = free_lines
    simple_hz = simple_rate_hz(constraints.declared_rate_hz, (1.0 / high_s, 1.0 / low_s))
    if simple_hz is not None:
        near = (1.0 - CRYSTAL_TOLERANCE) / simple_hz, (1.0 + CRYSTAL_TOLERANCE) / simple_hz
        simple_lines = lines_between(above, below, near, MARGIN_S)
        if simple_lines.relaxed_by <= free_lines.relaxed_by:
            likely_lines = simple_lines
            if high_s <= low_s * (1.0 + _RATIO_KNOWN_WITHIN):
                lines = simple_lines
    offset_s, s_per_tick = likeliest_line(likely_lines, since, sent_s, received_s, burst, arrived)
    return ClockFit(
        tick, base_s, lines, free_lines, offset_s, s_per_tick, burst,
        constraints.ageing_per_s, constraints.declared_rate_hz,
    )  # fmt: skip


def ticks_since(ticks: int | float | NDArray[Any], origin: int) -> Any:
    """Subtract before converting to float: ticks may need more than its 53 bits."""
    if isinstance(ticks, np.ndarray) and ticks.dtype.kind in "ui":
        wrapped = ticks.astype(np.uint64) - np.uint64(origin % 2**64)
        return wrapped.view(np.int64).astype(np.float64)
    return ticks - origin
