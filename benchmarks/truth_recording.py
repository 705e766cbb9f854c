"""Stream the truth from a simulated board through real sockets to a real LSL inlet."""

from __future__ import annotations

import math
import multiprocessing
import struct
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
import pylsl
from numpy.typing import NDArray

from bela_module.config import parse_settings
from bela_module.protocol.variables import PAYLOAD_BYTES, ValueType
from bela_module.requests import StartRequest
from bela_module.session.board.board_state import BoardState
from bela_module.session.session import Session
from bela_module.simulator.faults.fault_list import Fault
from bela_module.simulator.network.delays import NO_DELAY, Network
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.signals import true_time
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from benchmarks.other_clients import OTHERS

_VARIABLE: Final = "truth"
_PATIENCE_S: Final = 20.0
_POLL_S: Final = 0.01
_PULLED_AT_ONCE: Final = 8192

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Condition:
    """A board, the drift of its clock and the way to it.

    Parameters
    ----------
    table, name : str
        Title of the table in which it stands, and what its row is called.
    drift_ppm : float
        How much too fast the board's clock runs.
    network : Network
        The two directions.
    tick_rate_hz, declared_rate_hz : float
        Nominal rate of the sketch's ticks, and what it tells Watcher.
    burst_ticks : int
        Ticks in one audio block.
    faults : tuple of Fault
        What the board suffers.
    others : str
        Which other clients it has, by their name in `benchmarks.other_clients`.
    """

    table: str
    name: str
    drift_ppm: float = 0.0
    network: Network = NO_DELAY
    tick_rate_hz: float = 44100.0
    declared_rate_hz: float = 44100.0
    burst_ticks: int = 16
    faults: tuple[Fault, ...] = ()
    others: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """What an inlet received, and when its blocks had come.

    Attributes
    ----------
    truth_s, stamp_s, stated_s : ndarray of float64 of shape (n_samples,)
        When each value was taken, its stamp, and the largest uncertainty that was stated until
        the next block came.
    arrival_s, last_truth_s : ndarray of float64 of shape (n_blocks,)
        When each block arrived, and the truth of its last sample.
    nominal_rate_hz : float
        What the stream announced.
    """

    truth_s: Floats
    stamp_s: Floats
    stated_s: Floats
    arrival_s: Floats
    last_truth_s: Floats
    nominal_rate_hz: float

    @property
    def block_ends(self) -> NDArray[np.int64]:
        """Index of each block's last sample; shape (n_blocks,)."""
        return np.searchsorted(self.truth_s, self.last_truth_s)

    @property
    def on_arrival_s(self) -> Floats:
        """Stamps that the same samples would have got on arrival; shape (n_samples,)."""
        number = np.arange(self.truth_s.size)
        ends = self.block_ends
        block = np.searchsorted(ends, number)
        stamps_s: Floats = self.arrival_s[block] - (ends[block] - number) / self.nominal_rate_hz
        return stamps_s

    def since(self, seconds: float) -> slice:
        """Select the samples from some seconds after the first one on."""
        return slice(int(np.searchsorted(self.truth_s, self.truth_s[0] + seconds)), None)


class _Arrivals:
    """Notes when each block arrives, its last value, and what was stated until then.

    A recorder of the wire: it is called in the session's thread, before a message is used.
    """

    def __init__(self) -> None:
        self.board: BoardState | None = None
        self._notes: list[tuple[float, float]] = []
        self._stated_s: list[float] = []

    def begin_connection(self) -> None:
        """Note nothing: there is one connection."""

    def record(self, channel: str, direction: str, message: str | bytes) -> None:
        """Note a block; only the truth is watched, so each of them is its."""
        if isinstance(message, bytes) and len(message) == PAYLOAD_BYTES and direction == "in":
            (last_truth_s,) = struct.unpack_from("<d", message, PAYLOAD_BYTES - 8)
            self._notes.append((local_clock(), last_truth_s))
            known = self.board.take_clock_sample(0.0) if self.board is not None else None
            self._stated_s.append(known[1].uncertainty_s if known is not None else math.nan)

    def stated_s(self, truth_s: Floats) -> Floats:
        """Return what was stated while each value's block was stamped, the largest of it."""
        _, last_truth_s = np.array(self._notes[:-1]).T
        block = np.searchsorted(last_truth_s, truth_s)
        stated_s = np.array(self._stated_s[1:])
        return stated_s[np.minimum(block, len(stated_s) - 1)]

    def between(self, first_s: float, last_s: float) -> tuple[Floats, Floats]:
        """Return arrival and last truth of the blocks that ended within a time."""
        arrival_s, last_truth_s = np.array(self._notes).T
        chosen = (first_s <= last_truth_s) & (last_truth_s <= last_s)
        return arrival_s[chosen], last_truth_s[chosen]


def measure(condition: Condition, seconds: float) -> Recording:
    """Stream a condition's truth for a while.

    Parameters
    ----------
    condition : Condition
        What to measure.
    seconds : float
        How long, by the stamps.

    Returns
    -------
    Recording
        All that an inlet received, from the first sample on, in whole blocks.

    Raises
    ------
    TimeoutError
        When the samples take much longer to come.
    """
    prefix = f"bench_{uuid.uuid4().hex}_"
    arrivals = _Arrivals()
    with _board(condition) as port:
        sections = {
            "board": {"host": "127.0.0.1", "port": port},
            "streaming": {
                "prefix": prefix,
                "events_stream": f"{prefix}events",
                "clock_stream": "",  # what is stated is taken below
            },
        }
        settings = parse_settings(sections, "benchmark")
        with (
            Session(settings, sink=LslOutlets, now=local_clock, recorder=arrivals) as session,
            OTHERS[condition.others](port, _VARIABLE),
        ):
            arrivals.board = session._driver.runtime.board  # noqa: SLF001
            session.start(StartRequest(variables=(_VARIABLE,))).result(_PATIENCE_S)
            (info,) = pylsl.resolve_byprop("name", prefix + _VARIABLE, 1, _PATIENCE_S)
            samples = _pull(session, info, seconds)
    arrival_s, last_truth_s = arrivals.between(samples[0, 0], samples[0, -1])
    truth_s, stamp_s = samples[:, samples[0] <= last_truth_s[-1]]
    stated_s = arrivals.stated_s(truth_s)
    rate_hz = info.nominal_srate()
    return Recording(truth_s, stamp_s, stated_s, arrival_s, last_truth_s, rate_hz)


@contextmanager
def _board(condition: Condition) -> Iterator[int]:
    """Run a condition's board in a process of its own, as a real one would; give its port."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(condition, theirs), daemon=True)
    process.start()
    theirs.close()  # so that a board that dies is the end of the pipe
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def _serve(condition: Condition, pipe: Connection) -> None:
    """Be the board until the other end of the pipe is closed."""
    truth = SketchVariable(_VARIABLE, ValueType.DOUBLE, true_time)
    sketch = Sketch(
        _VARIABLE,
        "the time at which the board took each value",
        (truth,),
        declared_rate_hz=condition.declared_rate_hz,
        tick_rate_hz=condition.tick_rate_hz,
        burst_ticks=condition.burst_ticks,
    )
    with (
        SimulatedBoard(
            sketch, drift_ppm=condition.drift_ppm, network=condition.network, clock=local_clock
        ) as board,
        suppress(EOFError),
    ):
        board.inject(*condition.faults)
        pipe.send(board.port)
        pipe.recv()


def _pull(session: Session, info: pylsl.StreamInfo, seconds: float) -> Floats:
    """Return truth and stamp of all samples; shape (2, n_samples)."""
    inlet = pylsl.StreamInlet(info, recover=False, processing_flags=pylsl.proc_none)
    inlet.open_stream(_PATIENCE_S)
    buffer = np.empty((_PULLED_AT_ONCE, 1))
    pulled: list[Floats] = []
    deadline_s = time.monotonic() + seconds + _PATIENCE_S
    while not pulled or pulled[-1][1, -1] < pulled[0][1, 0] + seconds:
        _, stamps = inlet.pull_chunk(0.0, _PULLED_AT_ONCE, buffer)
        if stamps:
            pulled.append(np.stack([buffer[: len(stamps), 0], stamps]))
        elif time.monotonic() > deadline_s:
            raise TimeoutError(f"{seconds} s of samples did not come: {session.status()}")
        else:
            time.sleep(_POLL_S)
    inlet.close_stream()
    return np.concatenate(pulled, axis=1)
