"""The live page of one browser: its settings and commands, and ten drawings a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, Final

import numpy as np
from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.models import ColumnDataSource, CustomJS, GlobalInlineStyleSheet

from bela_module.viewing.control_panel import ControlPanel
from bela_module.viewing.module_feed import ModuleFeed
from bela_module.viewing.page_style import DARK, FOLLOW_THEME_JS, LIGHT, PAGE_CSS
from bela_module.viewing.page_widgets import (
    CommandBar,
    SettingsBar,
    SignalPlot,
    arrange,
    header,
    widget_sheet,
)
from bela_module.viewing.signals.lanes import Layout, Scale
from bela_module.viewing.signals.live_signals import LiveEvent, LiveSignal
from bela_module.viewing.signals.page_drawing import (
    PageDrawer,
    PageDrawing,
    PageSettings,
    ScaleMode,
)
from bela_module.viewing.status_words import describe_status
from bela_module.viewing.time_limits import DRAW_PERIOD_S, DRAWN_WITHIN_S

_MAX_ON_THE_WAY: Final = 2
"""Drawings that a browser has not confirmed yet."""
_READ_ONLY: Final = "read-only: start it with --control to command the module"


class Page:
    """What one browser shows.

    Parameters
    ----------
    document : Document
        Bokeh's side of the page.
    feed : ModuleFeed
        What all pages look at.
    now : callable
        LSL seconds.
    controls : bool
        Whether the page may command the module.
    """

    def __init__(
        self, document: Document, feed: ModuleFeed, now: Callable[[], float], *, controls: bool
    ) -> None:
        self._document, self._feed, self._now = document, feed, now
        self.settings = PageSettings()
        self._drawer = PageDrawer()
        self._paused_at_s: float | None = None
        self._frozen: tuple[dict[str, LiveSignal], tuple[LiveEvent, ...]] | None = None
        self._needs_drawing = True
        self._on_the_way = 0
        self._sent_s = 0.0
        self._colours = LIGHT
        sheet = widget_sheet()
        self.head = header()
        self.plot = SignalPlot()
        self.bar = SettingsBar.make(sheet)
        self.commands = CommandBar.make(sheet) if controls else None
        self.panel = ControlPanel(feed.set_variable, feed.release, sheet) if controls else None
        self._client = ColumnDataSource({"dark": [0]}, name="client")
        self.plot.paint(self._colours)
        self._listen()
        if self.commands is not None:
            self._listen_to_commands(self.commands)
        self._open()

    # ---- what the user does ------------------------------------------------------------------

    def _listen(self) -> None:
        bar, plot = self.bar, self.plot
        bar.window.on_change("value", lambda _a, _o, seconds: self._show_seconds(seconds))
        bar.pause.on_change("active", lambda _a, _o, active: self._pause(active))
        for widget in (bar.layout, bar.scale, bar.low, bar.high, bar.streams):
            widget.on_change("value", lambda _a, _o, _n: self._read_settings())
        plot.x_range.on_change("start", lambda _a, _o, _n: self._read_settings())
        plot.x_range.on_change("end", lambda _a, _o, _n: self._read_settings())
        for side in ("inner_height", "inner_width"):
            plot.figure.on_change(side, lambda side, _o, px: self._resize(side, px))
        plot.drawn.on_change("data", lambda _a, _o, _n: self._confirm())
        self._client.on_change("data", lambda _a, _o, _n: self._follow_theme())

    def _listen_to_commands(self, commands: CommandBar) -> None:
        for name, button in commands.buttons.items():
            button.on_click(partial(self._feed.send, name, None))
        commands.release.on_click(self._feed.release)

    def _show_seconds(self, seconds: float) -> None:
        span = self.plot.x_range
        span.update(start=-seconds, end=0, reset_start=-seconds, reset_end=0)

    def _pause(self, active: bool) -> None:
        self._paused_at_s = self._now() if active else None
        feed = self._feed
        frozen = {name: signal.frozen() for name, signal in feed.signals.items()}
        self._frozen = (frozen, feed.events.events) if active else None
        self.bar.pause.label = "Go on" if active else "Pause"
        self._needs_drawing = True

    def _resize(self, side: str, size_px: float) -> None:
        if side == "inner_height":
            self.settings.height_px = float(size_px)
        else:
            self.settings.width_px = float(size_px)
        self._needs_drawing = True

    def _read_settings(self) -> None:
        bar, span, settings = self.bar, self.plot.x_range, self.settings
        if span.start < span.end:
            settings.first_s, settings.last_s = float(span.start), float(span.end)
        settings.layout = Layout(bar.layout.value)
        settings.mode = ScaleMode(bar.scale.value)
        bar.low.disabled = bar.high.disabled = settings.mode is not ScaleMode.FIXED
        low, high = bar.low.value, bar.high.value
        if low is not None and high is not None and low < high:
            settings.fixed = Scale(low, high)
        chosen = set(bar.streams.value)
        settings.hidden = frozenset(self._feed.signals) - chosen if chosen else frozenset()
        self._needs_drawing = True

    def _confirm(self) -> None:
        self._on_the_way = max(0, self._on_the_way - 1)

    def _follow_theme(self) -> None:
        self._colours = DARK if self._client.data["dark"][0] else LIGHT
        self.plot.paint(self._colours)
        self._needs_drawing = True

    # ---- what the user sees ------------------------------------------------------------------

    def _open(self) -> None:
        document = self._document
        document.title = "dp-bela"
        commands = (self.commands, self.panel) if self.commands and self.panel else None
        layout = arrange(self.head, self.bar, commands, self.plot.figure)
        layout.stylesheets = [GlobalInlineStyleSheet(css=PAGE_CSS)]
        document.add_root(layout)
        document.add_root(self.plot.lines)  # no part of the plot itself: it is cut into lines
        document.add_root(self._client)
        document.js_on_event(
            DocumentReady, CustomJS(args={"client": self._client}, code=FOLLOW_THEME_JS)
        )
        document.on_session_destroyed(lambda _context: self._feed.leave())
        document.add_periodic_callback(self.update, round(1000 * DRAW_PERIOD_S))
        self._feed.enter()

    def update(self) -> None:
        """Bring the page up to date, unless its browser is behind."""
        self._show_words()
        if self._on_the_way >= _MAX_ON_THE_WAY:
            if time.monotonic() < self._sent_s + DRAWN_WITHIN_S:
                return
            self._on_the_way = 0
        if self._paused_at_s is not None and not self._needs_drawing:
            return
        self._needs_drawing = False
        now_s = self._now() if self._paused_at_s is None else self._paused_at_s
        signals, events = self._frozen or (self._feed.signals, self._feed.events.events)
        drawing = self._drawer.draw(signals, events, now_s, self.settings)
        self._on_the_way += 1
        self._sent_s = time.monotonic()
        self._send(drawing)

    def _send(self, drawing: PageDrawing) -> None:
        plot, colours = self.plot, self._colours.lines
        dots, readouts = drawing.dots, drawing.readouts
        last_s = self.settings.last_s
        _change(plot.gaps, drawing.gaps)
        _change(plot.events, drawing.events)
        _change(
            plot.dots,
            {"x": dots["x"], "y": dots["y"], "fill": [colours[k] for k in dots["colour"]]},
        )
        fill = [colours[k] for k in readouts["colour"]]
        columns = {name: readouts[name] for name in readouts if name != "colour"}
        _change(plot.readouts, {"x": [last_s] * len(fill), "fill": fill, **columns})
        if plot.y_range.end != drawing.top:
            plot.y_range.update(start=0, end=drawing.top, reset_start=0, reset_end=drawing.top)
        ticks = sorted(drawing.labels)
        if drawing.labels != plot.figure.yaxis.major_label_overrides:
            plot.ticker.ticks = ticks
            plot.figure.yaxis.major_label_overrides = drawing.labels
        plot.lines.data = drawing.lines

    def _show_words(self) -> None:
        feed = self._feed
        words = describe_status(feed.status, feed.address).as_html()
        if self.commands is None:
            words += f'<div class="note">{escape(_READ_ONLY)}</div>'
        if words != self.head.text:
            self.head.text = words
        names: list[Any] = sorted({*feed.signals, *self.bar.streams.value})
        if names != self.bar.streams.options:
            self.bar.streams.options = names
            self._read_settings()
        if self.commands is not None and self.commands.outcome.text != escape(feed.outcome):
            self.commands.outcome.text = escape(feed.outcome)
        if self.panel is not None:
            is_there = feed.status is not None
            self.panel.show(feed.variables, time.monotonic(), is_there=is_there)


def _change(source: ColumnDataSource, columns: dict[str, Any]) -> None:
    """Send columns, unless they are what the browser has."""
    before = source.data
    if any(not np.array_equal(before[name], columns[name]) for name in columns):
        source.data = columns
