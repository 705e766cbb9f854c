"""Do the kernel's receive times, or later sending times, make the clock better? Linux only.

``python benchmarks/receive_times.py [--seconds 20] [--runs 4]`` streams from a simulated board
while the computer is idle, while the same Python publishes ten streams of 44.1 kHz, and while
another thread of it computes without a pause. Of every message it notes two times: of a request,
before it was made and before its bytes were written; of what comes, when the kernel received it
(``SO_TIMESTAMPNS``) and when it was read. Afterwards one clock for each choice of these times is
given the same exchanges and blocks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import struct
import sys
import threading
import time
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.clock.device_clock import DeviceClock  # noqa: E402
from bela_module.clock.timeline import Timeline  # noqa: E402
from bela_module.config import parse_settings  # noqa: E402
from bela_module.connection.board_socket import BoardSocket  # noqa: E402
from bela_module.connection.stamped_socket import StampedSocket  # noqa: E402
from bela_module.protocol.variables import PAYLOAD_BYTES, ValueType  # noqa: E402
from bela_module.requests import StartRequest  # noqa: E402
from bela_module.session.session import Session  # noqa: E402
from bela_module.simulator.simulated_board import SimulatedBoard  # noqa: E402
from bela_module.simulator.sketches.signals import true_time  # noqa: E402
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable  # noqa: E402
from bela_module.streams.lsl.lsl_settings import prepare_lsl  # noqa: E402
from bela_module.streams.lsl.outlets import LslOutlets  # noqa: E402
from bela_module.streams.lsl_clock import local_clock  # noqa: E402

_PATIENCE_S: Final = 20.0
_WARM_UP_S: Final = 5.0
RATE_HZ: Final = 44100.0
STREAMS: Final = 10
SITUATIONS: Final = ("idle", "10 streams of 44.1 kHz", "a thread that computes")
CHOICES: Final = {
    "as read": (False, False),
    "sent as written": (True, False),
    "received by the kernel": (False, True),
    "both": (True, True),
}


class Event(NamedTuple):
    """What a clock was told: a probe, or the tick of a block (then nothing was sent)."""

    kind: str
    tick: int
    received_s: float
    sent_s: float = 0.0


@dataclass
class Notes:
    """All times of one run; the keys are the times that the session used."""

    events: list[Event] = field(default_factory=list)
    asked_s: list[float] = field(default_factory=list)
    read_s: dict[float, float] = field(default_factory=dict)
    truth: list[tuple[int, float]] = field(default_factory=list)
    n_refused: int = 0

    def begin_connection(self) -> None:
        """Note nothing: there is one connection."""

    def record(self, channel: str, direction: str, message: str | bytes) -> None:
        """Note the first tick of each block, and its truth."""
        if isinstance(message, bytes) and len(message) == PAYLOAD_BYTES and direction == "in":
            self.truth.append(struct.unpack_from("<Qd", message))


@contextmanager
def noting(notes: Notes) -> Iterator[None]:
    """Note the times of all that a session of this process sends, receives and concludes."""
    data_received, expect_send = BoardSocket.data_received, StampedSocket.expect_send
    add_probe, note_delay = DeviceClock.add_probe, DeviceClock.note_delay
    add_arrival = DeviceClock.add_arrival

    def received(connection: Any, data: bytes) -> None:
        read_s = local_clock()
        data_received(connection, data)
        notes.read_s[connection.received_s] = read_s
        notes.n_refused += connection.endpoint.kernel_s is None

    def asking(endpoint: Any) -> None:
        notes.asked_s.append(local_clock())
        expect_send(endpoint)

    def probe(clock: Any, *exchange: Any, **proof: Any) -> Any:
        sent_s, received_s, tick = exchange[:3]
        notes.events.append(Event("probe", tick, received_s, sent_s))
        return add_probe(clock, *exchange, **proof)

    def arrival(clock: Any, tick: int, received_s: float) -> bool:
        notes.events.append(Event("arrival", tick, received_s))
        return add_arrival(clock, tick, received_s)

    def delay(clock: Any, tick: int, received_s: float) -> None:
        notes.events.append(Event("delay", tick, received_s))
        note_delay(clock, tick, received_s)

    replaced = {
        (BoardSocket, "data_received"): received,
        (StampedSocket, "expect_send"): asking,
        (DeviceClock, "add_probe"): probe,
        (DeviceClock, "add_arrival"): arrival,
        (DeviceClock, "note_delay"): delay,
    }
    with ExitStack() as patches:
        for (owner, name), function in replaced.items():
            patches.enter_context(patch.object(owner, name, function))
        yield


def run(situation: str, seconds: float) -> list[tuple[str, float, float, float, float]]:
    """Stream once; return name, median and p99 of the error, stated and share inside per choice."""
    prepare_lsl(this_machine_only=True)
    notes, prefix = Notes(), f"bench_{uuid.uuid4().hex}_"
    count = STREAMS if "streams" in situation else 1
    names = tuple(f"truth{number}" for number in range(count))
    stop = threading.Event()
    computing = threading.Thread(target=_compute, args=(stop,), daemon=True)
    with _board() as port, noting(notes):
        sections = {
            "board": {"host": "127.0.0.1", "port": port},
            "streaming": {"prefix": prefix, "events_stream": f"{prefix}events", "group": "none"},
        }
        settings = parse_settings(sections, "benchmark")
        with Session(settings, sink=LslOutlets, now=local_clock, recorder=notes) as session:
            session.start(StartRequest(variables=names)).result(_PATIENCE_S)
            if "thread" in situation:
                computing.start()
            time.sleep(seconds)
            stop.set()
    if notes.n_refused:
        print(f"{notes.n_refused} times of the kernel were refused", file=sys.stderr)
    return [_replay(notes, name, *choice) for name, choice in CHOICES.items()]


def _compute(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(1000))


def _replay(
    notes: Notes, name: str, as_written: bool, by_kernel: bool
) -> tuple[str, float, float, float, float]:
    """Give a clock all events with one choice of times, and compare its stamps with the truth."""
    ticks, truths_s = np.array(notes.truth[:1] + notes.truth[-1:]).T
    s_per_tick = (truths_s[1] - truths_s[0]) / (ticks[1] - ticks[0])
    clock, timeline = DeviceClock(RATE_HZ), Timeline()
    found: list[tuple[float, float]] = []
    began_s = notes.events[0].received_s
    for kind, tick, used_s, sent_s in notes.events:
        received_s = used_s if by_kernel else notes.read_s[used_s]
        if kind == "probe":
            asked_s = notes.asked_s[bisect_right(notes.asked_s, sent_s) - 1]
            clock.add_probe(sent_s if as_written else asked_s, received_s, tick)
            if clock.ready:
                timeline.steer(clock, tick)
        elif kind == "arrival":
            if clock.add_arrival(tick, received_s) and clock.ready:
                timeline.steer(clock, tick)
        else:
            clock.note_delay(tick, received_s)
            if timeline.started:
                timeline.compare(clock, tick)
                stamp_s = float(timeline.stamps_s(np.array([tick]))[0])
                error_s = stamp_s - truths_s[0] - (tick - ticks[0]) * s_per_tick
                if used_s > began_s + _WARM_UP_S:
                    found.append((error_s, timeline.correction_s + clock.uncertainty_s))
    error_s, stated_s = np.array(found).T
    size_s = np.abs(error_s)
    return (
        name,
        float(np.median(size_s)),
        float(np.percentile(size_s, 99)),
        float(np.median(stated_s)),
        float(np.mean(size_s <= stated_s)),
    )


@contextmanager
def _board() -> Iterator[int]:
    """Run the board in a process of its own; give its port."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def _serve(pipe: Connection) -> None:
    """Be the board until the other end of the pipe is closed."""
    variables = tuple(
        SketchVariable(f"truth{number}", ValueType.DOUBLE, true_time) for number in range(STREAMS)
    )
    sketch = Sketch("truth", "the time at which the board took each value", variables)
    with SimulatedBoard(sketch, drift_ppm=50.0, clock=local_clock) as board, suppress(EOFError):
        pipe.send(board.port)
        pipe.recv()


def table(results: Sequence[tuple[str, list[tuple[str, float, float, float, float]]]]) -> str:
    """Write the mean of all runs of each situation and choice, in µs."""
    heads = ("Situation", "times", "median", "p99", "stated", "inside")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for situation in SITUATIONS:
        runs = [run for name, run in results if name == situation]
        for position, choice in enumerate(CHOICES):
            figures = np.mean([run[position][1:] for run in runs], axis=0)
            cells = [f"{figure * 1e6:.0f}" for figure in figures[:3]]
            line = [situation, choice, *cells, f"{figures[3]:.2%}"]
            lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a run (20)")
    parser.add_argument("--runs", type=int, default=4, help="runs of each situation (4)")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    results = []
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        for number in range(options.runs):
            for situation in SITUATIONS:
                found = pool.submit(run, situation, options.seconds).result()
                results.append((situation, found))
                text = "; ".join(
                    f"{name} {median * 1e6:.0f}/{p99 * 1e6:.0f}/{stated * 1e6:.0f}"
                    for name, median, p99, stated, _ in found
                )
                print(f"{number + 1} {situation}: {text}", file=sys.stderr, flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
