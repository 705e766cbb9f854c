"""A real session on a board, a sink that keeps what it is given, and a listener of LSL."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import pylsl
import pytest

from bela_module.config import Settings, parse_settings
from bela_module.protocol.variables import Array, Ticks, ValueType, Variable
from bela_module.requests import (
    ConnectInputRequest,
    DisconnectInputRequest,
    MonitorRequest,
    PrepareRequest,
    ReleaseRequest,
    ScheduleRequest,
    SendRequest,
    SetRequest,
    StartRequest,
    make_request,
)
from bela_module.session.session import Session
from bela_module.simulator.network.board_server import BoardServer
from bela_module.simulator.replay.replayed_board import ReplayedBoard
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.assignments import Assignments
from bela_module.simulator.sketches.signals import Signal, ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap

TIMEOUT_S = 60.0
BUFFERED_S = 30  # LSL reserves memory for as long
BUFFERED_HUNDREDS = 2000  # of samples, of an irregular or slow stream
PULLED_SAMPLES = 16384
DTYPES = {
    pylsl.cf_float32: np.float32,
    pylsl.cf_double64: np.float64,
    pylsl.cf_int8: np.int8,
    pylsl.cf_int32: np.int32,
}
RATE_HZ = 44100.0

WaitUntil = Callable[..., None]
T = TypeVar("T")


class KeptStream:
    """What one stream was given, as whole arrays."""

    def __init__(self) -> None:
        self._pushed: list[tuple[Ticks, Array, Stamps]] = []
        self.n_samples = 0

    def add(self, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        self._pushed.append((ticks.copy(), values.copy(), stamps_s.copy()))
        self.n_samples += ticks.size

    @property
    def last_stamp_s(self) -> float:
        return float(self._pushed[-1][2][-1])

    @property
    def ticks(self) -> Ticks:
        return np.concatenate([np.empty(0, np.int64), *(ticks for ticks, _, _ in self._pushed)])

    @property
    def rows(self) -> Array:
        """All samples, of shape (n_samples, n_channels)."""
        return np.concatenate([values for _, values, _ in self._pushed])

    @property
    def values(self) -> Array:
        """All samples of a stream of one channel."""
        rows = self.rows
        assert rows.shape[1] == 1
        return rows[:, 0]

    @property
    def stamps_s(self) -> Stamps:
        return np.concatenate([np.empty(0), *(stamps_s for _, _, stamps_s in self._pushed)])


class Recorder:
    """A sink that keeps everything, and may pass it on to real outlets.

    Parameters
    ----------
    settings : Settings, optional
        When given, all that is kept is published over LSL as well.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.facts: dict[str, StreamFacts] = {}
        self.plans: dict[str, StreamPlan] = {}
        self.kept: dict[str, KeptStream] = {}
        self.gaps: list[tuple[str, Gap]] = []
        self.late_values: list[tuple[str, Ticks, Array, Stamps]] = []
        self.marks: list[tuple[str, float]] = []
        self.uncertainties_s: list[float] = []
        self.kept_variables: tuple[Variable, ...] = ()
        self.searches = 0
        self.closed = 0
        self._settings = settings
        self._outlets: LslOutlets | None = None

    def make(self) -> Recorder:
        """Be the sink of a session; called in its thread."""
        if self._settings is not None:
            self._outlets = LslOutlets(self._settings.streaming.events_stream)
        return self

    def __getitem__(self, name: str) -> KeptStream:
        return self.kept[name]

    @property
    def events(self) -> list[str]:
        return [text for text, _ in self.marks]

    def time_of(self, event: str) -> float:
        """Give the stamp of the last event of a name."""
        return next(lsl_s for text, lsl_s in reversed(self.marks) if text.split()[0] == event)

    def identify(self, origin: Origin) -> None:
        self.uncertainties_s.append(origin.uncertainty_s)
        if self._outlets is not None:
            self._outlets.identify(origin)

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        self.plans[plan.name], self.facts[plan.name] = plan, facts
        self.kept.setdefault(plan.name, KeptStream())
        if self._outlets is not None:
            self._outlets.open(plan, facts)

    def is_open(self, plan: StreamPlan) -> bool:
        return self._outlets is None or self._outlets.is_open(plan)

    def keep(self, variables: Sequence[Variable]) -> None:
        self.kept_variables = tuple(variables)
        if self._outlets is not None:
            self._outlets.keep(variables)

    def search_identities(self) -> None:
        self.searches += 1
        if self._outlets is not None:
            self._outlets.search_identities()

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        if self._outlets is not None:
            self._outlets.push(plan, ticks, values, stamps_s)
        self.kept[plan.name].add(ticks, values, stamps_s)

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        self.gaps.append((variable.name, gap))

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None:
        self.late_values.append((variable.name, ticks.copy(), values.copy(), stamps_s.copy()))

    def mark(self, text: str, lsl_s: float) -> None:
        self.marks.append((text, lsl_s))
        if self._outlets is not None:
            self._outlets.mark(text, lsl_s)

    def close(self) -> None:
        self.closed += 1
        if self._outlets is not None:
            self._outlets.close()


class Running:
    """A session and its sink; its commands wait for their answers."""

    def __init__(self, session: Session, sink: Recorder) -> None:
        self.session = session
        self.sink = sink

    def prepare(self, *variables: str, **fields: Any) -> str:
        fields |= {"variables": variables} if variables else {}
        return answer(self.session.prepare(make_request(PrepareRequest, fields)))

    def start(self, *variables: str, **fields: Any) -> str:
        fields |= {"variables": variables} if variables else {}
        return answer(self.session.start(make_request(StartRequest, fields)))

    def schedule(self, **fields: Any) -> str:
        return answer(self.session.schedule(make_request(ScheduleRequest, fields)))

    def stop(self) -> str:
        return answer(self.session.stop())

    def monitor(self, **fields: Any) -> str:
        return answer(self.session.monitor(make_request(MonitorRequest, fields)))

    def set(self, **values: float) -> str:
        return answer(self.session.set_values(make_request(SetRequest, {"values": values})))

    def release(self, *variables: str) -> str:
        fields = {"variables": variables} if variables else {}
        return answer(self.session.release(make_request(ReleaseRequest, fields)))

    def send(self, **fields: Any) -> str:
        return answer(self.session.send(make_request(SendRequest, fields)))

    def connect_input(self, **fields: Any) -> str:
        return answer(self.session.connect_input(make_request(ConnectInputRequest, fields)))

    def disconnect_input(self, **fields: Any) -> str:
        return answer(self.session.disconnect_input(make_request(DisconnectInputRequest, fields)))

    def list(self) -> dict[str, Any]:
        return answer(self.session.list_variables())

    @property
    def state(self) -> str:
        return str(self.session.status()["state"])

    @property
    def n_blocks(self) -> int:
        """Blocks that were decoded so far, whatever became of them."""
        return int(self.session.status()["counters"]["blocks"])

    @property
    def streams(self) -> dict[str, dict[str, Any]]:
        """What STATUS says of each stream now, by its name.

        On a busy computer STATUS alone may give what was so before the last command.
        """
        driver, loop, thread = self.session._driver, self.session._loop, self.session._thread
        if driver is not None and loop is not None and thread is not None:
            is_built = threading.Event()
            with contextlib.suppress(RuntimeError):  # after the loop's end the last one stands
                loop.call_soon_threadsafe(driver.status._build_for, is_built)
                while not thread.is_over and not is_built.wait(0.1):
                    pass
        return {stream["name"]: stream for stream in self.session.status()["streams"]}

    def samples(self, name: str) -> int:
        kept = self.sink.kept.get(name)
        return 0 if kept is None else kept.n_samples


def flow(one: Running, wait_until: WaitUntil, n: int = 4) -> None:
    """Wait until some more blocks have come."""
    there = one.n_blocks
    wait_until(lambda: one.n_blocks >= there + n, "blocks")


def lose(board: BoardServer, one: Running, wait_until: WaitUntil) -> None:
    """End the connection, and refuse another one."""
    board.refuse_connections(True)
    board.disconnect()
    wait_until(lambda: one.state == "reconnecting", "disconnected")


def stream_and_lose(board: BoardServer, one: Running, wait_until: WaitUntil) -> None:
    """Lose the board while it streams one variable."""
    one.start("a")
    flow(one, wait_until)
    lose(board, one, wait_until)


def answer(future: Future[T]) -> T:
    return future.result(TIMEOUT_S)


def settings_for(port: int, /, **tables: Any) -> Settings:
    address = {"host": "127.0.0.1", "port": port}
    tables["board"] = {**address, "reply_timeout_s": 10.0, **tables.get("board", {})}
    tables["streaming"] = {"clock_stream": "", **tables.get("streaming", {})}
    return parse_settings(tables, "test")


@contextmanager
def session_at(port: int, /, **tables: Any) -> Iterator[Running]:
    """Run a session with a sink that keeps everything."""
    with running(settings_for(port, **tables), Recorder()) as one:
        yield one


@contextmanager
def running(settings: Settings, sink: Recorder, *, obeys_ticks: bool = True) -> Iterator[Running]:
    made = Session(settings, sink=sink.make, now=local_clock, obeys_ticks=obeys_ticks)
    with made as session:
        yield Running(session, sink)
    assert sink.closed == 1


@contextmanager
def session_on(board: BoardServer, /, **tables: Any) -> Iterator[Running]:
    """Run a session on a board, which it must leave with nothing watched or controlled."""
    with session_at(board.port, **tables) as one:
        yield one
    if isinstance(board, SimulatedBoard):
        assert left_on(board) == ([], {}, {})


def left_on(board: SimulatedBoard) -> tuple[list[str], dict[str, int], dict[str, float]]:
    """Tell what is watched, monitored and controlled."""
    return board.watched_names(), board.monitored(), board.controlled_values()


@contextmanager
def published_on(board: BoardServer, prefix: str, /, **tables: Any) -> Iterator[Running]:
    """Run a session with real outlets, whose names begin with a prefix."""
    recorded = isinstance(board, ReplayedBoard)
    own = {"prefix": prefix, "events_stream": f"{prefix}events"}
    tables["streaming"] = {**own, **tables.get("streaming", {})}
    settings = settings_for(board.port, **tables)
    with running(settings, Recorder(settings), obeys_ticks=not recorded) as one:
        yield one


def board_of(
    *variables: SketchVariable, rate_hz: float = RATE_HZ, **options: Any
) -> SimulatedBoard:
    """Make a board that runs a sketch of these variables."""
    return SimulatedBoard(sketch_of(*variables, rate_hz=rate_hz), clock=local_clock, **options)


def sketch_of(*variables: SketchVariable, rate_hz: float = RATE_HZ) -> Sketch:
    return Sketch("test", "made for a test", variables, tick_rate_hz=rate_hz)


def variable(
    name: str,
    value_type: ValueType = ValueType.DOUBLE,
    signal: Signal = ramp,
    *,
    step: int = 1,
    sparse: bool = False,
) -> SketchVariable:
    return SketchVariable(name, value_type, signal, sparse, Assignments(step))


def written_ticks(board: SimulatedBoard, name: str, step: int = 1) -> Ticks:
    """Give the ticks of all values that the board wrote for its clients since its boot."""
    runs = [np.arange(r.first_tick, r.last_tick + 1, step) for r in board.written(name)]
    return np.concatenate([np.empty(0, np.int64), *runs])


def assert_times_are_true(board: SimulatedBoard, sink: Recorder, name: str) -> None:
    """Check stamps against the truth: nowhere further off than was stated on the way."""
    known_s = [value for value in sink.uncertainties_s if np.isfinite(value)]
    kept = sink[name]
    error_s = np.abs(kept.stamps_s - board.true_time_s(kept.ticks))
    assert error_s.max() <= max(known_s) + 1e-4
    assert np.all(np.diff(kept.stamps_s) > 0)


class Listener:
    """An inlet for a stream that keeps all it receives."""

    def __init__(self, info: pylsl.StreamInfo) -> None:
        self.info = info
        rate_hz = info.nominal_srate()
        slow_s = 100 * BUFFERED_HUNDREDS / rate_hz if rate_hz else 0.0  # it may become faster
        buffered = round(max(BUFFERED_S, slow_s)) if rate_hz else BUFFERED_HUNDREDS
        self._inlet = pylsl.StreamInlet(info, buffered, processing_flags=pylsl.proc_none)
        self._inlet.open_stream(TIMEOUT_S)
        self._rows: list[Array] = []
        self._stamps_s: list[float] = []
        dtype = DTYPES.get(info.channel_format())  # none of text
        shape = (PULLED_SAMPLES, info.channel_count())
        self._buffer = None if dtype is None else np.empty(shape, dtype)

    @property
    def rows(self) -> Array:
        return np.concatenate(self._rows)

    @property
    def stamps_s(self) -> Stamps:
        return np.array(self._stamps_s)

    def pull(self, until_s: float) -> None:
        """Receive until a sample of some stamp has come."""
        deadline_s = local_clock() + TIMEOUT_S
        while not self._stamps_s or self._stamps_s[-1] < until_s:
            if local_clock() > deadline_s:
                pytest.fail(f"{len(self._stamps_s)} samples came, but none up to {until_s}")
            samples, stamps_s = self._inlet.pull_chunk(0.05, PULLED_SAMPLES, self._buffer)
            if stamps_s:
                rows = np.array(samples) if self._buffer is None else self._buffer[: len(stamps_s)]
                self._rows.append(rows.copy())
                self._stamps_s += stamps_s

    def close(self) -> None:
        self._inlet.close_stream()


@contextmanager
def listening(prefix: str, count: int) -> Iterator[dict[str, Listener]]:
    """Listen to the streams whose names begin with a prefix, when there are as many."""
    found = pylsl.resolve_bypred(f"starts-with(name, '{prefix}')", count, TIMEOUT_S)
    assert len(found) == count, f"{len(found)} of {count} streams were found"
    listeners: dict[str, Listener] = {}
    try:
        for info in found:
            listeners[info.name()] = Listener(info)
        yield listeners
    finally:
        for listener in listeners.values():
            listener.close()


def assert_received(listener: Listener, kept: KeptStream) -> Ticks:
    """Check that a listener has what was pushed, from its first sample on; give their ticks."""
    stamps_s = kept.stamps_s
    since = int(np.searchsorted(stamps_s, listener.stamps_s[0]))
    np.testing.assert_array_equal(listener.stamps_s, stamps_s[since:])
    np.testing.assert_array_equal(listener.rows, kept.rows[since:])
    ticks: Ticks = kept.ticks[since:]
    return ticks
