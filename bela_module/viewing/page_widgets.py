"""The models of the live page: plot, header, settings, commands; made of Bokeh."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bokeh.layouts import column, row
from bokeh.models import (
    Column,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    InlineStyleSheet,
    LayoutDOM,
    MultiLine,
    Quad,
    Range1d,
    Scatter,
    Text,
    VSpan,
)
from bokeh.models.widgets import Button, Div, MultiChoice, NumericInput, Select, Slider, Toggle
from bokeh.plotting import figure

from bela_module.viewing.control_panel import ControlPanel
from bela_module.viewing.page_style import HEADER_CSS, SHOW_JS, TOOLBAR_CSS, WIDGET_CSS, PlotColours
from bela_module.viewing.signals.lanes import Layout
from bela_module.viewing.signals.page_drawing import ScaleMode
from bela_module.viewing.time_limits import SHOWN_S

COMMANDS: Final = ("START", "STOP", "PREPARE", "CHECK")
DEFAULT_WINDOW_S: Final = 10
SHORTEST_SPAN_S: Final = 0.001
"""As far as a page can be zoomed in."""

_TOOLS: Final = "xpan,xwheel_zoom,xbox_zoom,xzoom_in,xzoom_out,reset,save"
_READOUT_OFFSET_PX: Final = -4
_READOUT_PADDING: Final[Any] = 2  # Bokeh's types allow no number, its documentation does


class SignalPlot:
    """The plot, and the sources of what it draws, of which ``lines`` is to be set last.

    What is sent is shown only with the lines that belong to it: a page draws whenever it likes.
    """

    def __init__(self) -> None:
        self.lines = ColumnDataSource({"x": [], "y": []}, name="lines")
        self._cut_lines = _source("shown_lines", ("xs", "ys", "stroke"))
        self.dots, self._shown_dots = _pair("dots", ("x", "y", "fill"))
        self.gaps, self._shown_gaps = _pair("gaps", ("left", "right", "bottom", "top"))
        self.events, self._shown_events = _pair("events", ("x", "y", "text"))
        readouts = ("x", "y", "text", "fill", "name", "low", "high", "value")
        self.readouts, self._shown_readouts = _pair("readouts", readouts)
        self._colours = ColumnDataSource(name="colours")
        self.drawn = ColumnDataSource({"count": [0]}, name="drawn")
        self.x_range: Any = Range1d(
            start=-DEFAULT_WINDOW_S,
            end=0,
            bounds=(-SHOWN_S, 0),
            min_interval=SHORTEST_SPAN_S,
            name="span",
        )
        self.y_range = Range1d(start=0, end=1)
        self.ticker = FixedTicker(ticks=[])
        self.figure: Any = figure(
            x_range=self.x_range,
            y_range=self.y_range,
            tools=_TOOLS,
            active_drag="xbox_zoom",
            output_backend="canvas",  # WebGL is slower where there is no graphics processor
            sizing_mode="stretch_both",
            min_height=320,
            min_border_right=16,
            name="signals",
        )
        self._style_axes()
        self._add_glyphs()
        sent = [self.dots, self.gaps, self.events, self.readouts]
        shown = [
            self._shown_dots,
            self._shown_gaps,
            self._shown_events,
            self._shown_readouts,
        ]
        models = {
            "lines": self.lines,
            "cut_lines": self._cut_lines,
            "sent": sent,
            "shown": shown,
            "colours": self._colours,
            "drawn": self.drawn,
        }
        self.lines.js_on_change("data", CustomJS(args=models, code=SHOW_JS))

    def _style_axes(self) -> None:
        plot = self.figure
        plot.toolbar.logo = None
        plot.toolbar.autohide = False
        plot.toolbar.stylesheets = [InlineStyleSheet(css=TOOLBAR_CSS)]
        plot.xaxis.axis_label = "time (s), 0 is now"
        plot.yaxis.ticker = self.ticker
        plot.yaxis.minor_tick_line_color = plot.yaxis.major_tick_line_color = None
        plot.ygrid.visible = False
        plot.xaxis.axis_label_text_font_style = "normal"

    def _add_glyphs(self) -> None:
        plot = self.figure
        self._gap_glyph = Quad(
            left="left", right="right", bottom="bottom", top="top", fill_alpha=0.25, line_alpha=0.6
        )
        plot.add_glyph(self._shown_gaps, self._gap_glyph)
        self._event_span = VSpan(x="x", line_dash="dashed", line_alpha=0.7)
        plot.add_glyph(self._shown_events, self._event_span)
        plot.add_glyph(
            self._cut_lines, MultiLine(xs="xs", ys="ys", line_color="stroke", line_width=1)
        )
        self._dot_glyph = Scatter(x="x", y="y", size=5, fill_color="fill", line_color=None)
        plot.add_glyph(self._shown_dots, self._dot_glyph)
        self._event_text = Text(
            x="x", y="y", text="text", text_font_size="11px", x_offset=3, text_baseline="bottom"
        )
        plot.add_glyph(self._shown_events, self._event_text)
        self._readout_glyph = Text(
            x="x",
            y="y",
            text="text",
            text_color="fill",
            text_font_size="12px",
            text_align="right",
            text_baseline="middle",
            x_offset=_READOUT_OFFSET_PX,
            background_fill_alpha=0.85,
            padding=_READOUT_PADDING,
        )
        plot.add_glyph(self._shown_readouts, self._readout_glyph)

    def paint(self, colours: PlotColours) -> None:
        """Give everything its colour."""
        plot = self.figure
        plot.background_fill_color = plot.border_fill_color = colours.background
        plot.outline_line_color = colours.grid
        plot.xgrid.grid_line_color = colours.grid
        for axis in (*plot.xaxis, *plot.yaxis):
            axis.axis_label_text_color = axis.major_label_text_color = colours.ink
            axis.axis_line_color = colours.grid
        plot.xaxis.major_tick_line_color = plot.xaxis.minor_tick_line_color = colours.grid
        self._colours.tags = list(colours.lines)
        self._gap_glyph.fill_color = self._gap_glyph.line_color = colours.gap
        self._event_span.line_color = self._event_text.text_color = colours.event
        self._readout_glyph.background_fill_color = colours.background


@dataclass(frozen=True, slots=True)
class SettingsBar:
    """What a user chooses of the plot."""

    window: Slider
    pause: Toggle
    layout: Select
    scale: Select
    low: NumericInput
    high: NumericInput
    streams: MultiChoice

    @classmethod
    def make(cls, sheet: InlineStyleSheet) -> SettingsBar:
        """Make the widgets."""
        common: dict[str, Any] = {"stylesheets": [sheet]}
        return cls(
            window=Slider(
                start=1,
                end=SHOWN_S,
                step=1,
                value=DEFAULT_WINDOW_S,
                title="seconds shown",
                name="window",
                width=200,
                **common,
            ),
            pause=Toggle(label="Pause", name="pause", width=90, align="end", **common),
            layout=Select(
                title="rows",
                options=_options(layout.value for layout in Layout),
                value=Layout.CHANNELS.value,
                name="layout",
                width=160,
                **common,
            ),
            scale=Select(
                title="scale",
                options=_options(mode.value for mode in ScaleMode),
                value=ScaleMode.AUTO.value,
                name="scale",
                width=130,
                **common,
            ),
            low=_number("from", -1.0, "low", common),
            high=_number("to", 1.0, "high", common),
            streams=MultiChoice(
                title="streams (none chosen: all)",
                options=[],
                value=[],
                name="streams",
                width=260,
                **common,
            ),
        )

    def layout_models(self) -> list[LayoutDOM]:
        """Give the widgets in their order."""
        return [
            self.window,
            self.pause,
            self.layout,
            self.scale,
            self.low,
            self.high,
            self.streams,
        ]


@dataclass(frozen=True, slots=True)
class CommandBar:
    """Commands to the module; only on a page that may control it."""

    buttons: dict[str, Button]
    release: Button
    outcome: Div

    @classmethod
    def make(cls, sheet: InlineStyleSheet) -> CommandBar:
        """Make the widgets."""
        common: dict[str, Any] = {"stylesheets": [sheet]}
        small: dict[str, Any] = {"width": 90, "align": "end", **common}
        return cls(
            buttons={name: Button(label=name, name=name, **small) for name in COMMANDS},
            release=Button(label="RELEASE all", name="RELEASE", **{**small, "width": 110}),
            outcome=Div(text="", name="outcome", align="end", **common),
        )

    def layout_models(self) -> list[LayoutDOM]:
        """Give the widgets in their order."""
        return [*self.buttons.values(), self.release]


def _options(texts: Iterable[str]) -> list[Any]:
    return list(texts)


def _source(name: str, columns: Iterable[str]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _pair(name: str, columns: Sequence[str]) -> tuple[ColumnDataSource, ColumnDataSource]:
    """Make the source that is sent to the browser, and the one that it draws."""
    return _source(name, columns), _source(f"shown_{name}", columns)


def _number(title: str, value: float, name: str, common: dict[str, Any]) -> NumericInput:
    return NumericInput(
        title=title, value=value, mode="float", name=name, width=90, disabled=True, **common
    )


def header() -> Div:
    """Make the head of the page."""
    return Div(
        text="",
        name="header",
        sizing_mode="stretch_width",
        stylesheets=[InlineStyleSheet(css=HEADER_CSS)],
    )


def widget_sheet() -> InlineStyleSheet:
    """Make the style sheet of all widgets."""
    return InlineStyleSheet(css=WIDGET_CSS)


def arrange(
    head: Div,
    settings: SettingsBar,
    commands: tuple[CommandBar, ControlPanel] | None,
    plot: Any,
) -> Column:
    """Put everything in its place: rows that break where a screen is narrow, the plot below."""
    wrapped: dict[str, Any] = {
        "sizing_mode": "stretch_width",
        "styles": {"flex-wrap": "wrap"},
    }
    parts: list[LayoutDOM] = [head]
    if commands is not None:
        bar, panel = commands
        widgets = [*bar.layout_models(), *panel.layout_models(), bar.outcome]
        parts += [row(*widgets, **wrapped), panel.area]
    parts += [row(*settings.layout_models(), **wrapped), plot]
    return column(
        *parts,
        sizing_mode="stretch_both",
        styles={"padding": "8px", "height": "100vh", "box-sizing": "border-box"},
    )
