"""A board that sends prebuilt blocks: any rate, with little processor time of its own.

``python benchmarks/block_sender.py --columns 130 --rate 44100`` speaks as much of the Watcher
protocol as a session needs: ``list``, ``watch`` and ``unwatch``. Blocks of all variables are framed
once; before each burst only ticks and last values are written into them, so that ten million
values a second take a few percent of a core. The simulated board would be what limits such rates.

The last value of each block is `SERIAL_BASE` plus the number of its burst, all others are smaller.
With ``--note`` it prints, when standard input has ended, at which LSL time each block was written.
With ``--push`` it pushes the same blocks at the same times into LSL outlets of its own instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pylsl
from websockets.asyncio.server import ServerConnection, serve

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.protocol.block_encoder import encode_block, encode_header  # noqa: E402
from bela_module.protocol.variables import ValueType, Variable  # noqa: E402
from bela_module.simulator.board_json import connection_event, list_reply  # noqa: E402
from bela_module.streams.lsl.lsl_outlet import push_array  # noqa: E402

BLOCK_VALUES: Final = 1024
SERIAL_BASE: Final = 2**22
"""A float32 holds this plus four million."""
_AUDIO_BLOCK_TICKS: Final = 16
_QUEUE_BYTES: Final = 16 * 2**20
"""What a client may leave unread; beyond it blocks are dropped, as the board does."""
_HEAD: Final = struct.Struct("<Q")
_LAST: Final = struct.Struct("<f")


def _frame(message: bytes) -> bytes:
    """Frame a binary websocket message of a server."""
    if len(message) < 126:
        return struct.pack("!BB", 0x82, len(message)) + message
    return struct.pack("!BBH", 0x82, 126, len(message)) + message


def _values(column: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (BLOCK_VALUES * column + np.arange(BLOCK_VALUES)).astype(np.float32)


class Receiver(Protocol):
    """Takes the blocks of a burst, one for each of some variables."""

    def take(self, columns: Sequence[int], ticks: Sequence[int], serial: int) -> None:
        """Send the blocks, or count them as dropped."""
        ...


class Frames:
    """The two frames of a block of each variable, and where to write in them."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._blocks = []
        for k, variable in enumerate(variables):
            header = _frame(encode_header(variable))
            block = bytearray(header + _frame(encode_block(variable, 0, _values(k))))
            self._blocks.append((block, len(block) - 4096 - _HEAD.size, len(block) - _LAST.size))

    def block(self, column: int, tick: int, serial: int) -> bytearray:
        """Return the frames of a block."""
        block, at_tick, at_last = self._blocks[column]
        _HEAD.pack_into(block, at_tick, tick)
        _LAST.pack_into(block, at_last, SERIAL_BASE + serial)
        return block


class Board:
    """The websockets, and what clients have asked for."""

    def __init__(self, variables: Sequence[Variable], rate_hz: float, note: bool) -> None:
        self.variables = list(variables)
        self.rate_hz = rate_hz
        self.began_s = pylsl.local_clock()
        self.first_tick = 0
        self.n_dropped = 0
        self.notes: list[list[tuple[int, float]]] = [[] for _ in variables]
        self._note = note
        self._frames = Frames(variables)
        self._clients: set[ServerConnection] = set()

    def tick(self) -> int:
        """Return the last tick of the last audio block that is over."""
        ticks = int((pylsl.local_clock() - self.began_s) * self.rate_hz)
        return ticks - ticks % _AUDIO_BLOCK_TICKS - 1

    async def serve_client(self, connection: ServerConnection) -> None:
        """Serve one websocket until it ends."""
        if connection.request is not None and connection.request.path.endswith("gui_data"):
            self._clients.add(connection)
            await connection.wait_closed()
            self._clients.discard(connection)
            return
        await connection.send(connection_event("blocks"))
        async for message in connection:
            root = json.loads(message)
            for entry in root.get("watcher", ()):
                if (reply := self._obey(entry)) is not None:
                    await connection.send(reply)

    def _obey(self, entry: dict[str, Any]) -> str | None:
        match entry["cmd"]:
            case "list":
                tick = self.tick()
                shown = [replace(v, value_input=float(tick)) for v in self.variables]
                return list_reply(self.rate_hz, tick, shown)
            case "watch" if "durations" not in entry:  # a survey of steps has some
                if not any(v.watched for v in self.variables):
                    asked = [int(tick) for tick in entry.get("timestamps", ())]
                    self.first_tick = max(self.tick() + 1, *asked, 0)
                self._set_watched(entry["watchers"], on=True)
            case "unwatch":
                self._set_watched(entry["watchers"], on=False)
        return None

    def _set_watched(self, names: Sequence[str], *, on: bool) -> None:
        chosen = set(names)
        self.variables = [replace(v, watched=on) if v.name in chosen else v for v in self.variables]

    def take(self, columns: Sequence[int], ticks: Sequence[int], serial: int) -> None:
        """Write the blocks of what is watched; one by one where it is noted when."""
        burst = [
            (k, self._frames.block(k, tick, serial))
            for k, tick in zip(columns, ticks, strict=True)
            if self.variables[k].watched
        ]
        for client in self._clients:
            if client.transport.get_write_buffer_size() > _QUEUE_BYTES:
                self.n_dropped += len(burst)
            elif self._note:
                for k, block in burst:
                    self.notes[k].append((serial, pylsl.local_clock()))
                    client.transport.write(bytes(block))
            elif burst:
                client.transport.write(b"".join(block for _, block in burst))


class Outlets:
    """LSL outlets that are given the same blocks: what LSL itself takes."""

    def __init__(self, variables: Sequence[Variable], steps: Sequence[int], rate_hz: float) -> None:
        self._outlets = [
            pylsl.StreamOutlet(
                pylsl.StreamInfo(f"bela_{v.name}", "", 1, rate_hz / step, "float32", v.name), 0, 10
            )
            for v, step in zip(variables, steps, strict=True)
        ]
        self._rows = [_values(k).reshape(-1, 1) for k in range(len(variables))]
        self._steps_s = [np.arange(BLOCK_VALUES) * step / rate_hz for step in steps]
        self._rate_hz = rate_hz
        self.first_tick = 0
        self.notes: list[list[tuple[int, float]]] = [[] for _ in variables]

    def take(self, columns: Sequence[int], ticks: Sequence[int], serial: int) -> None:
        """Push the blocks."""
        for k, tick in zip(columns, ticks, strict=True):
            self._rows[k][-1] = SERIAL_BASE + serial
            stamps_s = tick / self._rate_hz + self._steps_s[k]
            self.notes[k].append((serial, pylsl.local_clock()))
            push_array(self._outlets[k], self._rows[k], stamps_s)


async def send_bursts(
    receiver: Receiver,
    steps: Sequence[int],
    rate_hz: float,
    began_s: float,
    first_tick: Callable[[], int],
) -> None:
    """Send a burst each time that blocks are full, by absolute times."""
    serial, since, n_blocks = 0, -1, [0] * len(steps)
    while True:
        if first_tick() != since:
            since, n_blocks = first_tick(), [0] * len(steps)
        due = [since + (n + 1) * BLOCK_VALUES * s for n, s in zip(n_blocks, steps, strict=True)]
        wait_s = began_s + min(due) / rate_hz - pylsl.local_clock()
        if wait_s > 0:
            await asyncio.sleep(min(wait_s, 0.05))
            continue
        columns = [k for k, tick in enumerate(due) if tick == min(due)]
        ticks = [since + n_blocks[k] * BLOCK_VALUES * steps[k] for k in columns]
        serial += 1
        receiver.take(columns, ticks, serial)
        for k in columns:
            n_blocks[k] += 1


async def run(options: argparse.Namespace) -> None:
    """Send until standard input ends."""
    steps = [1] * (options.columns - options.slow) + [2] * options.slow
    variables = [Variable(k, f"v{k}", ValueType.FLOAT) for k in range(options.columns)]
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    board = Board(variables, options.rate, options.note)
    receiver: Board | Outlets = board
    if options.push:
        receiver = Outlets(variables, steps, options.rate)
    sending = asyncio.create_task(
        send_bursts(receiver, steps, options.rate, board.began_s, lambda: receiver.first_tick)
    )
    async with serve(board.serve_client, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stdout.write(f"ws://127.0.0.1:{port}\n")
        sys.stdout.flush()
        await asyncio.wait({end, sending}, return_when=asyncio.FIRST_COMPLETED)
    sending.cancel()
    result = {"notes": receiver.notes, "dropped": board.n_dropped, "cpu_s": time.process_time()}
    sys.stdout.write(json.dumps(result) + "\n")


def main() -> None:
    """Send as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--columns", type=int, required=True, help="variables")
    parser.add_argument("--slow", type=int, default=0, help="of which so many at each second tick")
    parser.add_argument("--rate", type=float, required=True, help="ticks a second")
    parser.add_argument("--note", action="store_true", help="print when each block was written")
    parser.add_argument("--push", action="store_true", help="into LSL instead of websockets")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
