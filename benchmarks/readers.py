"""Readers of a board whose costs are compared: each runs in a process of its own.

``python benchmarks/readers.py KIND --port N --columns 130 --streams 1 --seconds 20`` watches the
variables ``v0`` to ``v<n>`` of the sketch ``many`` and prints one line of JSON a second: values so
far, processor seconds so far, resident bytes, and the longest time since the line before in which
its event loop did not come to a task. The kinds:

- ``bare`` reads the messages with ``websockets`` and throws them away;
- ``push`` also pushes the values of each block into LSL outlets, in the shape in which the module
  does, with a stamp for each sample: nothing that publishes them can cost less. It trusts
  the board in everything;
- ``module`` is a session with LSL outlets, as the programs run it;
- ``values`` unpacks value by value into lists, as scripts for the board commonly do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pylsl
from websockets.asyncio.client import connect

KINDS: Final = ("bare", "push", "module", "values")
BLOCK_VALUES: Final = 1024
PAYLOAD_BYTES: Final = 4104
_TICK: Final = struct.Struct("<Q")
_SLEEP_S: Final = 0.02
_ANSWER_S: Final = 30.0


class Report:
    """Prints what a reader has done, once a second, and measures its loop's standstills."""

    def __init__(self, count: Callable[[], tuple[int, int]]) -> None:
        self._count = count
        self._process = psutil.Process()
        self._longest_s = 0.0

    async def run(self, seconds: float) -> None:
        """Print lines for a while; to run in the loop that is measured."""
        next_s = time.perf_counter() + 1.0
        until_s = next_s + seconds
        while (before_s := time.perf_counter()) < until_s:
            if before_s > next_s:
                next_s += 1.0
                self._print()
            await asyncio.sleep(_SLEEP_S)
            self._longest_s = max(self._longest_s, time.perf_counter() - before_s - _SLEEP_S)

    def _print(self) -> None:
        n_values, n_lost = self._count()
        line = {
            "values": n_values,
            "lost": n_lost,
            "cpu_s": time.process_time(),
            "rss_bytes": self._process.memory_info().rss,
            "standstill_s": self._longest_s,
        }
        self._longest_s = 0.0
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class Publisher:
    """Pushes blocks into outlets: one for each variable, or rows of several variables."""

    def __init__(self, names: Sequence[str], n_streams: int) -> None:
        width = len(names) // n_streams
        self._width = width
        self._outlets = [
            pylsl.StreamOutlet(
                pylsl.StreamInfo(f"floor{k}", "", width, 1000.0, "float32", f"f{k}"), 0, 10
            )
            for k in range(n_streams)
        ]
        self._rows = [np.empty((BLOCK_VALUES, width), np.float32) for _ in self._outlets]
        self._steps = np.arange(BLOCK_VALUES) / 44100.0
        self.n_values = 0
        self._first = 0

    def take(self, header: bytes, payload: bytes) -> None:
        """Take a block: a stream is pushed with the block of its last variable."""
        number = int(header.split(b"/")[0]) - self._first
        values = np.frombuffer(payload, np.float32, BLOCK_VALUES, _TICK.size)
        stream, column = divmod(number, self._width)
        rows = self._rows[stream]
        rows[:, column] = values
        self.n_values += BLOCK_VALUES
        if column == self._width - 1:
            stamps_s = _TICK.unpack_from(payload)[0] / 44100.0 + self._steps
            self._push(self._outlets[stream], rows, stamps_s)

    @staticmethod
    def _push(outlet: Any, rows: Any, stamps_s: Any) -> None:
        from bela_module.streams.lsl.lsl_outlet import push_array

        push_array(outlet, rows, stamps_s)


class Values:
    """Unpacks value by value and keeps them in lists and queues with their times."""

    def __init__(self, n_variables: int) -> None:
        self._kept: list[deque[dict[str, Any]]] = [deque(maxlen=100) for _ in range(n_variables)]
        self.n_values = 0

    def take(self, header: bytes, payload: bytes) -> None:
        """Take a block."""
        (tick,) = _TICK.unpack_from(payload)
        data = []
        for k in range(BLOCK_VALUES):
            (value,) = struct.unpack("<f", payload[8 + 4 * k : 12 + 4 * k])
            data.append(value)
        number = int(header.decode().split("/")[0])
        self._kept[number].append({"ref_timestamp": tick, "data": data})
        self.n_values += BLOCK_VALUES


class Counter:
    """Counts values and does nothing with them."""

    def __init__(self) -> None:
        self.n_values = 0

    def take(self, _header: bytes, _payload: bytes) -> None:
        """Take a block."""
        self.n_values += BLOCK_VALUES


async def read_websocket(taker: Any, names: Sequence[str], port: int, seconds: float) -> None:
    """Watch variables and give their blocks to a taker."""
    address = f"ws://127.0.0.1:{port}"
    options: dict[str, Any] = {"compression": None, "close_timeout": 0.2, "proxy": None}
    async with (
        connect(f"{address}/gui_control", max_size=None, **options) as control,
        connect(f"{address}/gui_data", max_size=None, **options) as data,
    ):
        await control.recv()
        await control.send(json.dumps({"event": "connection-reply"}))
        await control.send(json.dumps({"watcher": [{"cmd": "watch", "watchers": list(names)}]}))
        report = asyncio.create_task(Report(lambda: (taker.n_values, 0)).run(seconds))
        reading = asyncio.create_task(_read_blocks(data, taker))
        await report
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await control.send(json.dumps({"watcher": [{"cmd": "unwatch", "watchers": list(names)}]}))
        await asyncio.sleep(0.2)


async def _read_blocks(data: Any, taker: Any) -> None:
    header = b""
    async for message in data:
        if len(message) == PAYLOAD_BYTES:
            taker.take(header, message)
        header = message


def run_module(
    names: Sequence[str], n_streams: int, port: int, seconds: float, prompt: str = "auto"
) -> None:
    """Stream with a session and LSL outlets."""
    from bela_module.config import parse_settings
    from bela_module.requests import StartRequest
    from bela_module.session.session import Session
    from bela_module.streams.lsl.lsl_settings import prepare_lsl
    from bela_module.streams.lsl.outlets import LslOutlets
    from bela_module.streams.lsl_clock import local_clock

    prepare_lsl()
    width = len(names) // n_streams
    settings: dict[str, Any] = {
        "board": {"host": "127.0.0.1", "port": port},
        "streaming": {"group": "none", "prompt": prompt},
    }
    if width > 1:
        settings["streams"] = {
            f"group{k}": {"variables": list(names[k * width : (k + 1) * width])}
            for k in range(n_streams)
        }
    with Session(
        parse_settings(settings, "benchmark"), sink=LslOutlets, now=local_clock
    ) as session:

        def count() -> tuple[int, int]:
            streams = session.status()["streams"]
            n_values = sum(s["samples"] * len(s["variables"]) for s in streams)
            return n_values, sum(s["lost"] for s in streams if s["name"] != "bela_clock")

        session.start(StartRequest(variables=list(names))).result(_ANSWER_S)
        loop = session._loop  # noqa: SLF001 - the standstills of its loop are measured
        if loop is None:
            raise RuntimeError("the session has no loop")
        asyncio.run_coroutine_threadsafe(Report(count).run(seconds), loop).result()
        session.stop().result(_ANSWER_S)


def main() -> None:
    """Read as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--tree", default=str(Path(__file__).resolve().parents[1]))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--columns", type=int, required=True, help="variables in all")
    parser.add_argument("--streams", type=int, required=True, help="streams that they share")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--blocks-only", action="store_true", help="the board sends nothing else")
    options = parser.parse_args()
    sys.path.insert(0, options.tree)
    names = [f"v{k}" for k in range(options.columns)]
    if options.kind == "module":
        prompt = "off" if options.blocks_only else "auto"
        run_module(names, options.streams, options.port, options.seconds, prompt)
        return
    takers: dict[str, Callable[[], Any]] = {
        "bare": Counter,
        "push": lambda: Publisher(names, options.streams),
        "values": lambda: Values(len(names)),
    }
    reading = read_websocket(takers[options.kind](), names, options.port, options.seconds)
    asyncio.run(reading)


if __name__ == "__main__":
    main()
