"""Processor time, memory and standstills of the module beside the floor that sockets and LSL set.

A simulated board runs in a process of its own, and so do, one after another, the readers of
``readers.py``: a bare websocket reader, the same with one LSL push for each block (the *floor*),
the module, and a model of scripts that unpack value by value. What counts is the processor time of
a reader between two of its lines, divided by the values that it took meanwhile: neither the start
nor what the board costs is in it. Rounds alternate, so that all readers see the same computer.

``python benchmarks/performance.py [--seconds 12] [--rounds 3] [--only TEXT] [--kinds a,b]
[--write docs/performance.md] [--plot PNG] [--tree PATH ...]`` prints a table in Markdown.
``--tree`` names a checkout whose module is measured instead of this one's; with several of them
each is a column.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.server.descriptor_limit import raise_descriptor_limit  # noqa: E402
from benchmarks.marked_text import write_between_marks  # noqa: E402
from benchmarks.readers import KINDS  # noqa: E402

_WARM_UP_LINES: Final = 6
"""Until then a module may hold its first samples for a listener."""
_LSL: Final = """[log]
level = -2
[lab]
SessionID = {session}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
PortRange = 500
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be read."""

    title: str
    rate_hz: int
    columns: int
    streams: int = 0
    """Streams that the columns share; 0: one each."""

    @property
    def values_per_s(self) -> int:
        """Values a second of all variables."""
        return self.rate_hz * self.columns

    @property
    def shape(self) -> tuple[int, int]:
        """Streams, and columns of each."""
        streams = self.streams or self.columns
        return streams, self.columns // streams


COSTS: Final = (
    Load("6 streams", 44100, 6),
    Load("130 streams", 1000, 130),
    Load("130 streams", 5000, 130),
    Load("130 streams", 20000, 130),
    Load("1 stream of 130", 20000, 130, 1),
)
SCALE: Final = (
    Load("130 streams", 44100, 130),
    Load("1 stream of 130", 77000, 130, 1),
    Load("8 streams of 16", 39062, 128, 8),
)
GROWTH: Final = tuple(
    Load(f"{n} stream{'s' if n > 1 else ''}", 520_000 // n, n) for n in (1, 2, 5, 13, 40, 130)
)
TABLES: Final = {"Cost": COSTS, "Scale": SCALE, "Growth at one total rate": GROWTH}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of one reader gave, after its start."""

    cpu_per_million_s: float
    values_per_s: float
    lost: int
    rss_mib: float
    standstill_ms: float


@contextlib.contextmanager
def board(load: Load) -> Iterator[int]:
    """Run a simulated board in a process of its own; give its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bela_module.simulator", "--port", "0", "--sketch", "many"]
        + ["--rate", str(load.rate_hz), "--until-stdin-ends"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r":(\d+)", line)
        if found is None:
            raise RuntimeError(f"the simulated board says {line!r}")
        yield int(found[1])


def measure(load: Load, kind: str, tree: Path, seconds: float) -> Figures:
    """Run one reader against a board of its own."""
    streams, _ = load.shape
    with TemporaryDirectory() as folder, board(load) as port:
        lsl = Path(folder) / "lsl_api.cfg"
        lsl.write_text(_LSL.format(session=uuid.uuid4().hex), encoding="utf-8")
        reader = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / "readers.py"), kind]
            + ["--tree", str(tree), "--port", str(port), "--columns", str(load.columns)]
            + ["--streams", str(streams), "--seconds", str(seconds + _WARM_UP_LINES)],
            env={**os.environ, "LSLAPICFG": str(lsl)},
            capture_output=True,
            text=True,
            check=False,
        )
    lines: list[dict[str, Any]] = [json.loads(line) for line in reader.stdout.splitlines()]
    if reader.returncode or len(lines) < _WARM_UP_LINES + 2:
        raise RuntimeError(f"{kind} of {load.title} failed: {reader.stderr[-2000:]}")
    first, last = lines[_WARM_UP_LINES - 1], lines[-1]
    n_values = last["values"] - first["values"]
    return Figures(
        1e6 * (last["cpu_s"] - first["cpu_s"]) / max(n_values, 1),
        n_values / (len(lines) - _WARM_UP_LINES),
        last["lost"],
        max(line["rss_bytes"] for line in lines) / 2**20,
        1e3 * max(line["standstill_s"] for line in lines[_WARM_UP_LINES:]),
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


def plot(lines: Sequence[str], path: Path) -> None:
    """Draw the columns of a table of costs side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads, body = cells[0], cells[2:]
    kinds = [(k, head) for k, head in enumerate(heads) if head in KINDS]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for n, (k, head) in enumerate(kinds):
        at = [row + (n - (len(kinds) - 1) / 2) * 0.8 / len(kinds) for row in range(len(body))]
        axes.bar(at, [float(row[k]) for row in body], 0.8 / len(kinds), label=head)
    axes.set_xticks(range(len(body)), [f"{row[0]}\n{row[1]} M/s" for row in body])
    axes.set_ylabel("processor s per million values")
    axes.set_yscale("log")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="for each measurement (12)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (3)")
    parser.add_argument("--only", default="", help="tables or loads whose title has this text")
    parser.add_argument("--kinds", default=",".join(KINDS), help="readers, with commas")
    parser.add_argument("--write", type=Path, help="put the tables between the marks of this file")
    parser.add_argument("--plot", type=Path, help="draw the costs")
    parser.add_argument("--tree", type=Path, action="append", help="a checkout; may be repeated")
    options = parser.parse_args()
    raise_descriptor_limit(20_000)
    trees = [tree.resolve() for tree in options.tree or [ROOT]]
    columns: list[Column] = []
    for kind in options.kinds.split(","):
        if kind == "module":
            columns += [
                Column(str(tree) if options.tree else "module", "module", tree) for tree in trees
            ]
        else:
            columns.append(Column(kind, kind))
    written: list[str] = []
    for title, all_loads in TABLES.items():
        loads = [load for load in all_loads if options.only in f"{title} {load.title}"]
        lines: list[str] = []
        for line in table(title, loads, columns, options.seconds, options.rounds) if loads else ():
            print(line, flush=True)
            lines.append(line)
        written += [*lines, ""]
        if options.plot and lines and title == "Cost":
            plot(lines, options.plot)
    if options.write:
        text = "\n".join(written).strip()
        write_between_marks(options.write, text, "benchmarks/performance.py")


if __name__ == "__main__":
    main()
