"""Count what a callback costs: values per second, losses and processor time of a Streamer.

Beside it stands a bare ``websockets`` reader, which takes the same messages from the same
simulated board and throws them away: what it costs, no client can save. The board has 130
variables in a process of its own; so has each reader, one after another.

``python benchmarks/callback_cost.py [--seconds 5] [--rates 2000 5000 10000]`` prints a table in
Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

SKETCH: Final = "many"
N_VARIABLES: Final = 130
_BLOCK_VALUES: Final = 1024
_PAYLOAD_BYTES: Final = 4104
_WARM_UP_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a reader took in a while, and what it cost."""

    values: int
    lost: int
    elapsed_s: float
    cpu_s: float


def serve_board(rate_hz: float, connection: Any) -> None:
    """Run a board until told to end; tell its port first."""
    from bela_module.simulator.simulated_board import SimulatedBoard

    with SimulatedBoard(SKETCH, rate_hz) as board:
        connection.send(board.port)
        connection.recv()


def read_bare(port: int, seconds: float) -> Cost:
    """Read messages, and do nothing with them but count."""
    return asyncio.run(_read_bare(port, seconds))


async def _read_bare(port: int, seconds: float) -> Cost:
    from websockets.asyncio.client import connect

    from bela_module.protocol.control_commands import (
        CONNECTION_REPLY,
        encode_commands,
        unwatch_command,
        watch_command,
    )

    names = [f"v{k}" for k in range(N_VARIABLES)]
    address = f"ws://127.0.0.1:{port}"
    async with (
        connect(f"{address}/gui_control", compression=None, close_timeout=0.2) as control,
        connect(f"{address}/gui_data", compression=None, close_timeout=0.2, max_queue=None) as data,
    ):
        await control.recv()
        await control.send(CONNECTION_REPLY)
        for message in encode_commands([watch_command(names)]):
            await control.send(message)
        counting_from_s = time.monotonic() + _WARM_UP_S
        n_blocks, begun_s, begun_cpu_s = 0, 0.0, 0.0
        while (now_s := time.monotonic()) < counting_from_s + seconds:
            message = await data.recv()
            if now_s >= counting_from_s:
                if not begun_s:
                    begun_s, begun_cpu_s = now_s, time.process_time()
                n_blocks += len(message) == _PAYLOAD_BYTES
        elapsed_s, cpu_s = time.monotonic() - begun_s, time.process_time() - begun_cpu_s
        for message in encode_commands([unwatch_command(names)]):
            await control.send(message)
        await asyncio.sleep(0.3)
    return Cost(n_blocks * _BLOCK_VALUES, 0, elapsed_s, cpu_s)


def read_lists(port: int, seconds: float) -> Cost:
    """Stream everything through ``on_buffer_callback``, as lists."""
    return _read_with_callback(port, seconds, arrays=False)


def read_arrays(port: int, seconds: float) -> Cost:
    """Stream everything through ``on_buffer_callback``, as NumPy arrays."""
    return _read_with_callback(port, seconds, arrays=True)


def _read_with_callback(port: int, seconds: float, *, arrays: bool) -> Cost:
    from bela_module import Streamer

    counted = {"values": 0, "lost": 0}

    def count(buffer: Any) -> None:
        counted["values"] += len(buffer["buffer"]["data"])
        counted["lost"] += buffer["buffer"]["lost"]

    with Streamer("127.0.0.1", port, arrays=arrays) as streamer:
        streamer.streaming_buffers_queue_length = 10
        streamer.start_streaming(on_buffer_callback=count)
        while not counted["values"]:  # the first come together, once the rate is known
            streamer.wait(0.1)
        streamer.wait(_WARM_UP_S)
        before, begun_s, begun_cpu_s = dict(counted), time.monotonic(), time.process_time()
        streamer.wait(seconds)
        values = counted["values"] - before["values"]
        elapsed_s, cpu_s = time.monotonic() - begun_s, time.process_time() - begun_cpu_s
        streamer.stop_streaming()
        lost = counted["lost"] + streamer.dropped_calls * _BLOCK_VALUES
    return Cost(values, lost, elapsed_s, cpu_s)


READERS: Final[dict[str, Callable[[int, float], Cost]]] = {
    "bare websockets": read_bare,
    "on_buffer_callback, arrays": read_arrays,
    "on_buffer_callback, lists": read_lists,
}


def measure(rate_hz: float, seconds: float) -> dict[str, Cost]:
    """Let each reader read from a board of this tick rate."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    board = spawn.Process(target=serve_board, args=(rate_hz, there))
    board.start()
    port = here.recv()
    try:
        with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
            return {
                name: pool.submit(reader, port, seconds).result()
                for name, reader in READERS.items()
            }
    finally:
        here.send("end")
        board.join()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each reader (5)")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[1000.0, 2500.0, 5000.0, 10000.0, 20000.0]
    )
    options = parser.parse_args()
    print("| asked, values/s | reader | got, values/s | lost | processor | µs per block |")
    print("|---:|---|---:|---:|---:|---:|")
    for rate_hz in options.rates:
        for name, cost in measure(rate_hz, options.seconds).items():
            per_block_us = 1e6 * cost.cpu_s * _BLOCK_VALUES / max(cost.values, 1)
            print(
                f"| {rate_hz * N_VARIABLES:,.0f} | {name} | {cost.values / cost.elapsed_s:,.0f} "
                f"| {cost.lost:,} | {cost.cpu_s / cost.elapsed_s:.0%} | {per_block_us:.0f} |"
            )


if __name__ == "__main__":
    main()
