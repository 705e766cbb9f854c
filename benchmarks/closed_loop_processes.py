"""The processes of the benchmark of closed loops: board, module, decoder and inlets."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection
from typing import Final

import numpy as np

FLOOD_HZ: Final = 50_000.0
_RESOLVE_S: Final = 20.0


def serve_board(delay_s: float, connection: Connection) -> None:
    """Run a board until told to end; tell its port first, and all commands at the end."""
    from bela_module.protocol.variables import ValueType
    from bela_module.simulator.simulated_board import SimulatedBoard
    from bela_module.simulator.sketches.built_in import SKETCHES
    from bela_module.simulator.sketches.signals import sine
    from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
    from bela_module.streams.lsl_clock import local_clock

    names = [*(f"analog{k}" for k in range(8)), "audio0", "audio1"]
    load = (SketchVariable(name, ValueType.FLOAT, sine(1.0 + k)) for k, name in enumerate(names))
    echo = SKETCHES["closed-loop"].variables[0]
    sketch = Sketch("closed-loop", "", (echo, *load))
    with SimulatedBoard(sketch, delay_s=delay_s, drift_ppm=30.0, clock=local_clock) as board:
        connection.send(board.port)
        connection.recv()
        commands = board.taken_commands
        times_s = board.true_time_s([tick for tick, _ in commands])
        rows = [(int(row[0]), int(row[1])) for _, row in commands]
        connection.send((times_s.tolist(), rows))


def run_module(port: int, prefix: str, connection: Connection) -> None:
    """Stream and take inputs until told to end; tell STATUS when asked."""
    from bela_module.config import parse_settings
    from bela_module.requests import StartRequest
    from bela_module.session.session import Session
    from bela_module.streams.lsl.outlets import LslOutlets
    from bela_module.streams.lsl_clock import local_clock

    settings = parse_settings(
        {
            "board": {"host": "127.0.0.1", "port": port},
            "streaming": {
                "prefix": prefix,
                "events_stream": f"{prefix}events",
                "clock_stream": "",
                "loop_stream": f"{prefix}loop",
            },
            "inputs": {
                "level": {
                    "stream": f"{prefix}decoder",
                    "buffer_id": 0,
                    "type": "d",
                    "echo": "echo",
                    "max_rate_hz": 5000.0,
                },
                "flood": {"stream": f"{prefix}flood", "buffer_id": 1},
            },
        },
        "benchmark",
    )
    events = settings.streaming.events_stream
    with Session(settings, sink=lambda: LslOutlets(events), now=local_clock) as session:
        session.start(StartRequest()).result(60)
        connection.send("ready")
        while connection.recv() != "end":
            connection.send(session.status())
        session.stop().result(60)


def decode(
    prefix: str, rate_hz: float, seconds: float, floods: bool, connection: Connection
) -> None:
    """Push numbered samples at a rate, and plain ones beside them; tell the stamps of all."""
    import pylsl

    def outlet(name: str, nominal_hz: float = 0.0) -> pylsl.StreamOutlet:
        info = pylsl.StreamInfo(
            f"{prefix}{name}", "Control", 1, nominal_hz, pylsl.cf_double64, f"{prefix}{name}"
        )
        return pylsl.StreamOutlet(info)

    decoder, plain = outlet("decoder"), outlet("plain")
    flood = outlet("flood", FLOOD_HZ)
    connection.send("ready")
    connection.recv()  # all listen by now
    is_over = threading.Event()
    n_flooded = 0

    def push_flood() -> None:
        nonlocal n_flooded
        chunk = np.zeros((round(FLOOD_HZ / 200), 1))
        begun_s = time.monotonic()
        while not is_over.is_set():
            flood.push_chunk(chunk)
            n_flooded += len(chunk)
            time.sleep(max(0.0, begun_s + n_flooded / FLOOD_HZ - time.monotonic()))

    flooding = threading.Thread(target=push_flood)
    if floods:
        flooding.start()
    stamps_s: list[float] = []
    begun_s = time.monotonic()
    for k in range(round(rate_hz * seconds)):
        time.sleep(max(0.0, begun_s + k / rate_hz - time.monotonic()))
        stamps_s.append(pylsl.local_clock())
        decoder.push_sample([float(k)], stamps_s[-1])
        if k % max(1, round(rate_hz / 100.0)) == 0:
            time.sleep(0.2 / rate_hz)  # not at the same moment
            now_s = pylsl.local_clock()
            plain.push_sample([now_s], now_s)
    is_over.set()
    if floods:
        flooding.join()
    connection.send((stamps_s, n_flooded))
    connection.recv()


def receive(prefix: str, connection: Connection) -> None:
    """Receive echoes, plain samples and the measured loop; tell all with their arrivals."""
    import pylsl

    received: dict[str, list[tuple[float, ...]]] = {}
    ready, over = threading.Semaphore(0), threading.Event()

    def listen(name: str) -> None:
        rows = received.setdefault(name, [])
        found = pylsl.resolve_byprop("name", f"{prefix}{name}", 1, _RESOLVE_S)
        inlet = pylsl.StreamInlet(found[0], processing_flags=pylsl.proc_none)
        inlet.open_stream(_RESOLVE_S)
        ready.release()
        while not over.is_set():
            sample, stamp_s = inlet.pull_sample(0.2)
            arrived_s = pylsl.local_clock()
            while sample is not None:
                rows.append((arrived_s, stamp_s, *sample))
                sample, stamp_s = inlet.pull_sample(0.0)
        inlet.close_stream()

    threads = [threading.Thread(target=listen, args=(n,)) for n in ("plain", "echo", "loop")]
    for thread in threads:
        thread.start()
    for _ in threads:
        ready.acquire()
    connection.send("ready")
    connection.recv()
    over.set()
    for thread in threads:
        thread.join()
    connection.send(received)
