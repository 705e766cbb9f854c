"""Who else is there during the soak: clients that ask UP, that flood the module, and inlets."""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np
import pylsl

from bela_module.streams.lsl.lsl_settings import prepare_lsl

_UP_PERIOD_S: Final = 0.05
_SLOW_S: Final = 0.05
_FLOOD_S: Final = (5.0, 10.0)  # for so long, every so often
_FLOODING_TEXT: Final = (
    b"BAD;" * 20
    + b"STATUS;LIST;" * 10
    + b'SET|{"values": {"nothing": 1}};' * 10
    + b'RELEASE|{"variables": ' + json.dumps([f"no{n}" for n in range(500)]).encode() + b"};"
)  # fmt: skip
_INLET_S: Final = (1.0, 8.0)
_RECEIVED_BYTES: Final = 2**16


def ask_up(pipe: Connection, port: int, threads: Sequence[int], module: int) -> None:
    """Ask UP twenty times a second, with real-time priority if allowed, until told to quit.

    On each order the durations since the last one are sent, in seconds, and for how long the
    threads of the module, any of which may have Python's lock, have together been ready without a
    processor in each of the slow ones.
    """
    is_prompt = _take_real_time_priority()
    pipe.send(is_prompt)
    with _connection(port) as client:
        durations_s: list[float] = []
        slow: list[tuple[float, float]] = []
        while True:
            if pipe.poll(_UP_PERIOD_S):
                if pipe.recv() == "quit":
                    return
                pipe.send((durations_s, slow))
                durations_s, slow = [], []
            waited_s = _waited_s(module, threads)
            began_s = time.perf_counter()
            client.sendall(b"UP;")
            while client.recv(1) != b"1":
                pass
            durations_s.append(time.perf_counter() - began_s)
            if durations_s[-1] > _SLOW_S:
                slow.append((durations_s[-1], _waited_s(module, threads) - waited_s))


def _take_real_time_priority() -> bool:
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        return True
    return False


def _waited_s(process: int, threads: Sequence[int]) -> float:
    """Tell for how long threads were ready, but had no processor; Linux counts that."""
    total_ns = 0
    for thread in threads:
        with suppress(OSError):
            path = Path(f"/proc/{process}/task/{thread}/schedstat")
            total_ns += int(path.read_text(encoding="ascii").split()[1])
    return total_ns * 1e-9


def _connection(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while client.recv(1) != b"\n":
        pass
    return client


def flood(pipe: Connection, port: int) -> None:
    """Send commands as fast as they are taken, for some seconds and again, until told to quit."""
    n_sent = 0
    while True:
        began_s = time.monotonic()
        with _connection(port) as client:
            client.sendall(b"VERBOSE;")
            client.setblocking(False)
            n_sent += _flood_once(client, began_s + _FLOOD_S[0])
        if pipe.poll(max(0.0, began_s + _FLOOD_S[1] - time.monotonic())):
            pipe.recv()
            pipe.send(n_sent)
            return


def _flood_once(client: socket.socket, until_s: float) -> int:
    """Flood over one connection, and read what comes; return how many commands were sent."""
    waiting, n_sent = b"", 0
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while time.monotonic() < until_s:
            for _, events in selector.select(0.1):
                if events & selectors.EVENT_READ and not client.recv(_RECEIVED_BYTES):
                    return n_sent
                if events & selectors.EVENT_WRITE:
                    waiting = waiting or _FLOODING_TEXT
                    n_written = client.send(waiting)
                    n_sent += waiting[:n_written].count(b";")
                    waiting = waiting[n_written:]
    return n_sent


def come_and_go(pipe: Connection, prefix: str) -> None:
    """Listen to one or two streams for some seconds, then to others, until told to quit.

    Half of the inlets are closed, the others just go. What comes must rise by one, but for holes.
    """
    prepare_lsl(this_machine_only=True)
    chance = random.Random(1)
    n_inlets = n_samples = n_wrong = 0
    while not pipe.poll():
        found = pylsl.resolve_bypred(f"starts-with(name, '{prefix}')", 1, 1.0)
        if not found:
            continue
        chosen = chance.sample(found, min(len(found), chance.choice((1, 2))))
        inlets = [pylsl.StreamInlet(info, 5, processing_flags=pylsl.proc_none) for info in chosen]
        last = [-1.0] * len(inlets)
        until_s = time.monotonic() + chance.uniform(*_INLET_S)
        buffer = np.empty((16384, 1))
        while time.monotonic() < until_s and not pipe.poll():
            for number, inlet in enumerate(inlets):
                _, stamps_s = inlet.pull_chunk(0.1, len(buffer), buffer)
                values = buffer[: len(stamps_s), 0]
                if values.size:
                    rising = np.diff(values, prepend=last[number])
                    n_wrong += int(np.count_nonzero(rising < 1))
                    last[number] = values[-1]
                    n_samples += values.size
        n_inlets += len(inlets)
        if chance.random() < 0.5:
            for inlet in inlets:
                inlet.close_stream()
        del inlets
    pipe.recv()
    pipe.send((n_inlets, n_samples, n_wrong))
