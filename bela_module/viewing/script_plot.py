"""``plot_data`` of scripts and notebooks: a plot that follows what is streamed or monitored."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bela_module.errors import ArgumentError, BelaError
from bela_module.viewing.bokeh_extra import require_bokeh
from bela_module.viewing.page_style import LIGHT
from bela_module.viewing.time_limits import PLOT_SERVER_S

logger = logging.getLogger(__name__)

_NOTEBOOK_SHELL: Final = "ZMQInteractiveShell"
_NOTEBOOK_HEIGHT_PX: Final = 360

Buffers = Mapping[str, Sequence[Any]]
"""Buffers of each variable: ``ref_timestamp``, ``rel_timestamps`` and ``data``."""


@dataclass(frozen=True, slots=True)
class ScriptPlot:
    """What is plotted, and how.

    Attributes
    ----------
    buffers : callable
        Gives the buffers that are kept at present, by variable.
    x_var : str
        Variable whose ticks are the horizontal axis.
    y_vars : tuple of str
        Variables whose values are drawn over their ticks.
    y_range : (float, float) or None
        Ends of the vertical axis; None follows the values.
    update_ms : int
        Milliseconds between two drawings.
    rollover : int or None
        How many of the newest values are drawn; None: all that are kept.
    """

    buffers: Callable[[], Buffers]
    x_var: str
    y_vars: tuple[str, ...]
    y_range: tuple[float, float] | None
    update_ms: int
    rollover: int | None

    def open(self, document: Any) -> None:
        """Draw in a document of Bokeh, and go on as long as it is shown."""
        from bokeh.models import ColumnDataSource, DataRange1d, Range1d
        from bokeh.plotting import figure

        x_range = Range1d(start=0, end=1)
        y_range: Any = DataRange1d()
        if self.y_range is not None:
            y_range = Range1d(start=self.y_range[0], end=self.y_range[1])
        plot: Any = figure(
            x_range=x_range,
            y_range=y_range,
            frame_height=260,
            sizing_mode="stretch_width",
            x_axis_label=f"ticks of {self.x_var}",
            y_axis_label="value",
            output_backend="canvas",
        )
        sources = {}
        for k, name in enumerate(self.y_vars):
            colour = LIGHT.lines[k % len(LIGHT.lines)]
            sources[name] = ColumnDataSource({"x": [], "y": []}, name=name)
            plot.line("x", "y", source=sources[name], line_color=colour, legend_label=name)

        def update() -> None:
            buffers = self.buffers()
            for name, source in sources.items():
                x, y = newest_values(buffers.get(name, ()), self.rollover)
                if not np.array_equal(source.data["x"], x):
                    source.data = {"x": x, "y": y}
            ticks, _ = newest_values(buffers.get(self.x_var, ()), self.rollover)
            if ticks.size > 1:
                x_range.update(start=float(ticks[0]), end=float(ticks[-1]))

        update()
        document.title = "dp-bela"
        document.add_root(plot)
        document.add_periodic_callback(update, self.update_ms)


def newest_values(buffers: Sequence[Any], rollover: int | None) -> tuple[Any, Any]:
    """Join the newest values of a variable.

    Parameters
    ----------
    buffers : sequence of BufferData
        Its buffers.
    rollover : int or None
        How many values at most; None: all.

    Returns
    -------
    ticks : ndarray of float64 of shape (n_values,)
        Tick of each.
    values : ndarray of float64 of shape (n_values,)
        The values.
    """
    ticks: list[Any] = []
    values: list[Any] = []
    missing = sys.maxsize if rollover is None else rollover
    for buffer in reversed(buffers):
        if missing <= 0:
            break
        rel, data = np.asarray(buffer["rel_timestamps"]), np.asarray(buffer["data"])
        kept = slice(max(0, data.size - missing), None)
        ticks.append((rel + buffer["ref_timestamp"])[kept].astype(np.float64))
        values.append(data[kept].astype(np.float64))
        missing -= data.size
    if not ticks:
        return np.empty(0), np.empty(0)
    return np.concatenate(ticks[::-1]), np.concatenate(values[::-1])


def show_plot(plot: ScriptPlot) -> Callable[[], None]:
    """Show a plot: in the notebook that this runs in, else in a window of the browser.

    Returns
    -------
    callable
        Ends it.

    Raises
    ------
    ExtraMissingError
        When Bokeh is not installed.
    BelaError
        When no page can be served.
    """
    require_bokeh()
    server = PlotServer(plot)
    if is_notebook():
        # Not Bokeh's own way: that draws only between two cells, and must be told the notebook's
        # address.
        display = importlib.import_module("IPython.display")
        display.display(display.IFrame(server.url, width="100%", height=_NOTEBOOK_HEIGHT_PX))
    elif not webbrowser.open(server.url):
        logger.warning("no browser could be opened; the plot is at %s", server.url)
    return server.close


def check_plotted(names: Sequence[str], running: Sequence[str]) -> None:
    """Check that variables are streamed or monitored.

    Raises
    ------
    ArgumentError
        When one is not.
    """
    for name in names:
        if name not in running:
            raise ArgumentError(
                f"{name!r} is not being streamed or monitored; begin with that, and then plot"
            )


def is_notebook() -> bool:
    """Tell whether this runs in a notebook, without importing IPython for it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == _NOTEBOOK_SHELL


class PlotServer:
    """Serves one plot on a free port of this computer, in a thread.

    Parameters
    ----------
    plot : ScriptPlot
        What is served.
    """

    def __init__(self, plot: ScriptPlot) -> None:
        self.url = ""
        self._ended: Callable[[], None] | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(plot,), name="bela-plot", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(PLOT_SERVER_S) or self._failure is not None:
            raise BelaError(f"the plot cannot be served: {self._failure or 'no answer'}")

    def close(self) -> None:
        """End it; safe to call more than once."""
        if self._ended is not None:
            self._ended()
        if threading.current_thread() is not self._thread:  # which may be the last to know of it
            self._thread.join(PLOT_SERVER_S)

    def _run(self, plot: ScriptPlot) -> None:
        try:
            asyncio.run(self._serve(plot))
        except (OSError, BelaError) as error:
            self._failure = error
            self._ready.set()

    async def _serve(self, plot: ScriptPlot) -> None:
        from bela_module.viewing.page_server import serving

        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        async with serving(plot.open, "127.0.0.1", 0) as url:
            self.url = url

            def end() -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(ended.set)

            self._ended = end
            self._ready.set()
            await ended.wait()
