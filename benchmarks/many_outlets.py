"""130 variables at 10 kHz: found by one resolve, nothing lost, and how long the loop stands still.

``python benchmarks/many_outlets.py [--descriptors 256] [--group auto]`` runs a simulated board in a
process of its own, and a session with LSL outlets in this one. A START is followed by one resolve
of a second, as LabRecorder makes it, and by inlets of all that was found; they must receive every
sample from the first on. ``--descriptors`` is the number of files that may be open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pylsl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bela_module.config import parse_settings  # noqa: E402
from bela_module.requests import StartRequest  # noqa: E402
from bela_module.server.process_limits import raise_descriptor_limit  # noqa: E402
from bela_module.session.session import Session  # noqa: E402
from bela_module.streams.lsl.outlets import LslOutlets  # noqa: E402
from bela_module.streams.lsl_clock import local_clock  # noqa: E402

N_VARIABLES: Final = 130
RATE_HZ: Final = 10_000
ANSWER_S: Final = 30.0
LSL_SETTINGS: Final = """[log]
level = -2
[lab]
SessionID = {session}
KnownPeers = {{127.0.0.1}}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
PortRange = 300
[tuning]
OutletBufferReserveMs = 500
"""


@contextlib.contextmanager
def board() -> Iterator[int]:
    """Run a simulated board in a process of its own; give its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bela_module.simulator", "--port", "0", "--sketch", "many"]
        + ["--rate", str(RATE_HZ), "--until-stdin-ends"],
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


class Standstill:
    """Measures how long an event loop does not come to its tasks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.longest_s = 0.0
        self._future = asyncio.run_coroutine_threadsafe(self._measure(), loop)

    async def _measure(self) -> None:
        while True:
            before_s = time.perf_counter()
            await asyncio.sleep(0.002)
            self.longest_s = max(self.longest_s, time.perf_counter() - before_s - 0.002)

    def end(self) -> float:
        """End the measurement and give the longest standstill in seconds."""
        self._future.cancel()
        return self.longest_s


def pull_all(inlets: dict[str, pylsl.StreamInlet], counts: dict[str, int]) -> dict[str, int]:
    """Pull until every inlet has as many samples as were pushed; give what each has."""
    n_pulled = dict.fromkeys(inlets, 0)
    until_s = time.monotonic() + ANSWER_S
    while time.monotonic() < until_s:
        for name, inlet in inlets.items():
            chunk, _ = inlet.pull_chunk(timeout=0.0, max_samples=100_000)
            n_pulled[name] += len(chunk)
        if all(n_pulled[name] >= counts.get(name, 0) for name in inlets):
            break
        time.sleep(0.05)
    return n_pulled


def measure(port: int, group: str, seconds: float) -> str:
    """Stream once; give a row of the table."""
    settings = parse_settings(
        {
            "board": {"host": "127.0.0.1", "port": port},
            "streaming": {"group": group, "max_buffered_s": 60.0, "clock_stream": ""},
        },
        "benchmark",
    )
    with Session(settings, sink=LslOutlets, now=local_clock) as session:
        time.sleep(2.0)  # launched before the experiment
        loop = session._loop  # noqa: SLF001 - what a user cannot see is measured
        if loop is None:
            raise RuntimeError("the session has no loop")
        standstill = Standstill(loop)
        began_s = time.perf_counter()
        session.start(StartRequest()).result(ANSWER_S)
        answered_s = time.perf_counter() - began_s
        found = pylsl.resolve_bypred("starts-with(source_id,'bela:')", 100_000, 1.0)
        inlets = {
            info.name(): pylsl.StreamInlet(info, 60) for info in found if info.type() != "Markers"
        }
        for inlet in inlets.values():
            inlet.open_stream(ANSWER_S)
        time.sleep(seconds)
        session.stop().result(ANSWER_S)
        status = session.status()
        counts = {stream["name"]: stream["samples"] for stream in status["streams"]}
        widths = {stream["name"]: len(stream["variables"]) for stream in status["streams"]}
        longest_s = standstill.end()  # what follows here holds the interpreter for long
        pulled = pull_all(inlets, counts)
        lost = sum(stream["lost"] for stream in status["streams"])
        pushed = sum(counts[name] * widths[name] for name in counts)
        received = sum(pulled[name] * widths[name] for name in pulled)
        for inlet in inlets.values():
            inlet.close_stream()
    return (
        f"| {group} | {len(counts)} | {len(inlets)} | {answered_s * 1e3:.0f} | "
        f"{longest_s * 1e3:.0f} | {pushed} | {received} | {lost} |"
    )


def limit_descriptors(descriptors: int) -> None:
    """Limit the files that this process may open, for good."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", type=int, help="open files that are allowed")
    parser.add_argument("--group", choices=["auto", "none", "all"], default="auto")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to stream (3)")
    options = parser.parse_args()
    pylsl.set_config_content(LSL_SETTINGS.format(session=uuid.uuid4().hex))
    if options.descriptors:
        limit_descriptors(options.descriptors)
    raise_descriptor_limit()
    print(
        "| group | streams | found in 1 s | START answered after ms | longest standstill ms | "
        "values pushed | values received | values lost |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with board() as port:
        print(measure(port, options.group, options.seconds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
