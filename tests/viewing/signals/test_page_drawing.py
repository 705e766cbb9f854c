"""What one page draws of signals and events."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from bela_module.viewing.signals.lanes import MARGIN, Channel, Layout, Scale
from bela_module.viewing.signals.live_signals import LiveEvent, LiveSignal
from bela_module.viewing.signals.page_drawing import (
    PageDrawer,
    PageDrawing,
    PageSettings,
    ScaleMode,
)

NOW_S = 1000.0


def signal(name: str, n_channels: int, rate_hz: float, seconds: float = 10.0) -> LiveSignal:
    """Make a signal whose channel k is a ramp of ticks and begins at k."""
    channels = tuple(Channel(name, k, f"{name}{k}", "V") for k in range(n_channels))
    one = LiveSignal(channels, rate_hz, 75.0)
    n = round(rate_hz * seconds)
    stamps_s = NOW_S - seconds + (1 + np.arange(n)) / rate_hz
    one.add(stamps_s, (np.arange(n)[:, None] + np.arange(n_channels)).astype(np.float64))
    return one


def draw(signals: dict[str, LiveSignal], events: Any = (), **settings: Any) -> PageDrawing:
    return PageDrawer().draw(signals, events, NOW_S, PageSettings(**settings))


def lines(drawing: PageDrawing) -> list[tuple[np.ndarray, np.ndarray]]:
    x, y = drawing.lines["x"], drawing.lines["y"]
    ends = np.flatnonzero(np.isnan(x))
    begins = [0, *(ends[:-1] + 1)]
    return [(x[a:b], y[a:b]) for a, b in zip(begins, ends, strict=True)]


def value_at(drawing: PageDrawing, k: int, height: float) -> float:
    bottom, readouts = np.floor(height), drawing.readouts
    low, high = readouts["low"][k], readouts["high"][k]
    return float(low + (height - bottom - MARGIN) / (1 - 2 * MARGIN) * (high - low))


@pytest.mark.parametrize("rate_hz", [100.0, 44_100.0])
def test_the_last_point_of_a_ramp_is_its_newest_value(rate_hz: float) -> None:
    drawing = draw({"a": signal("a", 2, rate_hz)})
    assert drawing.n_lanes == 2
    for k, (x, y) in enumerate(lines(drawing)):
        assert x[-1] == pytest.approx(0.0, abs=1e-6)
        newest = 10 * rate_hz - 1 + k
        assert value_at(drawing, k, y[-1]) == pytest.approx(newest, rel=1e-4)
        assert drawing.readouts["value"][k] == newest


def test_layouts_and_hidden_streams() -> None:
    signals = {"a": signal("a", 2, 100.0), "b": signal("b", 1, 50.0)}
    assert draw(signals).n_lanes == 3
    assert draw(signals, layout=Layout.STREAMS).n_lanes == 2
    overlaid = draw(signals, layout=Layout.OVERLAID)
    assert overlaid.n_lanes == 1
    assert len(lines(overlaid)) == 3
    assert [text.split()[0] for text in overlaid.readouts["text"]] == ["a0", "a1", "b0"]
    assert len(lines(draw(signals, hidden=frozenset({"a"})))) == 1


def test_a_fixed_scale_is_that_of_all_lanes() -> None:
    drawing = draw({"a": signal("a", 2, 100.0)}, mode=ScaleMode.FIXED, fixed=Scale(0, 2000))
    assert drawing.readouts["low"] == [0, 0]
    assert drawing.readouts["high"] == [2000, 2000]


def test_a_held_scale_stays_when_values_leave_it() -> None:
    drawer, one = PageDrawer(), signal("a", 1, 100.0)
    before = drawer.draw({"a": one}, (), NOW_S, PageSettings())
    one.add(np.array([NOW_S + 1]), np.array([[1e6]]))
    held = drawer.draw({"a": one}, (), NOW_S + 1, PageSettings(mode=ScaleMode.HELD))
    assert held.readouts["high"] == before.readouts["high"]
    automatic = drawer.draw({"a": one}, (), NOW_S + 1, PageSettings())
    assert automatic.readouts["high"][0] > 1e6


def test_the_largest_numbers_are_drawn() -> None:
    one = signal("a", 1, 100.0)
    one.add(np.array([NOW_S + 0.01, NOW_S + 0.02]), np.array([[-1e308], [1e308]]))
    for changes in ({}, {"mode": ScaleMode.FIXED, "fixed": Scale(-1.7e308, 1.7e308)}):
        drawing = PageDrawer().draw({"a": one}, (), NOW_S + 1, PageSettings(**changes))
        assert np.isfinite(drawing.readouts["high"]).all()
        assert drawing.readouts["value"] == [1e308]


def test_readouts_are_of_the_last_value_that_is_shown() -> None:
    drawing = draw({"a": signal("a", 1, 100.0)}, first_s=-5.0, last_s=-2.0)
    assert drawing.readouts["value"] == [799]
    (before,) = draw({"a": signal("a", 1, 100.0)}, first_s=-50.0, last_s=-20.0).readouts["value"]
    assert np.isnan(before)


def test_slow_values_have_dots_and_fast_ones_none() -> None:
    slow = draw({"a": signal("a", 1, 5.0)})
    assert slow.dots["x"].size == 50
    assert draw({"a": signal("a", 1, 1000.0)}).dots["x"].size == 0


def test_a_gap_is_shaded_over_the_lanes_of_its_stream() -> None:
    one = signal("a", 2, 100.0)
    one.add(np.array([NOW_S + 2]), np.zeros((1, 2)))
    drawing = PageDrawer().draw(
        {"a": one, "b": signal("b", 1, 100.0)}, (), NOW_S + 2, PageSettings()
    )
    assert drawing.gaps["left"] == pytest.approx([-2.0])
    assert drawing.gaps["right"] == pytest.approx([0.0])
    assert (drawing.gaps["bottom"].tolist(), drawing.gaps["top"].tolist()) == ([1], [3])


def test_events_have_their_text_and_long_ones_are_shortened() -> None:
    events = [
        LiveEvent(NOW_S - 5, "started"),
        LiveEvent(NOW_S - 99, "set a=1"),
        LiveEvent(NOW_S - 1, "error " + "x" * 80),
    ]
    drawing = draw({"a": signal("a", 1, 100.0)}, events)
    assert drawing.events["x"].tolist() == [-5, -1]
    assert drawing.events["text"][0] == "started"
    assert len(drawing.events["text"][1]) == 30


def test_texts_of_events_do_not_cover_each_other() -> None:
    events = [LiveEvent(NOW_S - 9 + 0.1 * k, "gap sine 1024") for k in range(80)]
    drawing = draw({"a": signal("a", 1, 100.0)}, events, width_px=500.0, height_px=300.0)
    assert len(drawing.events["x"]) == 80
    shown = [
        (y, x, text)
        for x, y, text in zip(*(drawing.events[key] for key in ("x", "y", "text")), strict=True)
        if text
    ]
    assert len({y for y, _, _ in shown}) == 3
    for (y, x, text), (next_y, next_x, _) in itertools.pairwise(sorted(shown)):
        if y == next_y:
            assert (next_x - x) * 50.0 >= 6 * len(text)
        else:
            assert (next_y - y) * 300.0 / drawing.top >= 11
    assert max(y for y, _, _ in shown) + 11 * drawing.top / 300.0 <= drawing.top
    # A second later each is where it was, but for those that have gone.
    later = PageDrawer().draw({}, events, NOW_S + 1.0, PageSettings(width_px=500.0))
    assert later.events["text"] == drawing.events["text"][-len(later.events["text"]) :]


def test_many_channels_are_drawn_with_fewer_points_each() -> None:
    drawing = draw({"a": signal("a", 130, 1000.0)})
    assert drawing.lines["x"].size < 65_000
    assert len(lines(drawing)) == 130
    assert drawing.readouts["text"] == []


def test_without_signals_nothing_is_drawn() -> None:
    drawing = draw({})
    assert drawing.n_lanes == 0
    assert drawing.lines["x"].size == drawing.dots["x"].size == 0
    assert drawing.labels == {}
