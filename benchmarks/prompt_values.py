"""Measure how old single values are at an inlet, and what they cost beside a bare reader.

- The age of a value of a sparse variable, from the moment at which the simulated board took it to
  its arrival at an inlet in another process, beside the age of a sample that a plain LSL outlet
  pushed. The same for the newest value of a fast variable's block, with and without single values.
- Processor time for 10 variables with 100 values a second each: the module's beside that of a bare
  ``websockets`` reader that pushes each value into an LSL outlet. Both read at the same time from
  boards of their own.

Board, module, bare reader and inlets are processes of their own.
``python benchmarks/prompt_values.py [--seconds 20]`` prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import psutil

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

N_VARIABLES: Final = 10
VALUES_PER_S: Final = 100
TICK_RATE_HZ: Final = 22050.0
_WARM_UP_S: Final = 3.0
_RESOLVE_S: Final = 20.0
_LSL: Final = """[log]
level = -2
[lab]
SessionID = {session}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
"""


# ---- processes ---------------------------------------------------------------------------------


def serve_board(kind: str, connection: Connection) -> None:
    """Run a board until told to end; tell its port first."""
    from bela_module.protocol.variables import ValueType
    from bela_module.simulator.simulated_board import SimulatedBoard
    from bela_module.simulator.sketches.assignments import Assignments
    from bela_module.simulator.sketches.built_in import SKETCHES
    from bela_module.simulator.sketches.signals import ramp, true_time
    from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
    from bela_module.streams.lsl_clock import local_clock

    if kind == "demo":  # with values that are the time at which they were taken
        touch = Assignments(2205, 0, scattered=True)
        variables = (
            *SKETCHES["simulation"].variables,
            SketchVariable("touch_time", ValueType.DOUBLE, true_time, True, touch),
            SketchVariable("fast_time", ValueType.DOUBLE, true_time),
        )
    else:
        step = round(TICK_RATE_HZ / VALUES_PER_S)
        variables = tuple(
            SketchVariable(f"v{k}", ValueType.FLOAT, ramp, True, Assignments(step, 20 * k))
            for k in range(N_VARIABLES)
        )
    sketch = Sketch("benchmark", "", variables, tick_rate_hz=TICK_RATE_HZ, burst_ticks=8)
    with SimulatedBoard(sketch, clock=local_clock) as board:
        connection.send(board.port)
        connection.recv()


def run_module(port: int, prompt: str, prefix: str, connection: Connection) -> None:
    """Stream everything with a session and real outlets until told to end."""
    from bela_module.config import parse_settings
    from bela_module.requests import StartRequest
    from bela_module.session.session import Session
    from bela_module.streams.lsl.outlets import LslOutlets
    from bela_module.streams.lsl_clock import local_clock

    settings = parse_settings(
        {
            "board": {"host": "127.0.0.1", "port": port},
            "streaming": {
                "prompt": prompt,
                "prefix": prefix,
                "events_stream": f"{prefix}events",
            },
        },
        "benchmark",
    )
    events = settings.streaming.events_stream
    with Session(settings, sink=lambda: LslOutlets(events), now=local_clock) as session:
        session.start(StartRequest()).result(30)
        connection.send("ready")
        connection.recv()
        connection.send(session.status()["streams"])
        session.stop().result(30)


def run_bare_reader(port: int, _prompt: str, prefix: str, connection: Connection) -> None:
    """Read single values with as little as possible, and push each into an outlet."""
    asyncio.run(_read_bare(port, prefix, connection))


async def _read_bare(port: int, prefix: str, connection: Connection) -> None:
    import json
    import struct

    import pylsl
    from websockets.asyncio.client import connect

    names = [f"v{k}" for k in range(N_VARIABLES)]
    outlets = [
        pylsl.StreamOutlet(
            pylsl.StreamInfo(f"{prefix}{name}", "Bela", 1, 0.0, pylsl.cf_float32, f"{prefix}{name}")
        )
        for name in names
    ]
    url = f"ws://127.0.0.1:{port}"
    payload = struct.Struct("<Qf")
    n_values = 0
    async with (
        connect(f"{url}/gui_control", compression=None) as control,
        connect(f"{url}/gui_data", compression=None) as data,
    ):
        await control.recv()
        await control.send('{"event":"connection-reply"}')
        command = {"cmd": "monitor", "watchers": names, "periods": [2] * len(names)}
        await control.send(json.dumps({"watcher": [command]}))
        zero_s = pylsl.local_clock()
        connection.send("ready")
        outlet = outlets[0]
        while not connection.poll():
            message = await data.recv()
            if not isinstance(message, bytes):
                continue
            if len(message) == payload.size:
                tick, value = payload.unpack(message)
                outlet.push_sample([value], zero_s + tick / TICK_RATE_HZ)
                n_values += 1
            elif b"/" in message:
                outlet = outlets[int(message.split(b"/")[0])]
    connection.recv()
    connection.send([{"name": "all", "samples": n_values, "lost": 0, "delivery": "single"}])


def push_plainly(prefix: str, connection: Connection) -> None:
    """Push the present time into an outlet ten times a second until told to end."""
    import pylsl

    info = pylsl.StreamInfo(f"{prefix}plain", "Test", 1, 0.0, pylsl.cf_double64, f"{prefix}plain")
    outlet = pylsl.StreamOutlet(info)
    connection.send("ready")
    while not connection.poll(0.1):
        now_s = pylsl.local_clock()
        outlet.push_sample([now_s], now_s)


def receive(names: Sequence[str], seconds: float, connection: Connection) -> None:
    """Receive some streams of times for a while; send the age of each newest value, in seconds."""
    import threading

    import pylsl

    ages_s: dict[str, list[float]] = {name: [] for name in names}

    def listen(name: str) -> None:
        [info] = pylsl.resolve_byprop("name", name, 1, _RESOLVE_S)
        inlet = pylsl.StreamInlet(info, processing_flags=pylsl.proc_none)
        inlet.open_stream(_RESOLVE_S)
        begun_s = pylsl.local_clock()
        while (now_s := pylsl.local_clock()) < begun_s + _WARM_UP_S + seconds:
            sample, _ = inlet.pull_sample(1.0)
            if sample is None:
                continue
            arrived_s = pylsl.local_clock()
            more, _ = inlet.pull_chunk(0.0, 4096)  # of a block only the newest value counts
            newest_s = more[-1][0] if more else sample[0]
            if now_s > begun_s + _WARM_UP_S:
                ages_s[name].append(arrived_s - newest_s)
        inlet.close_stream()

    threads = [threading.Thread(target=listen, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection.send(ages_s)
    connection.recv()


@contextlib.contextmanager
def running(target: Any, *arguments: Any) -> Iterator[tuple[BaseProcess, Connection, Any]]:
    """Run a function in a process of its own; give what it says first, and end it afterwards."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs))
    process.start()
    try:
        yield process, ours, ours.recv()
    finally:
        if process.is_alive():
            with contextlib.suppress(OSError):  # it has ended by itself
                ours.send("end")
        process.join(20)


# ---- measurements --------------------------------------------------------------------------------


def measure_ages(seconds: float) -> None:
    """Print the ages of values at an inlet."""
    print("| what | p50 ms | p99 ms | max ms | n |\n|---|---:|---:|---:|---:|")
    for prompt in ("auto", "off"):
        prefix = f"prompt{uuid.uuid4().hex[:8]}_"
        names = [f"{prefix}plain", f"{prefix}fast_time"]
        if prompt == "auto":
            names.insert(1, f"{prefix}touch_time")
        with (
            running(serve_board, "demo") as (_, _, port),
            running(push_plainly, prefix),
            running(run_module, port, prompt, prefix),
            running(receive, names, seconds) as (_, _, ages_s),
        ):
            for name in names:
                ages_ms = 1e3 * np.array(ages_s[name])
                what = {
                    "plain": "a plain LSL outlet",
                    "touch_time": "a value of a sparse variable, singly",
                    "fast_time": "the newest value of a block of a variable at 22 kHz",
                }[name.removeprefix(prefix)]
                p50, p99 = np.percentile(ages_ms, [50, 99])
                title = f"{what}, prompt = {prompt!r}"
                print(f"| {title} | {p50:.2f} | {p99:.2f} | {ages_ms.max():.2f} | {ages_ms.size} |")


def measure_cost(seconds: float) -> None:
    """Print the processor time of the module and of a bare reader, in the same run."""
    cpu_s: dict[str, float] = {}
    values: dict[str, int] = {}
    with (
        running(serve_board, "cost") as (_, _, port),
        running(serve_board, "cost") as (_, _, other),
        running(run_module, port, "auto", "cost_") as (module, to_module, _),
        running(run_bare_reader, other, "", "bare_") as (bare, to_bare, _),
    ):
        time.sleep(_WARM_UP_S)
        both = {"module": psutil.Process(module.pid), "bare reader": psutil.Process(bare.pid)}
        before = {name: process.cpu_times() for name, process in both.items()}
        time.sleep(seconds)
        for name, process in both.items():
            after = process.cpu_times()
            cpu_s[name] = after.user + after.system - before[name].user - before[name].system
        for name, connection in (("module", to_module), ("bare reader", to_bare)):
            connection.send("end")
            values[name] = sum(stream["samples"] for stream in connection.recv())
    print("\n| reader | processor | values | microseconds a value |\n|---|---:|---:|---:|")
    for name, used_s in cpu_s.items():
        per_value = 1e6 * used_s / (seconds * N_VARIABLES * VALUES_PER_S)
        print(f"| {name} | {100 * used_s / seconds:.1f} % | {values[name]} | {per_value:.0f} |")
    print(f"\nratio: {cpu_s['module'] / cpu_s['bare reader']:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", choices=("ages", "cost"))
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        config = Path(folder) / "lsl_api.cfg"
        config.write_text(_LSL.format(session=uuid.uuid4().hex), encoding="utf-8")
        os.environ["LSLAPICFG"] = str(config)
        if options.only != "cost":
            measure_ages(options.seconds)
        if options.only != "ages":
            measure_cost(options.seconds)


if __name__ == "__main__":
    main()
