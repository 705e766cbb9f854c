"""The models of the page: commands only where it may control, everything by name."""

from __future__ import annotations

import pytest

pytest.importorskip("bokeh")

from bela_module.viewing.control_panel import ControlPanel
from bela_module.viewing.page_style import DARK
from bela_module.viewing.page_widgets import (
    COMMANDS,
    CommandBar,
    SettingsBar,
    SignalPlot,
    arrange,
    header,
    widget_sheet,
)


def test_commands_are_there_only_where_they_are_allowed() -> None:
    sheet = widget_sheet()
    panel = ControlPanel(lambda _name, _value: None, lambda _names: None, sheet)
    for commands in (None, (CommandBar.make(sheet), panel)):
        layout = arrange(header(), SettingsBar.make(sheet), commands, SignalPlot().figure)
        names = {model.name for model in layout.references()}
        assert ({*COMMANDS, "RELEASE", "control_area"} <= names) == (commands is not None)
        assert {"header", "window", "pause", "layout", "scale", "streams", "signals"} <= names
        assert ("START" in names) == (commands is not None)


def test_a_plot_is_drawn_on_a_canvas_and_takes_colours() -> None:
    plot = SignalPlot()
    plot.paint(DARK)
    assert plot.figure.output_backend == "canvas"
    assert plot.figure.background_fill_color == DARK.background
    assert plot.x_range.start == -10
