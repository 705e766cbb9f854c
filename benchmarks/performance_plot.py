"""The picture of ``performance.py``: costs, growth with the number of variables, delays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.performance_lsl import Delays
from benchmarks.readers import KINDS


def _cells(lines: Sequence[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def plot(tables: Mapping[str, Sequence[str]], delays: Delays, path: Path) -> None:
    """Draw what was measured; a part that was not measured stays away.

    Parameters
    ----------
    tables : mapping of str to sequence of str
        Lines of the tables *Cost* and *Growth* in Markdown, by their titles.
    delays : mapping of str to ndarray of float64
        Delays in seconds.
    path : Path
        The picture.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parts = [name for name in ("Cost", "Growth") if tables.get(name)] + ["Delay"] * bool(delays)
    if not parts:
        return
    widths = [2.2 if part == "Cost" else 1.0 for part in parts]
    figure, all_axes = plt.subplots(
        1, len(parts), figsize=(2.2 * sum(widths) + 1.5, 3.4), layout="constrained",
        width_ratios=widths, squeeze=False,
    )  # fmt: skip
    for part, axes in zip(parts, all_axes[0], strict=True):
        if part == "Cost":
            _plot_costs(axes, _cells(tables[part]))
        elif part == "Growth":
            _plot_growth(axes, _cells(tables[part]))
        else:
            _plot_delays(axes, delays)
    figure.savefig(path, dpi=110)


def _plot_costs(axes: Any, cells: list[list[str]]) -> None:
    heads, body = cells[0], cells[2:]
    kinds = [(k, head) for k, head in enumerate(heads) if head in KINDS]
    for n, (k, head) in enumerate(kinds):
        at = [row + (n - (len(kinds) - 1) / 2) * 0.8 / len(kinds) for row in range(len(body))]
        axes.bar(at, [float(row[k]) for row in body], 0.8 / len(kinds), label=head)
    axes.set_xticks(range(len(body)), [f"{row[0]}\n{row[1]} M/s" for row in body], fontsize=7)
    axes.set_ylabel("processor s per million values")
    axes.set_yscale("log")
    axes.legend(fontsize=7, ncols=4)


def _plot_growth(axes: Any, cells: list[list[str]]) -> None:
    heads, body = cells[0], cells[2:]
    n_variables = [int(row[0].split()[0]) for row in body]
    for k, head in enumerate(heads):
        if head in KINDS:
            axes.plot(n_variables, [float(row[k]) for row in body], "o-", label=head)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("variables at one total rate")
    axes.set_ylabel("processor s per million values")
    axes.legend(fontsize=7)


def _plot_delays(axes: Any, delays: Delays) -> None:
    for title, delays_s in delays.items():
        axes.plot(1e3 * np.sort(delays_s), np.linspace(0, 1, delays_s.size), label=title)
    axes.set_xscale("log")
    axes.set_xlabel("delay to an inlet, ms")
    axes.set_ylabel("share of blocks")
    axes.legend(fontsize=7)
