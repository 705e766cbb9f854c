"""Stream for a long time while the connection is lost every minute, and keep account.

Ten variables at 44.1 kHz go from a simulated board, in a process of its own, through real sockets
and a whole session into real LSL outlets. Each value is its own tick, so that every sample can be
checked, and each disconnect costs values, which must be counted as lost to the last one.

``python benchmarks/soak.py [--minutes 30] [--variables 10]`` prints a line a minute and a summary
in Markdown; its exit status is 1 when the account or the values are wrong, or when memory or
threads grow after the first minute. LSL stays on this computer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.config import parse_settings  # noqa: E402
from bela_module.protocol.variables import Array, Ticks, ValueType  # noqa: E402
from bela_module.requests import StartRequest  # noqa: E402
from bela_module.session.session import Session  # noqa: E402
from bela_module.simulator.simulated_board import SimulatedBoard  # noqa: E402
from bela_module.simulator.sketches.signals import ramp  # noqa: E402
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable  # noqa: E402
from bela_module.streams.lsl.lsl_settings import prepare_lsl  # noqa: E402
from bela_module.streams.lsl.outlets import LslOutlets  # noqa: E402
from bela_module.streams.lsl_clock import local_clock  # noqa: E402
from bela_module.streams.sink import Stamps  # noqa: E402
from bela_module.streams.stream_plans import StreamPlan  # noqa: E402

RATE_HZ: Final = 44100.0
MINUTE_S: Final = 60.0
SETTLE_S: Final = 2.0
COMMAND_S: Final = 20.0
MIB: Final = 2**20
MOST_GROWTH_MIB: Final = 5e6 / MIB


def run_board(pipe: Connection, n_variables: int) -> None:
    """Be the board, until told to quit: the other process."""
    variables = tuple(SketchVariable(f"v{n}", ValueType.DOUBLE, ramp) for n in range(n_variables))
    sketch = Sketch("soak", "values that are their own tick", variables)
    with SimulatedBoard(sketch, clock=local_clock) as board:
        pipe.send(board.port)
        while (order := pipe.recv()) != "quit":
            if order == "disconnect":
                board.disconnect()
                pipe.send(None)
            else:
                pipe.send(last_ticks(board, order))


def last_ticks(board: SimulatedBoard, command: str) -> dict[str, int]:
    """Read from what the session wrote at which tick its last ``watch`` or ``unwatch`` acts."""
    found: dict[str, int] = {}
    for text in board.control_messages:
        for entry in json.loads(text).get("watcher", []):
            if entry["cmd"] == command and "timestamps" in entry:
                found |= dict(zip(entry["watchers"], entry["timestamps"], strict=True))
    return found


@dataclass
class CheckedOutlets(LslOutlets):
    """LSL outlets that look at each value on its way."""

    delivered: dict[str, int] = field(default_factory=dict)
    wrong: int = 0

    def __post_init__(self) -> None:
        """Make the outlets."""
        super().__init__()

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Check and publish samples."""
        super().push(plan, ticks, values, stamps_s)
        name = plan.variables[0].name
        self.delivered[name] = self.delivered.get(name, 0) + ticks.size
        self.wrong += int(np.count_nonzero(values[:, 0] != ticks))


@dataclass
class Minute:
    """What was measured at the end of a minute."""

    minute: int
    rss_mib: float
    n_threads: int
    reconnects: int
    lost: int


def measure(session: Session, process: psutil.Process, minute: int) -> Minute:
    """Take the figures of this process and of the session."""
    status = session.status()
    return Minute(
        minute,
        process.memory_info().rss / MIB,
        process.num_threads(),
        status["counters"]["reconnects"],
        sum(stream["lost"] for stream in status["streams"]),
    )


def soak(minutes: int, n_variables: int) -> bool:
    """Run it, print what was found, and tell whether all was right."""
    prepare_lsl(this_machine_only=True)
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    child = context.Process(target=run_board, args=(theirs, n_variables), daemon=True)
    child.start()

    def ask(order: str) -> Any:
        pipe.send(order)
        return pipe.recv()

    address = {"host": "127.0.0.1", "port": pipe.recv()}
    sink = CheckedOutlets()
    process = psutil.Process()
    taken: list[Minute] = []
    settings = parse_settings({"board": address}, "soak")
    with Session(settings, sink=lambda: sink, now=local_clock) as session:
        session.look().result(COMMAND_S)
        time.sleep(SETTLE_S)  # so that the start can be asked for at a tick
        session.start(StartRequest()).result(COMMAND_S)
        first_ticks = ask("watch")
        begun_s = time.monotonic()
        print("| minute | RSS in MiB | threads | reconnects | values lost |\n|---|---|---|---|---|")
        for minute in range(1, minutes + 1):
            time.sleep(max(0.0, begun_s + minute * MINUTE_S - time.monotonic()))
            taken.append(one := measure(session, process, minute))
            figures = f"{one.rss_mib:.1f} | {one.n_threads} | {one.reconnects} | {one.lost}"
            print(f"| {one.minute} | {figures} |", flush=True)
            if minute < minutes:
                ask("disconnect")
        print("STOP:", session.stop().result(COMMAND_S))
        streams = session.status()["streams"]
        n_python_threads = threading.active_count()
        until_ticks = ask("unwatch")
    pipe.send("quit")
    child.join(COMMAND_S)
    return report(taken, streams, sink, first_ticks, until_ticks, n_python_threads)


def report(
    taken: list[Minute],
    streams: list[dict[str, Any]],
    sink: CheckedOutlets,
    first_ticks: dict[str, int],
    until_ticks: dict[str, int],
    n_python_threads: int,
) -> bool:
    """Print the summary, and tell whether all is right."""
    total = sum(until_ticks[name] - first + 1 for name, first in first_ticks.items())
    delivered, lost = sum(sink.delivered.values()), sum(stream["lost"] for stream in streams)
    growth_mib = max(one.rss_mib for one in taken) - taken[0].rss_mib
    n_more_threads = max(one.n_threads for one in taken) - taken[0].n_threads
    unaccounted = total - delivered - lost
    print(
        f"\n| | |\n|---|---|\n| values taken by the sketch | {total} |\n"
        f"| delivered | {delivered} |\n"
        f"| counted as lost | {lost} |\n| unaccounted | {unaccounted} |\n"
        f"| wrong values | {sink.wrong} |\n| reconnects | {taken[-1].reconnects} |\n"
        f"| RSS growth after the first minute, at most | {growth_mib:.1f} MiB |\n"
        f"| more threads than after the first minute | {n_more_threads} |\n"
        f"| Python threads at the end | {n_python_threads} |"
    )
    faults = {
        "values are unaccounted for": unaccounted != 0,
        "values are wrong": sink.wrong > 0,
        "memory grows": growth_mib >= MOST_GROWTH_MIB,
        "threads grow": n_more_threads > 0,
    }
    found = [fault for fault, is_there in faults.items() if is_there]
    print(f"\nVerdict: {', '.join(found) or 'all is right'}")
    return not found


def main() -> int:
    """Read the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--variables", type=int, default=10)
    options = parser.parse_args()
    return 0 if soak(options.minutes, options.variables) else 1


if __name__ == "__main__":
    sys.exit(main())
