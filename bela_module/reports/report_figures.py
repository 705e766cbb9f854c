"""Pictures of a report: streams over time with their gaps, stated uncertainty, lag of pulses.

They are drawn by matplotlib, without its global state, as SVG for a page or as a PNG file. In an
SVG the ink is ``currentColor``, so that a page can be light or dark.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bela_module.errors import ExtraMissingError
from bela_module.reports.event_markers import BEGINNINGS, ENDS, TROUBLES
from bela_module.reports.pulses.pulse_report import PulseReport
from bela_module.reports.recorded_stream import Floats
from bela_module.reports.recording_report import RecordingReport
from bela_module.reports.stream_account import BreakKind, StreamAccount

# Imported where it is used: only some reports have pictures.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK: Final = "#010203"  # replaced by that of the page
_PNG_INK: Final = "#333333"
_BLUE, _RED, _ORANGE, _GREY = "#4a8fd8", "#e2504a", "#dd8f22", "#8c8c8c"
_BREAK_COLOURS: Final = {BreakKind.LOSS: _RED, BreakKind.CLOCK: _ORANGE}
_WIDTH_IN: Final = 9.0
_HEIGHT_IN: Final = 2.6
_MAX_SHOWN: Final = 500
_MAX_POINTS: Final = 4000
_VISIBLE_SHARE: Final = 0.003
_MAX_LETTERS: Final = 40

Drawing = tuple[str, float, Callable[["Axes"], None]]
"""Title of a picture, its height in inches, and what draws it."""


def drawings(report: RecordingReport) -> list[Drawing]:
    """Give the pictures of a report, in their order."""
    drawn: list[Drawing] = []
    if report.streams and math.isfinite(report.begins_s):
        height_in = 1.0 + 0.3 * len(report.streams)
        drawn.append(("Streams over time", height_in, lambda axes: _streams(axes, report)))
    if report.clocks:
        drawn.append(("Stated uncertainty", _HEIGHT_IN, lambda axes: _uncertainty(axes, report)))
    pulses = report.pulses
    if pulses is not None:
        begins_s = report.begins_s
        drawn.append(("Lag over time", _HEIGHT_IN, lambda axes: _lags(axes, pulses, begins_s)))
        drawn.append(("Lag, how often", _HEIGHT_IN, lambda axes: _histogram(axes, pulses)))
    return drawn


def as_svg(drawing: Drawing, salt: str) -> str:
    """Draw a picture as an SVG element for a page.

    Parameters
    ----------
    drawing : tuple
        One of :func:`drawings`.
    salt : str
        What distinguishes it from others on the page.

    Raises
    ------
    ExtraMissingError
        matplotlib is not installed.
    """
    matplotlib = _matplotlib()
    _, height_in, draw = drawing
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure = _figure(height_in)
        axes = figure.subplots()
        draw(axes)
        _ink(axes, _INK)
        written = io.StringIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as of letters whose width it does not know
            figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")


def write_png(report: RecordingReport, path: Path) -> None:
    """Draw all pictures into one PNG file."""
    drawn = drawings(report)
    heights_in = [height_in for _, height_in, _ in drawn]
    figure = _figure(sum(heights_in))
    many = figure.subplots(len(drawn), height_ratios=heights_in, squeeze=False)
    for axes, (title, _, draw) in zip(many[:, 0], drawn, strict=True):
        draw(axes)
        axes.set_title(title, loc="left", fontsize=9)
        _ink(axes, _PNG_INK)
    figure.savefig(path, dpi=90)


def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.backends.backend_svg
        import matplotlib.figure
    except ImportError as error:
        raise ExtraMissingError("matplotlib, which draws the pictures of a report", "view") from (
            error
        )
    return matplotlib


def _figure(height_in: float) -> Figure:
    figure: Figure = _matplotlib().figure.Figure((_WIDTH_IN, height_in), layout="constrained")
    return figure


def _ink(axes: Axes, colour: str) -> None:
    """Give text, ticks and borders one colour."""
    axes.tick_params(colors=colour, labelsize=8)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(colour)
        text.set_fontsize(9)
    for name, spine in axes.spines.items():
        spine.set_color(colour)
        spine.set_visible(name in ("left", "bottom"))
    legend = axes.get_legend()
    if legend is not None:
        for text in legend.get_texts():
            text.set_color(colour)


def _shown(name: str) -> str:
    """Give a name as it can stand in a picture: not too long, and none of it a formula."""
    short = name if len(name) <= _MAX_LETTERS else f"{name[: _MAX_LETTERS - 3]}..."
    return short.replace("$", r"\$")


def _legend(axes: Axes) -> None:
    """Name the colours above the picture, where they cover nothing."""
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
        fontsize=8,
        frameon=False,
        ncols=4,
    )


def _streams(axes: Axes, report: RecordingReport) -> None:
    """Draw a row for each stream: where it has samples, what it lacks, and what was told."""
    begins_s = report.begins_s
    span_s = max(report.recording.ends_s - begins_s, 1e-9)
    for row, account in enumerate(report.streams):
        axes.broken_barh(_runs(account, begins_s), (row - 0.35, 0.7), color=_BLUE)
        for kind, colour in _BREAK_COLOURS.items():
            axes.broken_barh(
                _breaks(account, kind, begins_s, span_s), (row - 0.42, 0.84), color=colour
            )
    axes.set_yticks(range(len(report.streams)), [_shown(one.title) for one in report.streams])
    axes.set_ylim(len(report.streams) - 0.4, -0.6)
    axes.set_xlim(0, span_s)
    axes.set_xlabel("seconds since the first stamp")
    marked = {_GREY: (*BEGINNINGS, *ENDS), _ORANGE: TROUBLES}
    for colour, kinds in marked.items():
        at_s = [one.stamp_s - begins_s for one in report.events if one.kind in kinds]
        for time_s in at_s[:_MAX_SHOWN]:
            axes.axvline(time_s, color=colour, linewidth=0.8, linestyle=":", zorder=0.5)
    for label, colour in (
        ("samples", _BLUE),
        ("lost", _RED),
        ("clock stood still, or trouble", _ORANGE),
        ("start, stop", _GREY),
    ):
        axes.plot([], [], color=colour, linewidth=4, label=label)
    _legend(axes)


def _runs(account: StreamAccount, begins_s: float) -> list[tuple[float, float]]:
    """Give begin and length of each stretch with samples; of an irregular stream, of each."""
    stamps_s = account.stream.stamps_s
    if stamps_s.size == 0:
        return []
    pauses = [one for one in account.breaks if one.kind is BreakKind.PAUSE]
    edges_s = [float(stamps_s[0]), *(e for one in pauses for e in (one.begins_s, one.ends_s))]
    edges_s.append(float(stamps_s[-1]))
    return [
        (begin_s - begins_s, end_s - begin_s)
        for begin_s, end_s in zip(edges_s[::2], edges_s[1::2], strict=True)
    ]


def _breaks(
    account: StreamAccount, kind: BreakKind, begins_s: float, span_s: float
) -> list[tuple[float, float]]:
    """Give begin and length of the longest breaks, wide enough to be seen."""
    found = [one for one in account.breaks if one.kind is kind]
    found = sorted(found, key=lambda one: -one.duration_s)[:_MAX_SHOWN]
    least_s = _VISIBLE_SHARE * span_s
    return [
        (
            one.begins_s - begins_s - max(0.0, (least_s - one.duration_s) / 2),
            max(one.duration_s, least_s),
        )
        for one in found
    ]


def _uncertainty(axes: Axes, report: RecordingReport) -> None:
    """Draw what was stated of the stamps of each board."""
    for number, clock in enumerate(report.clocks):
        at_s, stated_s = _thinned(clock.stamps_s - report.begins_s, clock.uncertainty_s)
        colour = (_BLUE, _ORANGE, _RED)[number % 3]
        axes.step(at_s, 1e3 * stated_s, where="post", color=colour, label=_shown(clock.board))
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_ylabel("stamps are within ± ms")
    axes.set_xlabel("seconds since the first stamp")
    if len(report.clocks) > 1:
        _legend(axes)


def _thinned(at_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Bound the number of points: of many, the largest of each few."""
    n_each = -(-at_s.size // _MAX_POINTS)
    if n_each <= 1:
        return at_s, values
    begins = np.arange(0, at_s.size, n_each)
    return at_s[begins], np.fmax.reduceat(values, begins)


def _lags(axes: Axes, pulses: PulseReport, begins_s: float) -> None:
    """Draw the lag of each pulse, and the line that they follow."""
    at_s, lags_ms, is_outlier = pulses.times_s - begins_s, 1e3 * pulses.lags_s, pulses.is_outlier
    axes.plot(at_s[~is_outlier], lags_ms[~is_outlier], ".", color=_BLUE, label="lag", markersize=4)
    if is_outlier.any():
        axes.plot(at_s[is_outlier], lags_ms[is_outlier], "x", color=_RED, label="outlier")
    line_ms = 1e3 * pulses.match.lag_at_s(pulses.times_s)
    axes.plot(at_s, line_ms, color=_ORANGE, linewidth=1, label=f"{pulses.drift_ppm:+.2f} ppm")
    axes.set_ylabel("lag, ms")
    axes.set_xlabel("seconds since the first stamp")
    axes.ticklabel_format(useOffset=False)
    _legend(axes)


def _histogram(axes: Axes, pulses: PulseReport) -> None:
    """Draw how often each lag is there."""
    counts, borders_s = pulses.histogram()
    axes.stairs(counts, 1e3 * borders_s, fill=True, color=_BLUE)
    label = f"median {1e3 * pulses.lag_s:.3f} ms"
    axes.axvline(1e3 * pulses.lag_s, color=_ORANGE, linewidth=1, label=label)
    axes.set_ylabel("pulses")
    against, pulse = _shown(pulses.against.title), _shown(pulses.pulse.title)
    axes.set_xlabel(f"lag of {against} after {pulse}, ms")
    axes.ticklabel_format(axis="x", useOffset=False)
    _legend(axes)
