"""What one page draws: the columns of its plot, from the signals and the page's settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bela_module.viewing.signals.lanes import (
    MARGIN,
    Channel,
    LanePlan,
    Layout,
    Scale,
    axis_labels,
    bounded,
    fit_scale,
    plan_lanes,
    significant_digits,
    to_lane,
)
from bela_module.viewing.signals.line_columns import line_columns
from bela_module.viewing.signals.live_signals import LiveEvent, LiveSignal
from bela_module.viewing.signals.signal_points import SignalPoints, SignalView

N_COLOURS: Final = 8
MAX_BINS: Final = 600
_MIN_BINS: Final = 100
_MAX_POINTS: Final = 60_000
"""Of all lines together: what a tablet draws some times a second."""
_MAX_READOUTS: Final = 40
_MAX_DOTS: Final = 3000
_ROUNDING_S: Final = 1e-6
_EVENT_LEVELS: Final = 3
_EVENT_CHARACTERS: Final = 30
_EVENT_LINE_PX: Final = 13.0
_EVENT_CHARACTER_PX: Final = 6.5
"""Of the texts of events, which stand in lines above the lanes."""

Columns = dict[str, Any]


class ScaleMode(Enum):
    """Where the scales of the lanes come from."""

    AUTO = "automatic"
    HELD = "as it is now"
    FIXED = "fixed"


@dataclass(slots=True)
class PageSettings:
    """What the user of a page has chosen.

    Attributes
    ----------
    first_s, last_s : float
        Shown span of time, in seconds from now: at most 0.
    layout : Layout
        What shares a lane.
    mode : ScaleMode
        Where scales come from.
    fixed : Scale
        The scale of all lanes in the mode ``FIXED``.
    hidden : frozenset of str
        Streams that are not shown.
    height_px, width_px : float
        Size of the plot.
    """

    first_s: float = -10.0
    last_s: float = 0.0
    layout: Layout = Layout.CHANNELS
    mode: ScaleMode = ScaleMode.AUTO
    fixed: Scale = Scale(-1.0, 1.0)
    hidden: frozenset[str] = field(default_factory=frozenset)
    height_px: float = 600.0
    width_px: float = 1000.0

    @property
    def head_px(self) -> float:
        """Height above the lanes, for the texts of events."""
        return min((_EVENT_LEVELS + 0.3) * _EVENT_LINE_PX, 0.3 * self.height_px)


@dataclass(frozen=True, slots=True)
class PageDrawing:
    """Columns for the plot of a page.

    Attributes
    ----------
    lines : dict
        ``x`` and ``y``, of :func:`bela_module.viewing.signals.line_columns.line_columns`.
    dots : dict
        ``x``, ``y`` and ``colour``, a number.
    gaps : dict
        ``left``, ``right``, ``bottom``, ``top`` of each gap.
    events : dict
        ``x``, ``y`` and ``text`` of each event.
    readouts : dict
        ``x``, ``y``, ``text`` and ``colour`` of the last value shown of each channel, its ``name``
        and the ends of its scale, ``low`` and ``high``.
    labels : dict of float to str
        Labels of the vertical axis.
    n_lanes : int
        How many lanes there are.
    top : float
        Upper edge of the plot, in heights of a lane.
    """

    lines: Columns
    dots: Columns
    gaps: Columns
    events: Columns
    readouts: Columns
    labels: dict[float, str]
    n_lanes: int
    top: float


class PageDrawer:
    """Draws signals for one page, and keeps what it has computed for the next drawing."""

    def __init__(self) -> None:
        self._views: dict[str, tuple[LiveSignal, SignalView]] = {}
        self._scales: dict[str, Scale] = {}

    def draw(
        self,
        signals: Mapping[str, LiveSignal],
        events: Sequence[LiveEvent],
        now_s: float,
        settings: PageSettings,
    ) -> PageDrawing:
        """Compute what is drawn.

        Parameters
        ----------
        signals : mapping of str to LiveSignal
            The signals by the name of their stream.
        events : sequence of LiveEvent
            The events.
        now_s : float
            LSL time that is second 0 of the page.
        settings : PageSettings
            What the user has chosen.
        """
        shown = {name: one for name, one in signals.items() if name not in settings.hidden}
        channels = [channel for one in shown.values() for channel in one.channels]
        plan = plan_lanes(channels, settings.layout)
        points = self._points(shown, events, now_s, settings, len(channels))
        scales = self._fit(plan, points, settings)
        lines, dots = [], _Dots()
        for k, (channel, lane) in enumerate(zip(plan.channels, plan.lane_of, strict=True)):
            mine, bottom = points[channel.stream], plan.bottom(lane)
            heights = to_lane(mine.values[:, channel.index], scales[lane], bottom)
            lines.append((mine.stamps_s - now_s, heights))
            if mine.dot_stamps_s.size:
                dot_heights = to_lane(mine.dot_values[:, channel.index], scales[lane], bottom)
                dots.add(mine.dot_stamps_s - now_s, dot_heights, k % N_COLOURS)
        lanes_px = settings.height_px - settings.head_px
        per_px = max(1, plan.n_lanes) / max(1.0, lanes_px)
        return PageDrawing(
            lines=line_columns(lines),
            dots=dots.columns(),
            gaps=_gap_columns(shown, events, plan, now_s, settings),
            events=_event_columns(events, plan.n_lanes, per_px, now_s, settings),
            readouts=_readout_columns(shown, plan, scales, now_s + settings.last_s),
            labels=axis_labels(plan, scales, lanes_px),
            n_lanes=plan.n_lanes,
            top=max(1, plan.n_lanes) + settings.head_px * per_px,
        )

    def _points(
        self,
        shown: Mapping[str, LiveSignal],
        events: Sequence[LiveEvent],
        now_s: float,
        settings: PageSettings,
        n_channels: int,
    ) -> dict[str, SignalPoints]:
        n_bins = int(np.clip(_MAX_POINTS // (2 * max(1, n_channels)), _MIN_BINS, MAX_BINS))
        first_s, last_s = now_s + settings.first_s, now_s + settings.last_s
        points = {}
        for name, signal in shown.items():
            known, view = self._views.get(name, (None, None))
            if view is None or known is not signal:
                view = SignalView(signal.history, signal.nominal_rate_hz)
                self._views[name] = (signal, view)
            points[name] = view.points(first_s, last_s, n_bins, signal.losses(events))
        self._views = {name: self._views[name] for name in shown}
        return points

    def _fit(
        self, plan: LanePlan, points: Mapping[str, SignalPoints], settings: PageSettings
    ) -> list[Scale]:
        if settings.mode is ScaleMode.FIXED:
            return [bounded(settings.fixed)] * plan.n_lanes
        lows, highs = np.full(plan.n_lanes, np.nan), np.full(plan.n_lanes, np.nan)
        low_of, high_of = {}, {}
        for name, mine in points.items():
            is_finite = np.isfinite(mine.values)
            low_of[name] = np.where(is_finite, mine.values, np.inf).min(axis=0, initial=np.inf)
            high_of[name] = np.where(is_finite, mine.values, -np.inf).max(axis=0, initial=-np.inf)
        for channel, lane in zip(plan.channels, plan.lane_of, strict=True):
            low = low_of[channel.stream][channel.index]
            high = high_of[channel.stream][channel.index]
            if low <= high:
                lows[lane], highs[lane] = np.fmin(lows[lane], low), np.fmax(highs[lane], high)
        scales = []
        for lane, key in enumerate(_lane_keys(plan, settings.layout)):
            known = self._scales.get(key)
            if known is None or settings.mode is ScaleMode.AUTO:
                known = fit_scale(known, float(lows[lane]), float(highs[lane]))
                if np.isfinite(lows[lane]):
                    self._scales[key] = known
            scales.append(known)
        return scales


class _Dots:
    """Collects the dots of all channels."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []

    def add(self, x: NDArray[np.floating], y: NDArray[np.floating], colour: int) -> None:
        """Take the dots of a channel."""
        kept = slice(-_MAX_DOTS, None)
        self._parts.append((x[kept], y[kept], np.full(x[kept].size, colour)))

    def columns(self) -> Columns:
        """Give them all."""
        if not self._parts:
            return {"x": np.empty(0), "y": np.empty(0), "colour": np.empty(0, np.int32)}
        x, y, colour = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        return {"x": x, "y": y, "colour": colour.astype(np.int32)}


def _lane_keys(plan: LanePlan, layout: Layout) -> list[str]:
    """Name each lane by its first channel, for its scale to stay when others come and go."""
    keys: dict[int, str] = {}
    for channel, lane in zip(plan.channels, plan.lane_of, strict=True):
        label = f"{channel.index} {channel.label}" if layout is Layout.CHANNELS else ""
        keys.setdefault(lane, f"{layout.name} {channel.stream} {label}")
    return [keys[lane] for lane in range(plan.n_lanes)]


def _gap_columns(
    shown: Mapping[str, LiveSignal],
    events: Sequence[LiveEvent],
    plan: LanePlan,
    now_s: float,
    settings: PageSettings,
) -> Columns:
    columns: dict[str, list[float]] = {"left": [], "right": [], "bottom": [], "top": []}
    for name, signal in shown.items():
        lanes = plan.lanes_of_stream(name)
        for gap in signal.losses(events):
            left, right = gap.begins_s - now_s, gap.ends_s - now_s
            if lanes is not None and right >= settings.first_s and left <= settings.last_s:
                columns["left"].append(left)
                columns["right"].append(right)
                columns["bottom"].append(plan.bottom(lanes[1]))
                columns["top"].append(plan.bottom(lanes[0]) + 1.0)
    return {key: np.array(values) for key, values in columns.items()}


def _event_columns(
    events: Sequence[LiveEvent],
    n_lanes: int,
    per_px: float,
    now_s: float,
    settings: PageSettings,
) -> Columns:
    """Place the texts of events in lines, beside each other; where none has room there is none.

    All events count, those that are not shown, too, so that texts stay in their lines as they move.
    """
    columns: Columns = {"x": [], "y": [], "text": []}
    s_per_px = (settings.last_s - settings.first_s) / max(1.0, settings.width_px)
    free_from_s = [-np.inf] * _EVENT_LEVELS
    for event in events:
        text = _shortened_event(event.text)
        free = [k for k, free_s in enumerate(free_from_s) if free_s <= event.stamp_s]
        level = free[0] if free else 0
        if free:
            length_px = _EVENT_CHARACTER_PX * (len(text) + 2)
            free_from_s[level] = event.stamp_s + length_px * s_per_px
        if settings.first_s <= event.stamp_s - now_s <= settings.last_s:
            columns["x"].append(event.stamp_s - now_s)
            columns["y"].append(max(1, n_lanes) + level * _EVENT_LINE_PX * per_px)
            columns["text"].append(text if free else "")
    return {**columns, "x": np.array(columns["x"]), "y": np.array(columns["y"])}


def _shortened_event(text: str) -> str:
    return text if len(text) <= _EVENT_CHARACTERS else text[: _EVENT_CHARACTERS - 1] + "…"


def _readout_columns(
    shown: Mapping[str, LiveSignal], plan: LanePlan, scales: Sequence[Scale], last_s: float
) -> Columns:
    """Give the last value of each channel that is drawn; in a lane of several with its name."""
    columns: Columns = {k: [] for k in ("y", "text", "colour", "name", "low", "high", "value")}
    if len(plan.channels) > _MAX_READOUTS:
        return columns
    places = [0] * plan.n_lanes
    sharing = [plan.lane_of.count(lane) for lane in range(plan.n_lanes)]
    for k, (channel, lane) in enumerate(zip(plan.channels, plan.lane_of, strict=True)):
        newest = shown[channel.stream].history.values_at(last_s + _ROUNDING_S)
        scale = scales[lane]
        value = float(newest[channel.index]) if newest is not None else float("nan")
        places[lane] += 1
        height = 1 - MARGIN - (1 - 2 * MARGIN) * (places[lane] - 0.5) / sharing[lane]
        columns["y"].append(plan.bottom(lane) + height)
        columns["text"].append(_readout(channel, value, scale, named=sharing[lane] > 1))
        columns["colour"].append(k % N_COLOURS)
        columns["name"].append(channel.label)
        columns["low"].append(scale.low)
        columns["high"].append(scale.high)
        columns["value"].append(value)
    return columns


def _readout(channel: Channel, value: float, scale: Scale, *, named: bool) -> str:
    number = f"{value:.{significant_digits(scale)}g}" if np.isfinite(value) else "–"
    return f"{channel.label} {number}" if named else number
