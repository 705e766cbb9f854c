"""A page without a browser: its settings, its pace, its commands."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("bokeh")

from bokeh.document import Document
from bokeh.events import ButtonClick

from bela_module.viewing.module_feed import ModuleFeed
from bela_module.viewing.page import Page
from bela_module.viewing.page_style import DARK
from bela_module.viewing.signals.lanes import Channel, Layout, Scale
from bela_module.viewing.signals.live_signals import EventLog, LiveSignal
from bela_module.viewing.signals.page_drawing import ScaleMode


class FakeFeed:
    """What a page looks at, without a module."""

    address = "127.0.0.1:8080"

    def __init__(self) -> None:
        one = LiveSignal((Channel("a", 0, "pot", "V"),), 100.0, 75.0)
        one.add(np.arange(90.0, 100.0, 0.01), np.arange(1000.0)[:, None])
        self.status: dict[str, Any] | None = None
        self.signals = {"a": one}
        self.events = EventLog(75.0)
        self.variables = [
            {"name": "gain", "type": "float", "value": 0.25, "controlled": True},
            {"name": "pot", "type": "float", "value": 0.5, "controlled": False},
        ]
        self.outcome = ""
        self.sent: list[tuple[str, Any]] = []
        self.n_viewers = 0

    def enter(self) -> None:
        self.n_viewers += 1

    def send(self, pcomm: str, payload: Any = None) -> None:
        self.sent.append((pcomm, payload))

    def set_variable(self, name: str, value: float) -> None:
        self.sent.append((name, value))

    def release(self, names: Any = None) -> None:
        self.sent.append(("RELEASE", names))


def page_of(*, controls: bool = False) -> tuple[Page, FakeFeed, list[float]]:
    feed, now = FakeFeed(), [100.0]
    page = Page(Document(), cast(ModuleFeed, feed), lambda: now[0], controls=controls)
    return page, feed, now


def confirm(page: Page) -> None:
    page.plot.drawn.data = {"count": [page.plot.drawn.data["count"][0] + 1]}


def last_time(page: Page) -> float:
    return float(page.plot.lines.data["x"][-2])


def test_it_draws_what_there_is_and_says_that_it_only_reads() -> None:
    page, feed, _ = page_of()
    page.update()
    assert feed.n_viewers == 1
    assert page.plot.lines.data["x"].size > 900
    assert page.plot.readouts.data["value"] == [999]
    assert "no dp-bela answers at 127.0.0.1:8080" in page.head.text
    assert "--control" in page.head.text
    assert page.bar.streams.options == ["a"]


def test_a_browser_that_confirms_nothing_is_sent_two_drawings() -> None:
    page, _, now = page_of()
    for _ in range(5):
        now[0] += 0.1
        page.update()
    assert last_time(page) == pytest.approx(-0.21, abs=0.02)  # of the second of five
    confirm(page)
    page.update()
    assert last_time(page) == pytest.approx(-0.51, abs=0.02)


def test_pause_keeps_the_picture_and_still_obeys_settings() -> None:
    page, _, now = page_of()
    page.bar.pause.active = True
    page.update()
    confirm(page)
    now[0] += 50
    page.update()
    assert last_time(page) == pytest.approx(-0.01, abs=0.011)
    page.plot.x_range.update(start=-2, end=-1)
    page.update()
    x = page.plot.lines.data["x"]
    assert np.nanmin(x) == pytest.approx(-2, abs=0.02)
    assert np.nanmax(x) == pytest.approx(-1, abs=0.02)
    page.bar.pause.active = False
    confirm(page)
    page.update()
    assert np.isnan(page.plot.lines.data["x"]).all() or last_time(page) < -40


def test_what_was_drawn_stays_however_long_the_pause_is() -> None:
    page, feed, now = page_of()
    page.bar.pause.active = True
    feed.signals["a"].add(np.arange(100.0, 300.0, 0.01), np.full((20_000, 1), -7.0))
    feed.events.add(299.0, "stopped")
    now[0] = 300.0
    page.update()
    assert page.plot.readouts.data["value"] == [999]
    assert page.plot.lines.data["x"].size > 900
    assert last_time(page) == pytest.approx(-0.01, abs=0.011)
    page.bar.pause.active = False
    confirm(page)
    page.update()
    assert page.plot.readouts.data["value"] == [-7]


def test_settings_follow_the_widgets() -> None:
    page, _, _ = page_of()
    page.update()
    page.bar.window.value = 30
    page.bar.layout.value = Layout.OVERLAID.value
    assert page.bar.low.disabled  # its ends are of use in this mode alone
    page.bar.scale.value = ScaleMode.FIXED.value
    assert not page.bar.low.disabled
    assert not page.bar.high.disabled
    page.bar.low.value, page.bar.high.value = -5.0, 5.0
    settings = page.settings
    assert (settings.first_s, settings.last_s) == (-30, 0)
    assert settings.layout is Layout.OVERLAID
    assert (settings.mode, settings.fixed) == (ScaleMode.FIXED, Scale(-5, 5))
    page.bar.high.value = -9.0  # below the other end: nothing to draw with
    assert settings.fixed == Scale(-5, 5)
    page.bar.streams.value = ["other"]
    assert settings.hidden == {"a"}


def test_a_plot_of_another_size_is_drawn_for_it() -> None:
    page, _, _ = page_of()
    for side, size_px in (("inner_width", 400), ("inner_height", 250)):
        page._resize(side, size_px)  # as a browser says: these properties cannot be set here
    assert (page.settings.height_px, page.settings.width_px) == (250, 400)
    page.update()
    lane_px = 250 / page.plot.y_range.end
    assert 250 - lane_px == pytest.approx(page.settings.head_px)


def test_a_dark_browser_gets_dark_colours() -> None:
    page, _, _ = page_of()
    page._client.data = {"dark": [1]}
    assert page.plot.figure.background_fill_color == DARK.background


def test_commands_are_sent_and_their_outcome_is_told() -> None:
    page, feed, _ = page_of(controls=True)
    page.update()
    commands = page.commands
    assert commands is not None
    assert page.panel is not None
    assert "--control" not in page.head.text
    assert list(page.panel.controls) == ["gain", "pot"]
    page.panel.controls["pot"].slider.value = 0.75
    page.panel.controls["gain"]._let_go()
    for button in (commands.buttons["STOP"], commands.release):
        button._trigger_event(ButtonClick(button))
    assert feed.sent == [
        ("pot", 0.75),
        ("RELEASE", ["gain"]),
        ("STOP", None),
        ("RELEASE", None),
    ]
    feed.outcome = "START: <no>"
    page.update()
    assert commands.outcome.text == "START: &lt;no&gt;"
