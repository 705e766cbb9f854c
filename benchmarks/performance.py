"""Processor time, memory, standstills and delay beside the floor that sockets and LSL set.

A board runs in a process of its own, and so do, one after another, the readers of ``readers.py``: a
bare websocket reader, the same with one LSL push for each block (the *floor*), the module, and a
model of scripts that unpack value by value. What counts is the processor time of a reader between
two of its lines, divided by the values that it took meanwhile: neither the start nor what the board
costs is in it. Rounds alternate, so that all readers see the same computer. The board is the
simulated one, or, at rates that would take all of a core of it, ``block_sender.py``.

``python benchmarks/performance.py [--seconds 6] [--rounds 1] [--only TEXT] [--kinds a,b]
[--write docs/performance.md] [--summary README.md] [--plot PNG] [--tree PATH ...]`` prints tables
in Markdown, all in eight minutes. ``--only`` chooses tables or loads: *Cost*, *Scale*, *Growth*,
*Delay*, *Memory*, *Idle*, *Start*. ``--tree`` names a checkout whose module is measured instead of
this one's; with several of them each is a column.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.server.process_limits import raise_descriptor_limit  # noqa: E402
from benchmarks.marked_text import write_between_marks  # noqa: E402
from benchmarks.measured_processes import (  # noqa: E402
    READER_WARM_UP_S,
    WARM_UP_S,
    Load,
    board,
    lines_of,
    lsl_settings,
    start_reader,
)
from benchmarks.performance_lsl import Delays, delay_table, memory_table  # noqa: E402
from benchmarks.performance_plot import plot  # noqa: E402
from benchmarks.performance_start import idle_table, start_table  # noqa: E402
from benchmarks.readers import KINDS  # noqa: E402

COSTS: Final = (
    Load("6 streams", 44100, 6),
    Load("130 streams", 1000, 130),
    Load("130 streams", 5000, 130),
    Load("130 streams", 20000, 130),
    Load("1 stream of 130", 20000, 130, 1),
)
SCALE: Final = (
    Load("130 streams", 44100, 130, prebuilt=True),
    Load("1 stream of 130", 77000, 130, 1, prebuilt=True),
    Load("8 streams of 16", 39062, 128, 8, prebuilt=True),
)
GROWTH: Final = tuple(
    Load(f"{n} stream{'s' if n > 1 else ''}", 520_000 // n, n, prebuilt=True)
    for n in (1, 4, 13, 50, 200)
)
TABLES: Final[Mapping[str, tuple[Sequence[Load], Sequence[str]]]] = {
    "Cost": (COSTS, KINDS),
    "Scale": (SCALE, ("push", "module")),
    "Growth": (GROWTH, ("module",)),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of one reader gave, after its start."""

    cpu_per_million_s: float
    values_per_s: float
    lost: int
    rss_mib: float
    standstill_ms: float


def measure(load: Load, kind: str, tree: Path, seconds: float) -> Figures:
    """Run one reader against a board of its own."""
    warm_up_s = WARM_UP_S if kind == "module" else READER_WARM_UP_S
    with lsl_settings() as environment, board(load, environment) as (port, _):
        reader = start_reader(
            load, kind, port, seconds + warm_up_s, environment, "--tree", str(tree)
        )
        lines = lines_of(reader)
    if len(lines) < warm_up_s + 2:
        raise RuntimeError(f"{kind} of {load.title} printed {len(lines)} lines")
    first, last = lines[warm_up_s - 1], lines[-1]
    n_values = last["values"] - first["values"]
    return Figures(
        1e6 * (last["cpu_s"] - first["cpu_s"]) / max(n_values, 1),
        n_values / (len(lines) - warm_up_s),
        last["lost"],
        max(line["rss_bytes"] for line in lines) / 2**20,
        1e3 * max(line["standstill_s"] for line in lines[warm_up_s:]),
    )


@dataclass(frozen=True, slots=True)
class Column:
    """A reader to be measured."""

    title: str
    kind: str
    tree: Path = ROOT


def rows(
    loads: Sequence[Load], columns: Sequence[Column], seconds: float, rounds: int
) -> Iterator[tuple[Load, dict[str, list[Figures]]]]:
    """Measure each load with each reader, the readers in turn."""
    for load in loads:
        taken: dict[str, list[Figures]] = {column.title: [] for column in columns}
        for n in range(rounds):
            for column in columns if n % 2 == 0 else tuple(reversed(columns)):
                taken[column.title].append(measure(load, column.kind, column.tree, seconds))
        yield load, taken


def _ratio(above: Sequence[Figures], below: Sequence[Figures]) -> float:
    pairs = zip(above, below, strict=True)
    return statistics.median(a.cpu_per_million_s / b.cpu_per_million_s for a, b in pairs)


def table(
    title: str, loads: Sequence[Load], columns: Sequence[Column], seconds: float, rounds: int
) -> Iterator[str]:
    """Yield the lines of a table as they are measured."""
    modules = [column for column in columns if column.kind == "module"]
    has_floor = any(column.kind == "push" for column in columns)
    heads = [f"{title}", "M values/s", *(column.title for column in columns)]
    if has_floor:
        heads += [f"floor / {column.title}" for column in modules]
    heads += ["lost", "RSS MiB", "standstill ms"] * len(modules)
    yield f"| {' | '.join(heads)} |"
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    for load, taken in rows(loads, columns, seconds, rounds):
        cells = [load.title, f"{load.values_per_s / 1e6:.3g}"]
        for column in columns:
            costs = [figures.cpu_per_million_s for figures in taken[column.title]]
            cells.append(f"{statistics.median(costs):.3f}")
        if has_floor:
            floor = next(column.title for column in columns if column.kind == "push")
            cells += [f"{_ratio(taken[floor], taken[column.title]):.2f}" for column in modules]
        for column in modules:
            figures = taken[column.title]
            cells.append(str(max(one.lost for one in figures)))
            cells.append(f"{max(one.rss_mib for one in figures):.0f}")
            cells.append(f"{max(one.standstill_ms for one in figures):.0f}")
        yield f"| {' | '.join(cells)} |"


def all_tables(options: argparse.Namespace, delays: Delays) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield the titles of the tables that are asked for, and their lines as they are measured."""
    seconds: float = options.seconds
    trees = [tree.resolve() for tree in options.tree or [ROOT]]
    for title, (all_loads, kinds) in TABLES.items():
        loads = [load for load in all_loads if options.only in f"{title} {load.title}"]
        columns: list[Column] = []
        for kind in [kind for kind in options.kinds.split(",") if kind in kinds]:
            if kind == "module" and options.tree:
                columns += [Column(str(tree), "module", tree) for tree in trees]
            else:
                columns.append(Column(kind, kind))
        if loads:
            yield title, table(title, loads, columns, seconds, options.rounds)
    others: dict[str, Callable[[], Iterator[str]]] = {
        "Delay": lambda: delay_table(2 * seconds, delays),
        "Memory": lambda: memory_table(3 * seconds),
        "Idle": lambda: idle_table(2 * seconds),
        "Start": start_table,
    }
    for title, lines in others.items():
        if options.only in title:
            yield title, lines()


def summary(lines: Sequence[str]) -> str:
    """Shorten the table of costs to the floor's share of what the module takes."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    ratios = [k for k, head in enumerate(cells[0]) if head.startswith("floor / ")]
    chosen = [[row[0], row[1], *(row[k] for k in ratios)] for row in cells]
    chosen[0][0] = "streams"
    return "\n".join(f"| {' | '.join(row)} |" for row in chosen)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="for each measurement (6)")
    parser.add_argument("--rounds", type=int, default=1, help="measurements of each (1)")
    parser.add_argument("--only", default="", help="tables or loads whose title has this text")
    parser.add_argument("--kinds", default=",".join(KINDS), help="readers, with commas")
    parser.add_argument("--write", type=Path, help="put the tables between the marks of this file")
    parser.add_argument("--summary", type=Path, help="the same for the ratios alone")
    parser.add_argument("--plot", type=Path, help="draw costs, growth and delays")
    parser.add_argument("--tree", type=Path, action="append", help="a checkout; may be repeated")
    options = parser.parse_args()
    raise_descriptor_limit(20_000)
    written: dict[str, list[str]] = {}
    delays: Delays = {}
    for title, lines in all_tables(options, delays):
        written[title] = []
        for line in lines:
            print(line, flush=True)
            written[title].append(line)
        print(flush=True)
    if options.plot:
        plot(written, delays, options.plot)
    program = "benchmarks/performance.py"
    if options.write:
        text = "\n\n".join("\n".join(lines) for lines in written.values())
        write_between_marks(options.write, text, program)
    if options.summary and "Cost" in written:
        write_between_marks(options.summary, summary(written["Cost"]), program)


if __name__ == "__main__":
    main()
