"""Measure the processor time that a million values cost, from the websocket to the LSL outlets.

A simulated board runs in a process of its own; the module, started as its users start it, reads
from it. What counts is the processor time of the module between two of its STATUS lines, divided
by the values that it delivered meanwhile. So the start, and what the board costs, are not in it.

``python benchmarks/cpu_per_value.py [--seconds 20] [--rounds 3] [--tree PATH ...]`` prints a table
in Markdown. ``--tree`` names a checkout to be measured; with two of them, as before and after a
change, the rounds alternate and the ratio is printed.
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
from typing import Final

import psutil

ROOT = Path(__file__).resolve().parents[1]

_WARM_UP_LINES: Final = 4
_N_VARIABLES: Final = 130
_LSL: Final = """[log]
level = -2
[lab]
SessionID = {session}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What the module has to stream."""

    title: str
    rate_hz: int
    n_variables: int
    grouped: bool = False

    @property
    def names(self) -> list[str]:
        """Names of the variables, of the sketch ``many``."""
        return [f"v{k}" for k in range(self.n_variables)]


LOADS: Final = (
    Load("5 streams at 44.1 kHz", 44100, 5),
    Load("130 streams at 2 kHz", 2000, _N_VARIABLES),
    Load("1 stream of 130 variables at 4 kHz", 4000, _N_VARIABLES, grouped=True),
)


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


def seconds_per_million(load: Load, tree: Path, seconds: float) -> float:
    """Measure the processor seconds of a million values, with the module of a checkout."""
    with TemporaryDirectory() as folder, board(load) as port:
        lsl = Path(folder) / "lsl_api.cfg"
        lsl.write_text(_LSL.format(session=uuid.uuid4().hex), encoding="utf-8")
        config = Path(folder) / "bela.toml"
        text = f"[streams.all]\nvariables = {json.dumps(load.names)}\n" if load.grouped else ""
        config.write_text(text, encoding="utf-8")
        module = subprocess.Popen(
            [sys.executable, "main.py", "--board", f"127.0.0.1:{port}", "--port", "0", "--json"]
            + ["--config", str(config), "--variables", ",".join(load.names)]
            + ["--duration", str(seconds + _WARM_UP_LINES + 2), "--log-level", "ERROR"],
            cwd=tree,
            env={**os.environ, "LSLAPICFG": str(lsl)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        process = psutil.Process(module.pid)
        readings: list[tuple[float, int]] = []
        with module:
            for line in module.stdout or ():
                status = json.loads(line)
                if status.get("final"):
                    break
                times = process.cpu_times()
                streams = status["streams"]
                n_values = sum(s["samples"] * len(s["variables"]) for s in streams)
                if n_values:
                    readings.append((times.user + times.system, n_values))
    if len(readings) < 2 * _WARM_UP_LINES:
        raise RuntimeError(f"{tree} did not deliver {load.title}")
    if lost := sum(stream["lost"] for stream in status["streams"]):
        sys.stderr.write(f"{tree}: {lost} values were lost\n")
    (begun_s, begun), (ended_s, ended) = readings[_WARM_UP_LINES], readings[-1]
    return 1e6 * (ended_s - begun_s) / (ended - begun)


def compare(trees: Sequence[Path], seconds: float, rounds: int) -> None:
    """Measure each load with each checkout, one after the other, and print a table."""
    names = [str(tree) for tree in trees]
    ratio = ["| ratio "] if len(trees) == 2 else []
    print(f"| load | {' | '.join(names)} {''.join(ratio)}|")
    print("|---" + "|---:" * (len(names) + len(ratio)) + "|")
    for load in LOADS:
        taken: dict[Path, list[float]] = {tree: [] for tree in trees}
        for n in range(rounds):
            for tree in trees if n % 2 == 0 else tuple(reversed(trees)):
                taken[tree].append(seconds_per_million(load, tree, seconds))
        cells = [
            f"{statistics.median(values):.3f} s ({min(values):.3f}–{max(values):.3f})"
            for values in taken.values()
        ]
        if ratio:
            old, new = taken.values()
            pairs = [b / a for a, b in zip(old, new, strict=True)]
            cells.append(f"{statistics.median(pairs):.3f}")
        print(f"| {load.title} | {' | '.join(cells)} |", flush=True)


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as 130 outlets need, where the system has such a limit."""
    with contextlib.suppress(ImportError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each measurement (20)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (3)")
    parser.add_argument(
        "--tree", type=Path, action="append", help="a checkout; may be given twice (this one)"
    )
    options = parser.parse_args()
    raise_descriptor_limit()
    trees = [tree.resolve() for tree in options.tree or [ROOT]]
    compare(trees, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
