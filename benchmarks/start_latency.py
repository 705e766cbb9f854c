"""How long a START takes: until its stream can be found, and until its first sample arrives.

``python benchmarks/start_latency.py --starts 50`` runs a simulated board and the PCOMM server in
processes of their own and is their client over TCP and LSL, as a lab would be. Each START is of
another variable, so that each opens an outlet. ``--demo 10`` launches the module as often with the
default sketch, and measures from START until each of its streams, the slow ones too, has a sample.

``--round-trips`` measures instead how long the first sample takes from a START until it is stamped
and given to LSL, and until an inlet has it that is found and opened meanwhile, on networks from 0
to 500 ms there and back: by a module that was just launched, and by one that has been connected
for a while.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pylsl

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.config import parse_settings  # noqa: E402
from bela_module.protocol.variables import Array, Ticks  # noqa: E402
from bela_module.requests import StartRequest  # noqa: E402
from bela_module.session.session import Session  # noqa: E402
from bela_module.streams.lsl.outlets import LslOutlets  # noqa: E402
from bela_module.streams.sink import Stamps  # noqa: E402
from bela_module.streams.stream_plans import StreamMode, StreamPlan  # noqa: E402

LSL_CONFIG = """\
[log]
level = -2
[ports]
IPv6 = disable
BasePort = 23000
PortRange = 100
[multicast]
ResolveScope = machine
SessionID = start_latency
[lab]
KnownPeers = {127.0.0.1}
[tuning]
MulticastMinRTT = 0.1
UnicastMinRTT = 0.2
"""
TIMEOUT_S = 20.0
N_DEMO_STREAMS = 7
ROUND_TRIPS_MS = (0, 10, 50, 100, 500)
CONNECTED_S = 8.0


@contextmanager
def started(*arguments: str) -> Iterator[int]:
    """Start a program of the project and give the port that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for line in process.stdout or ():
            if found := re.search(r"127\.0\.0\.1:(\d+)", line):
                yield int(found[1])
                return
        raise RuntimeError(f"{arguments[0]} did not say where it listens")
    finally:
        process.terminate()
        process.wait()


class PcommClient:
    """A connection to the server with ``VERBOSE`` on."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._lines = self._socket.makefile("r", encoding="ascii")
        self.ask("VERBOSE")

    def send(self, command: str) -> None:
        """Send a command."""
        self._socket.sendall(f"{command};".encode("ascii"))

    def ask(self, command: str) -> str:
        """Send a command and wait for its reply."""
        name = command.split("|", 1)[0]
        self.send(command)
        for line in self._lines:
            if line.startswith(f"ERROR {name}"):
                raise RuntimeError(line)
            if line.startswith(f"OK {name}"):
                return line
        raise RuntimeError("the server has closed the connection")

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._socket.close()


def find(name: str) -> pylsl.StreamInfo:
    """Resolve a stream by its name."""
    found = pylsl.resolve_byprop("name", name, 1, TIMEOUT_S)
    if not found:
        raise RuntimeError(f"{name} was not found in {TIMEOUT_S} s")
    return found[0]


def measure_starts(board: int, starts: int) -> dict[str, list[float]]:
    """Measure seconds; each variable is used once with START alone and once prepared."""
    address = f"--board=127.0.0.1:{board}"
    with started("api.server", "--ip=127.0.0.1", "--port=0", address) as port:
        time.sleep(2.0)  # the module has been launched before the experiment
        client = PcommClient(port)
        times_s = measure(client, starts)
        client.close()
    return times_s


def measure(client: PcommClient, starts: int) -> dict[str, list[float]]:
    """Measure as :func:`measure_starts` says, as a client of the module."""
    times_s: dict[str, list[float]] = {
        "START until answered": [],
        "START until found by a resolver": [],
        "prepared: START until the first sample is pulled": [],
        "prepared: age of the first sample when it is pulled": [],
    }
    figures = list(times_s.values())
    for index in range(starts):
        variable = f'{{"variables": "v{index}"}}'
        begun_s = time.perf_counter()
        client.ask(f"START|{variable}")
        figures[0].append(time.perf_counter() - begun_s)
        find(f"bela_v{index}")
        figures[1].append(time.perf_counter() - begun_s)
        client.ask("STOP")
        variable = f'{{"variables": "v{index + starts}"}}'
        client.ask(f"PREPARE|{variable}")
        inlet = pylsl.StreamInlet(find(f"bela_v{index + starts}"))
        inlet.open_stream(TIMEOUT_S)
        begun_s = time.perf_counter()
        client.send("START")
        _, stamp_s = inlet.pull_sample(TIMEOUT_S)
        figures[2].append(time.perf_counter() - begun_s)
        figures[3].append(pylsl.local_clock() - stamp_s)
        client.ask("STOP")
        inlet.close_stream()
    return times_s


def measure_demo(board: int, launches: int) -> dict[str, list[float]]:
    """Measure seconds from START to the first sample of the last of all streams of the demo."""
    times_s: dict[str, list[float]] = {
        "START until answered": [],
        "START until all streams are found and opened": [],
        "START until each stream has a sample": [],
        "prepared: START until each stream has a sample": [],
    }
    answered, opened, unprepared, prepared = times_s.values()
    server = ("api.server", "--ip=127.0.0.1", "--port=0", f"--board=127.0.0.1:{board}")
    for _ in range(launches):
        for figures in (unprepared, prepared):
            with started(*server) as port:
                time.sleep(2.0)  # the module has been launched before the experiment
                client = PcommClient(port)
                if figures is prepared:
                    client.ask("PREPARE")
                    inlets = open_all()
                begun_s = time.perf_counter()
                client.ask("START")
                if figures is unprepared:
                    answered.append(time.perf_counter() - begun_s)
                    inlets = open_all()
                    opened.append(time.perf_counter() - begun_s)
                for inlet in inlets:
                    if inlet.pull_sample(TIMEOUT_S)[0] is None:
                        raise RuntimeError(f"{inlet.info().name()}: no sample in {TIMEOUT_S} s")
                figures.append(time.perf_counter() - begun_s)
                client.ask("STOP")
                client.close()
                del inlets
    return times_s


def open_all() -> list[pylsl.StreamInlet]:
    """Open an inlet for each variable of the demo."""
    predicate = "starts-with(name, 'bela_') and type='Bela'"
    found = pylsl.resolve_bypred(predicate, N_DEMO_STREAMS, TIMEOUT_S)
    if len(found) != N_DEMO_STREAMS:
        raise RuntimeError(f"{len(found)} of {N_DEMO_STREAMS} streams were found")
    inlets = [pylsl.StreamInlet(info) for info in found]
    for inlet in inlets:
        inlet.open_stream(TIMEOUT_S)
    return inlets


def first_sample_s(delay_ms: float, connected_s: float) -> float:
    """Launch a board and a module; return the seconds from START to the first sample pulled."""
    simulator = ("bela_module.simulator", "--port", "0", "--sketch", "many")
    with (
        started(*simulator, "--delay-ms", str(delay_ms)) as board,
        started("api.server", "--ip=127.0.0.1", "--port=0", f"--board=127.0.0.1:{board}") as port,
    ):
        client = PcommClient(port)
        time.sleep(connected_s)
        begun_s = time.perf_counter()
        client.send('START|{"variables": "v0"}')
        inlet = pylsl.StreamInlet(find("bela_v0"))
        sample, _ = inlet.pull_sample(TIMEOUT_S)
        took_s = time.perf_counter() - begun_s
        if sample is None:
            raise RuntimeError(f"no sample in {TIMEOUT_S} s")
        client.ask("STOP")
        inlet.close_stream()
        client.close()
    return took_s


class TimedOutlets(LslOutlets):
    """Outlets that note when they were given the first sample."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.began_s = 0.0

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Publish samples, and note when the first were given."""
        super().push(plan, ticks, values, stamps_s)
        if plan.mode is StreamMode.DENSE and not self.began.is_set():  # not those of the clock
            self.began_s = time.perf_counter()
            self.began.set()


def first_push_s(delay_ms: float, connected_s: float) -> float:
    """Return the seconds from START until a session gives the first sample to LSL."""
    simulator = ("bela_module.simulator", "--port", "0", "--sketch", "many")
    outlets = TimedOutlets()
    with started(*simulator, "--delay-ms", str(delay_ms)) as port:
        settings = parse_settings({"board": {"host": "127.0.0.1", "port": port}}, "benchmark")
        with Session(settings, sink=lambda: outlets, now=pylsl.local_clock) as session:
            time.sleep(connected_s)
            begun_s = time.perf_counter()
            started_run = session.start(StartRequest(variables=("v0",)))
            if not outlets.began.wait(TIMEOUT_S):
                raise RuntimeError(f"no sample in {TIMEOUT_S} s")
            started_run.result(TIMEOUT_S)
            session.stop().result(TIMEOUT_S)
    return outlets.began_s - begun_s


def round_trip_table(starts: int) -> None:
    """Print the time to the first sample for each network, just launched and connected."""
    print(
        "| round trip | just launched: stamped | at an inlet | connected: stamped | at an inlet |"
    )
    print("|---|---|---|---|---|")
    for round_trip_ms in ROUND_TRIPS_MS:
        cells = []
        for connected_s in (0.0, CONNECTED_S):
            for measure_s in (first_push_s, first_sample_s):
                took_s = [measure_s(round_trip_ms / 2, connected_s) for _ in range(starts)]
                cells.append(f"{np.median(took_s):.2f} ({max(took_s):.2f})")
        print(f"| {round_trip_ms} | " + " | ".join(cells) + " |", flush=True)


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=50, help="how many of each (50)")
    parser.add_argument("--demo", type=int, default=0, help="launches with the demo instead (0)")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="network delay each way (0)")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="mean jitter each way (0)")
    parser.add_argument(
        "--round-trips", action="store_true", help="the first sample, on networks of 0 to 500 ms"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    (folder / "lsl_api.cfg").write_text(LSL_CONFIG, encoding="ascii")
    os.environ["LSLAPICFG"] = str(folder / "lsl_api.cfg")
    if options.round_trips:
        round_trip_table(options.starts)
        return 0
    sketch = "simulation" if options.demo else "many"
    simulator = ("bela_module.simulator", "--port", "0", "--sketch", sketch)
    network = ("--delay-ms", str(options.delay_ms), "--jitter-ms", str(options.jitter_ms))
    with started(*simulator, *network) as board:
        if options.demo:
            times_s = measure_demo(board, options.demo)
        else:
            times_s = measure_starts(board, options.starts)
    print(
        f"| {options.delay_ms:g} ms each way, jitter {options.jitter_ms:g} ms | p50 ms | p99 ms |"
    )
    print("|---|---|---|")
    for name, values in times_s.items():
        if values:
            p50, p99 = np.percentile(values, [50, 99]) * 1e3
            print(f"| {name} | {p50:.0f} | {p99:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
