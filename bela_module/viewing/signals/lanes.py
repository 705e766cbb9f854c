"""Lanes: which channels share one, the scale of each, and the labels of the axis. Pure.

A page has one plot. Each lane is one unit high in it, the first one at the top, so that a hundred
of them cost one drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MARGIN: Final = 0.06
"""Of a lane, above and below its signal."""
_HEADROOM: Final = 0.1
_LARGEST: Final = 1e307
"""The ends of a scale at most: the difference of two must be a finite number."""
_SHRINK_BELOW: Final = 0.4
"""A scale is made smaller when signals use less than this of it: not with each small change."""
_NUMBERS_FROM_PX: Final = 84.0
"""From here on the upper end of a lane and the lower end of the next one have room beside."""
_NAME_FROM_PX: Final = 13.0


class Layout(Enum):
    """What shares a lane."""

    CHANNELS = "one row a channel"
    STREAMS = "one row a stream"
    OVERLAID = "overlaid"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a stream, as it is shown.

    Attributes
    ----------
    stream : str
        Name of the stream.
    index : int
        Its column there.
    label, unit : str
        Its name and its unit; both may be empty.
    """

    stream: str
    index: int
    label: str
    unit: str

    @property
    def words(self) -> str:
        """Name and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


class Scale(NamedTuple):
    """Values at the lower and at the upper end of a lane."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LanePlan:
    """The lane of each channel.

    Attributes
    ----------
    channels : tuple of Channel
        All channels, in the order in which they are shown.
    lane_of : tuple of int
        Lane of each channel, from 0 at the top.
    titles : tuple of str
        Title of each lane.
    """

    channels: tuple[Channel, ...]
    lane_of: tuple[int, ...]
    titles: tuple[str, ...]

    @property
    def n_lanes(self) -> int:
        """How many lanes there are."""
        return len(self.titles)

    def bottom(self, lane: int) -> float:
        """Lower edge of a lane in the plot."""
        return float(self.n_lanes - 1 - lane)

    def lanes_of_stream(self, stream: str) -> tuple[int, int] | None:
        """First and last lane that have channels of a stream; None without any."""
        lanes = [
            lane
            for lane, channel in zip(self.lane_of, self.channels, strict=True)
            if channel.stream == stream
        ]
        return (min(lanes), max(lanes)) if lanes else None


def plan_lanes(channels: Sequence[Channel], layout: Layout) -> LanePlan:
    """Give each channel a lane.

    Parameters
    ----------
    channels : sequence of Channel
        All channels to be shown.
    layout : Layout
        What shares a lane.
    """
    if layout is Layout.CHANNELS:
        titles = [channel.words for channel in channels]
        return LanePlan(tuple(channels), tuple(range(len(titles))), tuple(titles))
    if layout is Layout.OVERLAID:
        return LanePlan(tuple(channels), (0,) * len(channels), ("",) if channels else ())
    streams = list(dict.fromkeys(channel.stream for channel in channels))
    lane_of = tuple(streams.index(channel.stream) for channel in channels)
    titles = []
    for stream in streams:
        own = [channel for channel in channels if channel.stream == stream]
        titles.append(own[0].words if len(own) == 1 else stream)
    return LanePlan(tuple(channels), lane_of, tuple(titles))


def bounded(scale: Scale) -> Scale:
    """Give a scale whose length is a finite number; what is beyond it is drawn at its edge."""
    return Scale(max(scale.low, -_LARGEST), min(scale.high, _LARGEST))


def fit_scale(scale: Scale | None, low: float, high: float) -> Scale:
    """Fit an automatic scale to the lowest and the highest value that is shown.

    It grows at once, and shrinks only when much of it is unused, so that it stands still.

    Parameters
    ----------
    scale : Scale or None
        The present one.
    low, high : float
        Lowest and highest value; NaN when there is none.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return scale or Scale(-1.0, 1.0)
    low, high = (max(-_LARGEST, min(value, _LARGEST)) for value in (low, high))
    if scale is not None and scale.low <= low and high <= scale.high:
        used = (high - low) / (scale.high - scale.low)
        is_constant = low == high and abs(low) <= 0.5 * max(abs(scale.low), abs(scale.high))
        if used >= _SHRINK_BELOW or is_constant:
            return scale
    room = _HEADROOM * (high - low)
    if room <= 1e-9 * max(abs(low), abs(high), 1e-300):  # constant, as far as it can be drawn
        room = 0.5 * abs(high) or 1.0
    return bounded(Scale(low - room, high + room))


def to_lane(values: NDArray[np.floating], scale: Scale, bottom: float) -> NDArray[np.float64]:
    """Map values to the height of a lane in the plot; what is beyond its scale stays at its edge.

    Parameters
    ----------
    values : ndarray
        The values, of any shape.
    scale : Scale
        What the ends of the lane stand for.
    bottom : float
        Its lower edge.
    """
    with np.errstate(over="ignore"):  # of a value that is infinite or nearly so
        share = (values - scale.low) / (scale.high - scale.low)
    heights: NDArray[np.float64] = bottom + MARGIN + (1 - 2 * MARGIN) * np.clip(share, 0.0, 1.0)
    return heights


def axis_labels(plan: LanePlan, scales: Sequence[Scale], height_px: float) -> dict[float, str]:
    """Label the vertical axis: titles, and the ends of the scales where there is room.

    Parameters
    ----------
    plan : LanePlan
        The lanes.
    scales : sequence of Scale
        Scale of each lane.
    height_px : float
        Height of the plot.

    Returns
    -------
    dict of float to str
        Text by height in the plot.
    """
    if not plan.n_lanes:
        return {}
    lane_px = height_px / plan.n_lanes
    every = max(1, math.ceil(_NAME_FROM_PX / lane_px))
    parts = (0.0, 0.25, 0.5, 0.75, 1.0) if plan.n_lanes == 1 else (0.0, 1.0)
    labels: dict[float, str] = {}
    for lane, (title, scale) in enumerate(zip(plan.titles, scales, strict=True)):
        bottom = plan.bottom(lane)
        if lane_px >= _NUMBERS_FROM_PX:
            digits = significant_digits(scale)
            for part in parts:
                value = scale.low + part * (scale.high - scale.low)
                labels[bottom + MARGIN + part * (1 - 2 * MARGIN)] = f"{value:.{digits}g}"
        if title and lane % every == 0:
            labels[bottom + 0.5] = title
    return labels


def significant_digits(scale: Scale) -> int:
    """Tell how many digits tell the values of a scale apart, at least 3 and at most 9."""
    largest, span = max(abs(scale.low), abs(scale.high)), scale.high - scale.low
    return min(9, max(3, 2 + math.ceil(math.log10(largest / span)))) if largest > 0 else 3
