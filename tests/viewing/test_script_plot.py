"""Plots of scripts: their values, where they are shown, their end."""

from __future__ import annotations

import sys
import types
import urllib.request
from typing import Any

import numpy as np
import pytest

from bela_module.errors import ArgumentError, BelaError
from bela_module.recording.buffers import make_buffer
from bela_module.viewing import page_server, script_plot
from bela_module.viewing.script_plot import (
    PlotServer,
    ScriptPlot,
    check_plotted,
    is_notebook,
    newest_values,
    show_plot,
)

pytest.importorskip("bokeh")

from bokeh.document import Document

TICKS = np.arange(100, dtype=np.int64)
BUFFERS = [
    make_buffer(TICKS[k : k + 10], 2.0 * TICKS[k : k + 10], TICKS[:10] * 1.0)
    for k in range(0, 100, 10)
]


def plot_of(**changes: Any) -> ScriptPlot:
    fields = {"x_var": "a", "y_vars": ("a", "b"), "y_range": None, "update_ms": 100, "rollover": 25}
    return ScriptPlot(lambda: {"a": BUFFERS, "b": BUFFERS[:2]}, **{**fields, **changes})


@pytest.mark.parametrize(("rollover", "first"), [(25, 75), (10, 90), (1, 99), (None, 0), (1000, 0)])
def test_the_newest_values(rollover: int | None, first: int) -> None:
    ticks, values = newest_values(BUFFERS, rollover)
    np.testing.assert_array_equal(ticks, TICKS[first:])
    np.testing.assert_array_equal(values, 2.0 * TICKS[first:])
    assert newest_values([], rollover)[0].size == 0


def test_lists_are_plotted_as_arrays_are() -> None:
    buffer = {"ref_timestamp": 5, "rel_timestamps": [0, 1, 2], "data": [7, 8, 9]}
    ticks, values = newest_values([buffer], 2)
    assert (ticks.tolist(), values.tolist()) == ([6, 7], [8, 9])


def test_a_document_has_a_line_for_each_variable_over_the_ticks_of_one() -> None:
    document = Document()
    plot_of(y_range=(-1, 300)).open(document)
    (figure,) = document.roots
    a, b = (document.get_model_by_name(name) for name in ("a", "b"))
    assert a is not None
    assert b is not None
    assert a.data["y"][-1] == 198
    assert b.data["x"].size == 20
    assert (figure.x_range.start, figure.x_range.end) == (75, 99)
    assert (figure.y_range.start, figure.y_range.end) == (-1, 300)
    (callback,) = document.session_callbacks
    assert callback.period == 100


def test_it_is_served_until_it_is_closed() -> None:
    server = PlotServer(plot_of())
    with urllib.request.urlopen(server.url, timeout=20) as page:
        assert b"static/js/bokeh" in page.read()
    server.close()
    server.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(server.url, timeout=20)


def test_a_browser_is_opened_where_there_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(script_plot.webbrowser, "open", opened.append)
    end = show_plot(plot_of())
    assert opened[0].startswith("http://127.0.0.1:")
    end()


def test_without_a_browser_the_address_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(script_plot.webbrowser, "open", lambda _url: False)
    end = show_plot(plot_of())
    end()
    assert "the plot is at http://127.0.0.1:" in caplog.text


def test_an_address_that_cannot_be_listened_at_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(_ip: str, _port: int | None) -> None:
        raise BelaError("no socket is left")

    monkeypatch.setattr(page_server, "_listen", listen)
    with pytest.raises(BelaError, match="the plot cannot be served: no socket is left"):
        PlotServer(plot_of())


def test_a_notebook_shows_it_in_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    shown: list[Any] = []
    display: Any = types.SimpleNamespace(
        display=shown.append, IFrame=lambda url, width, height: (url, width, height)
    )
    notebook: Any = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert is_notebook()
    end = show_plot(plot_of())
    ((url, width, _),) = shown
    with urllib.request.urlopen(url, timeout=20) as page:
        assert "X-Frame-Options" not in page.headers
    assert width == "100%"
    end()
    terminal: Any = types.SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    assert not is_notebook()


def test_only_what_runs_can_be_plotted() -> None:
    check_plotted(["a"], ["a", "b"])
    with pytest.raises(ArgumentError, match="'c' is not being streamed or monitored"):
        check_plotted(["a", "c"], ["a", "b"])
