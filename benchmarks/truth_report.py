"""What a recording of the truth amounts to: figures, tables in Markdown, a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.truth_recording import Condition, Floats, Recording

AFTER_S: Final = 5.0
"""Errors count from here on; the share inside the stated uncertainty counts every sample."""

_OURS, _OTHERS = "tab:blue", "tab:red"


@dataclass(frozen=True, slots=True)
class Figures:
    """What stamps of one sort are worth, after the first seconds.

    Attributes
    ----------
    median_s, p99_s, max_s : float
        Of the absolute error.
    within_s, across_s : float
        Largest error of the interval between two samples of one block, and of the one between
        the last sample of a block and the first of the next.
    """

    median_s: float
    p99_s: float
    max_s: float
    within_s: float
    across_s: float


@dataclass(frozen=True, slots=True)
class Trace:
    """Errors at the first and the last sample of each block; each of shape (n,)."""

    since_s: Floats
    ours_s: Floats
    on_arrival_s: Floats
    stated_s: Floats


@dataclass(frozen=True, slots=True)
class Result:
    """What is shown of a condition.

    Attributes
    ----------
    ours, on_arrival : Figures
        Of both sorts of stamps.
    stated_s : float
        Median of the uncertainty that was stated after the first seconds.
    inside : float
        Share of all samples, the first included, with an error inside what was stated.
    trace : Trace
        What is needed to plot it.
    """

    ours: Figures
    on_arrival: Figures
    stated_s: float
    inside: float
    trace: Trace


def evaluate(recording: Recording) -> Result:
    """Compare both sorts of stamps with the truth."""
    on_arrival_s = recording.on_arrival_s
    error_s = np.abs(recording.stamp_s - recording.truth_s)
    return Result(
        _figures(recording, recording.stamp_s),
        _figures(recording, on_arrival_s),
        float(np.median(recording.stated_s[recording.since(AFTER_S)])),
        float(np.mean(error_s <= recording.stated_s)),
        _trace(recording, on_arrival_s),
    )


def _figures(recording: Recording, stamp_s: Floats) -> Figures:
    late = recording.since(AFTER_S)
    error_s = stamp_s - recording.truth_s
    is_across = np.zeros(error_s.size - 1, bool)
    is_across[recording.block_ends[:-1]] = True
    interval_error_s = np.abs(np.diff(error_s))[late]
    median_s, p99_s, max_s = np.percentile(np.abs(error_s[late]), (50, 99, 100))
    return Figures(
        float(median_s),
        float(p99_s),
        float(max_s),
        float(interval_error_s[~is_across[late]].max()),
        float(interval_error_s[is_across[late]].max()),
    )


def _trace(recording: Recording, on_arrival_s: Floats) -> Trace:
    ends = recording.block_ends
    edges = np.sort(np.concatenate([ends[:-1] + 1, ends[1:]]))
    truth_s = recording.truth_s[edges]
    return Trace(
        truth_s - recording.truth_s[0],
        recording.stamp_s[edges] - truth_s,
        on_arrival_s[edges] - truth_s,
        recording.stated_s[edges],
    )


def tables(results: Mapping[Condition, Result]) -> str:
    """Write all results, in µs: a table for each group of conditions, and one of intervals."""
    groups: dict[str, dict[str, Result]] = {}
    for condition, result in results.items():
        groups.setdefault(condition.table, {})[condition.name] = result
    parts = [_error_table(title, rows) for title, rows in groups.items()]
    return "\n\n".join([*parts, _interval_table(groups)])


def _error_table(title: str, rows: Mapping[str, Result]) -> str:
    heads = (title, "median", "p99", "max", "stated", "inside", "on arrival: median", "p99", "max")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, result in rows.items():
        ours, others = result.ours, result.on_arrival
        cells = [
            name,
            *(_us(value) for value in (ours.median_s, ours.p99_s, ours.max_s, result.stated_s)),
            f"{result.inside:.2%}",
            *(_us(value) for value in (others.median_s, others.p99_s, others.max_s)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _interval_table(groups: Mapping[str, Mapping[str, Result]]) -> str:
    heads = ("Interval, largest error", "within", "across", "on arrival: within", "across")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for title, rows in groups.items():
        results = rows.values()
        values = (
            max(result.ours.within_s for result in results),
            max(result.ours.across_s for result in results),
            max(result.on_arrival.within_s for result in results),
            max(result.on_arrival.across_s for result in results),
        )
        lines.append(f"| {title} | " + " | ".join(_us(value, digits=3) for value in values) + " |")
    return "\n".join(lines)


def _us(value_s: float, digits: int = 0) -> str:
    return f"{value_s * 1e6:.{digits}f}"


def plot(trace: Trace, title: str, path: Path) -> None:
    """Draw error against time: on arrival above, ours with what was stated below."""
    from matplotlib.figure import Figure  # of the extra "bench", needed here alone

    figure = Figure(figsize=(9, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.set(title=title, ylabel="error / ms")
    above.plot(trace.since_s, trace.on_arrival_s * 1e3, lw=0.4, color=_OTHERS)
    above.plot(trace.since_s, trace.ours_s * 1e3, lw=2, color=_OURS)
    stated_us = trace.stated_s * 1e6
    below.set(ylabel="error / µs", xlabel="time / s")
    below.fill_between(trace.since_s, -stated_us, stated_us, color=_OURS, alpha=0.13, lw=0)
    below.plot(trace.since_s, trace.ours_s * 1e6, lw=1.5, color=_OURS)
    for axes, text, color in (
        (above, "stamped on arrival", _OTHERS),
        (below, "stamped by dp-bela; shaded: stated uncertainty", _OURS),
    ):
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axes.text(
            0.99, 0.95, text, color=color, ha="right", va="top", transform=axes.transAxes, bbox=box
        )
        axes.grid(alpha=0.3)
        axes.margins(x=0)
    figure.savefig(path, dpi=120)
