"""Stream for a long time while everything happens at once, and keep account.

Ten variables at 44.1 kHz go from a simulated board through real sockets and a whole module into
real LSL outlets. Each value is its own tick, so that every sample can be checked. Meanwhile

- the board ends the connection every 30 s, whatever is going on,
- two clients START and STOP, often both at the same time,
- a third client floods the module with commands for 5 s in every 10 s,
- inlets come, listen for some seconds, and go, half of them without a farewell,
- a client with real-time priority asks UP twenty times a second.

After each STOP the account is compared with what the board knows (``tests/support/accounts.py``).
Board, module and each kind of client are processes of their own.

``python benchmarks/soak.py [--minutes 30] [--variables 10]`` prints a line a minute and a summary
in Markdown; its exit status is 1 when the account or the values are wrong, when ``UP`` takes long
though the module had a processor, or when threads or descriptors grow, or memory
in the second half (what waits on a busy computer takes some). LSL stays on this
computer. As root, board and module get a higher priority than what else runs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.streams.lsl_clock import local_clock  # noqa: E402
from benchmarks.soak_clients import ask_up, come_and_go, flood  # noqa: E402
from benchmarks.soak_processes import run_board, run_module  # noqa: E402
from tests.support.accounts import Truth  # noqa: E402
from tests.support.lsl_settings import isolate_lsl  # noqa: E402

MINUTE_S: Final = 60.0
KICK_PERIOD_S: Final = 30.0
RUN_S: Final = (1.0, 15.0)
PAUSE_S: Final = (0.0, 1.0)
SAMPLE_PERIOD_S: Final = 1.0
SETTLE_S: Final = 15.0  # until all outlets are there
PATIENCE_S: Final = 30.0
MIB: Final = 2**20
MOST_GROWTH_MIB: Final = 5e6 / MIB
MOST_UP_S: Final = 0.05


class Process:
    """A process of its own, and orders to it that are answered one at a time."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._lock = threading.Lock()
        self.process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self.process.start()

    def hear(self) -> Any:
        """Wait for what it says by itself."""
        if not self._pipe.poll(PATIENCE_S):
            raise TimeoutError(f"{self.process.name} says nothing")
        return self._pipe.recv()

    def ask(self, order: Any) -> Any:
        """Give an order and wait for the answer."""
        with self._lock:
            self._pipe.send(order)
            return self.hear()

    def quit(self, order: Any = "quit") -> None:
        """Have it end."""
        self._pipe.send(order)
        self.process.join(PATIENCE_S)


class Commander:
    """A client that is told what became of each of its commands."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._lines = self._socket.makefile("r", encoding="ascii", newline="\n")
        self._lines.readline()
        self.send("VERBOSE")
        self.answer("VERBOSE")

    def send(self, pcomm: str) -> None:
        """Send a command."""
        self._socket.sendall(f"{pcomm};".encode("ascii"))

    def answer(self, pcomm: str) -> None:
        """Wait for the answer to a command, which must have succeeded."""
        line = self._lines.readline().strip()
        if line != f"OK {pcomm}":
            raise RuntimeError(f"{pcomm} was answered {line!r}")

    def status(self) -> dict[str, Any]:
        """Ask for STATUS."""
        self.send("STATUS")
        status: dict[str, Any] = json.loads(self._lines.readline())
        return status


@dataclass
class Tally:
    """The accounts of all runs together."""

    n_runs: int = 0
    n_bounded: int = 0
    taken: int = 0
    delivered: int = 0
    lost: int = 0
    unaccounted: int = 0
    """Of runs whose truth is known exactly; of the others what lies outside of their bounds."""
    doubt: int = 0
    """How far the bounds of the others are apart."""

    def add(self, truth: Truth, delivered: int, lost: int) -> None:
        """Add a run."""
        total = delivered + lost
        within = min(max(total, truth.at_least), truth.at_most)
        self.n_runs += 1
        self.n_bounded += not truth.exact
        self.taken += within
        self.delivered += delivered
        self.lost += lost
        self.unaccounted += abs(total - within)
        self.doubt += truth.at_most - truth.at_least


@dataclass
class Minute:
    """What was measured in a minute; of each figure that varies its least or its most."""

    minute: int
    rss_mib: float
    n_threads: int
    n_descriptors: int
    load: float
    n_runs: int = 0
    reconnects: int = 0
    lost: int = 0
    up_s: list[float] = field(default_factory=list)
    slow_ups_s: list[tuple[float, float]] = field(default_factory=list)
    """Those above the limit, and for how long the module was ready without a processor."""


@dataclass
class Found:
    """What the soak has found, apart from the minutes."""

    tally: Tally
    wrong: int
    n_python_threads: int
    n_flooding: int
    inlets: tuple[int, int, int]
    """How many there were, their samples, and those that did not rise."""
    is_real_time: bool


class Soak:
    """The processes, and what was found so far."""

    def __init__(self, n_variables: int) -> None:
        self.board = Process(run_board, n_variables)
        self.module = Process(run_module, self.board.hear())
        port, busy_threads = self.module.hear()
        module = self.module.process.pid
        self.ups = Process(ask_up, port, busy_threads, module)
        self.is_real_time = bool(self.ups.hear())
        self.flooding = Process(flood, port)
        self.inlets = Process(come_and_go, "bela_v")
        self.commanders = (Commander(port), Commander(port))
        self.watcher = Commander(port)
        self.tally = Tally()
        self._figures = psutil.Process(module)
        self._chance = random.Random(1)
        self._before = self.module.ask("figures")
        self._ended = threading.Event()
        self.failures: list[BaseException] = []

    def run(self, minutes: int) -> tuple[list[Minute], Found]:
        """Let it all happen for so long."""
        threads = [
            threading.Thread(target=self._guarded, args=(self._kick,)),
            threading.Thread(target=self._guarded, args=(self._command,)),
        ]
        for thread in threads:
            thread.start()
        taken: list[Minute] = []
        head = "minute | RSS in MiB | threads | descriptors | runs | reconnects | lost"
        print(f"| {head} | worst UP in ms | load |\n|{'---|' * 9}")
        for minute in range(1, minutes + 1):
            taken.append(one := self._watch(minute))
            print(
                f"| {one.minute} | {one.rss_mib:.1f} | {one.n_threads} | {one.n_descriptors} | "
                f"{one.n_runs} | {one.reconnects} | {one.lost} | {1e3 * max(one.up_s):.1f} | "
                f"{one.load:.1f} |",
                flush=True,
            )
            if self.failures:
                break
        self._ended.set()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]
        n_flooding, inlets = self.flooding.ask("quit"), self.inlets.ask("quit")
        _, wrong, _, n_python_threads = self.module.ask("figures")
        for process in (self.ups, self.module):
            process.quit()
        self.board.quit(("quit",))
        found = Found(self.tally, wrong, n_python_threads, n_flooding, inlets, self.is_real_time)
        return taken, found

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised when all has ended
            self.failures.append(error)

    def _kick(self) -> None:
        while not self._ended.wait(KICK_PERIOD_S):
            self.board.ask(("disconnect",))

    def _command(self) -> None:
        """START and STOP, by one client or the other or both, and look at the account."""
        while not self._ended.is_set():
            since_s = local_clock()
            self._all_send("START")
            self._ended.wait(self._chance.uniform(*RUN_S))
            self._all_send("STOP")
            self._account(since_s)
            time.sleep(self._chance.uniform(*PAUSE_S))

    def _all_send(self, pcomm: str) -> None:
        clients = self._chance.sample(self.commanders, self._chance.choice((1, 2)))
        for client in clients:
            client.send(pcomm)
        for client in clients:
            client.answer(pcomm)

    def _account(self, since_s: float) -> None:
        status = self.commanders[0].status()
        now = self.module.ask("figures")
        before, self._before = self._before, now
        started_s = now[2][len(before[2]) :]
        if not started_s:  # STOP came before the board was back
            return
        streams = [s for s in status["streams"] if s["name"].startswith("bela_v")]
        cut_off = bool(status["shortfalls"])
        truth = self.board.ask(("truth", since_s, started_s[0], cut_off))
        delivered = now[0] - before[0]
        if delivered != sum(stream["samples"] for stream in streams):
            raise RuntimeError(f"STATUS counts other samples than the {delivered} delivered")
        lost = sum(stream["lost"] for stream in streams)
        self.tally.add(truth, delivered, lost)
        total = delivered + lost
        if not truth.at_least <= total <= truth.at_most:
            print(f"not accounted for: {truth}, but {delivered} + {lost} = {total}", flush=True)

    def _watch(self, minute: int) -> Minute:
        """Measure for a minute: threads and descriptors vary with inlets, their least does not."""
        until_s = time.monotonic() + MINUTE_S
        if minute == 1:
            time.sleep(SETTLE_S)
        rss, threads, descriptors = [], [], []
        while time.monotonic() < until_s and not self.failures:
            rss.append(self._figures.memory_info().rss / MIB)
            threads.append(self._figures.num_threads())
            descriptors.append(self._figures.num_fds())
            time.sleep(SAMPLE_PERIOD_S)
        up_s, slow_ups_s = self.ups.ask("figures")
        reconnects = self.watcher.status()["counters"]["reconnects"]
        return Minute(
            minute, max(rss), min(threads), min(descriptors), os.getloadavg()[0],
            self.tally.n_runs, reconnects, self.tally.lost, up_s, slow_ups_s,
        )  # fmt: skip


def report(taken: Sequence[Minute], found: Found) -> bool:
    """Print the summary, and tell whether all is right."""
    tally, first, last = found.tally, taken[0], taken[-1]
    halves = taken[: (len(taken) + 1) // 2], taken[len(taken) // 2 :]
    earlier_mib, later_mib = (max(one.rss_mib for one in half) for half in halves)
    threads = [min(one.n_threads for one in half) for half in halves]
    descriptors = [min(one.n_descriptors for one in half) for half in halves]
    growth_mib = later_mib - earlier_mib
    ups_s = sorted(duration_s for one in taken for duration_s in one.up_s)
    slow = [pair for one in taken for pair in one.slow_ups_s]
    unexplained = [pair for pair in slow if pair[0] - pair[1] > MOST_UP_S]
    n_inlets, n_samples, n_not_rising = found.inlets
    loads = [one.load for one in taken]
    rows = {
        "runs, from START to STOP": tally.n_runs,
        "values taken by the sketch": tally.taken,
        "delivered": tally.delivered,
        "counted as lost": tally.lost,
        "unaccounted": tally.unaccounted,
        "runs whose truth is known within bounds only": f"{tally.n_bounded}, {tally.doubt} values",
        "wrong values": found.wrong,
        "reconnects": last.reconnects,
        "inlets, their samples, wrong ones": f"{n_inlets}, {n_samples}, {n_not_rising}",
        "commands of the flooding client": found.n_flooding,
        "UP: how many, p50, p99, worst in ms": (
            f"{len(ups_s)}, {1e3 * ups_s[len(ups_s) // 2]:.1f}, "
            f"{1e3 * ups_s[len(ups_s) * 99 // 100]:.1f}, {1e3 * ups_s[-1]:.1f}"
        ),
        "UP above 50 ms, though the module had a processor": f"{len(unexplained)} of {len(slow)}",
        "RSS in MiB, at most, in the first minute and in both halves": (
            f"{first.rss_mib:.1f}, {earlier_mib:.1f}, {later_mib:.1f}"
        ),
        "threads, at least, in both halves": "{}, {}".format(*threads),
        "descriptors, at least, in both halves": "{}, {}".format(*descriptors),
        "Python threads at the end": found.n_python_threads,
        "load of the computer": f"{min(loads):.1f} to {max(loads):.1f}",
    }
    print("\n| | |\n|---|---|")
    for what, figure in rows.items():
        print(f"| {what} | {figure} |")
    if not found.is_real_time:
        print("\nThe client that asks UP had no real-time priority: its own waits are in it.")
    for duration_s, waited_s in slow:
        print(f"UP took {1e3 * duration_s:.0f} ms; without a processor {1e3 * waited_s:.0f} ms")
    faults = {
        "values are unaccounted for": tally.unaccounted != 0,
        "values are wrong": found.wrong + n_not_rising > 0,
        "UP takes too long": bool(unexplained),
        "memory grows": growth_mib >= MOST_GROWTH_MIB,
        "threads grow": threads[1] > threads[0],
        "descriptors grow": descriptors[1] > descriptors[0],
    }
    wrong = [fault for fault, is_there in faults.items() if is_there]
    print(f"\nVerdict: {', '.join(wrong) or 'all is right'}")
    return not wrong


def main() -> int:
    """Read the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--variables", type=int, default=10)
    options = parser.parse_args()
    isolate_lsl()
    return 0 if report(*Soak(options.variables).run(options.minutes)) else 1


if __name__ == "__main__":
    sys.exit(main())
