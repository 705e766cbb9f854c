"""Whatever comes over the two websockets: no exception escapes, no memory is kept, all goes on.

Messages are mutations of captured ones: bits flipped, parts cut out, repeated, joined with those
of others, or replaced by noise. ``BELA_FUZZ_MESSAGES`` sets how many go through the decoders.
"""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import psutil
import pytest

from bela_module.config import parse_settings
from bela_module.connection.capture_file import read_capture
from bela_module.errors import FrameError
from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder, Refusal, RefusalReason
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.simulator.faults.message_faults import MessageFault
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan, plan_streams
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import Gap, Tracker
from tests.support.amount import N_FUZZED
from tests.support.fault_cases import NAMES, check_values, make_board
from tests.support.mutations import mutate, pairs_of, played
from tests.support.session_helpers import KeptStream, Recorder, WaitUntil, session_at

CAPTURES = ("alltypes", "monitor-alltypes", "manyvars")
SEED = 20261121
RATE_HZ = 44100.0
KEPT_BYTES = 500_000
SESSION_BYTES = 3_000_000  # some blocks that wait for the others of their group, or to be read
GROWTH_BYTES = 8 * 2**20
INTERRUPTED_SHARE = 0.003
ENDED_SHARE = 0.002

GROUPS = {"dense_pair": ("dd", "df"), "sparse_pair": ("sd", "sf")}

WATCHED_GAPS = {
    "LOST": 1e-2,
    "RECONNECTED": 5e-3,
    "RESTARTED": 5e-3,
    "STEP": 1e-3,
    "CUT": 5e-5,
    "UNKNOWN_END": 5e-5,
}
REACHED: dict[str, dict[str, float]] = {
    "alltypes": WATCHED_GAPS,
    "monitor-alltypes": {"RECONNECTED": 5e-3},
    "manyvars": WATCHED_GAPS,
}
"""How often each reason for a gap must have come, for each message."""
EXTRA_PER_PAIR = 100
N_PAIRS = max(40, min(200, N_FUZZED // 1000))

CapturePath = Callable[[str], Path]


def mutations(messages: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    random = np.random.default_rng(seed)
    return (mutate(messages, random) for _ in range(count))


def captured(path: Path, channel: str) -> list[bytes]:
    taken = [m.message for m in read_capture(path) if m.channel == channel and m.from_board]
    return [m.encode() if isinstance(m, str) else m for m in taken]


def variables_of(path: Path) -> VariableList:
    for message in captured(path, "control"):
        parsed = parse_control_message(message)
        if isinstance(parsed, VariableList):
            return parsed
    pytest.fail(f"{path} has no list of variables")


class CheckingSink:
    """A sink that keeps counts alone, and checks the order of what it is given."""

    def __init__(self) -> None:
        self.n_values: Counter[str] = Counter()
        self.n_rows: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.last_ticks: dict[str, int] = {}
        self.trackers: dict[str, tuple[Tracker, ...]] = {}
        self.repeating: set[str] = set()
        """Streams of which several values may have the same tick."""

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Expect ticks that begin again."""
        self.last_ticks[plan.name] = -1

    def is_open(self, plan: StreamPlan) -> bool:
        return True

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        assert ticks.shape == stamps_s.shape == values.shape[:1]
        trackers = self.trackers[plan.name]
        if any(t.variable.sparse or isinstance(t.step_ticks, float) for t in trackers):
            self.repeating.add(plan.name)
        steps = np.diff(ticks, prepend=self.last_ticks[plan.name])
        assert np.all(steps >= 0 if plan.name in self.repeating else steps > 0)
        self.last_ticks[plan.name] = int(ticks[-1])
        self.n_rows[plan.name] += 1
        missing = np.isnan(values) if len(plan.variables) > 1 else np.zeros(values.shape, np.bool_)
        self.n_values[plan.name] += values.size - int(np.count_nonzero(missing))

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        assert gap.n_values >= 0
        assert gap.first_tick <= gap.last_tick
        self.reasons[gap.reason.name] += 1

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None: ...

    def identify(self, origin: Origin) -> None: ...

    def mark(self, text: str, lsl_s: float) -> None: ...

    def close(self) -> None: ...


class FuzzedChannel:
    """The way of the data, from messages to rows: as a session goes it, without any socket."""

    def __init__(self, listed: VariableList, blocks: Sequence[Block]) -> None:
        self.sink = CheckingSink()
        self.decoder = DataDecoder(listed.variables)
        ticks = RegularTicks()  # one for all, as a delivery has it
        self.streams = [
            LiveStream(plan, self.sink, _stamps, _never, _ignore_gap, _fail, ticks=ticks)
            for plan in _plans(blocks)
        ]
        self.sink.trackers = {stream.plan.name: stream.trackers for stream in self.streams}
        self.routes = {
            (variable.index, stream.plan.mode is StreamMode.MONITOR): (stream, variable)
            for stream in self.streams
            for variable in stream.plan.variables
        }
        self.facts = StreamFacts(Origin("b", "p", RATE_HZ, RATE_HZ, 0.0, 0.0), RATE_HZ)
        self.n_impossible = 0

    def begin(self, first_tick: int, random: np.random.Generator) -> None:
        """Begin a run: with a known start, or without."""
        for stream in self.streams:
            stream.open(self.facts)
            for tracker in stream.trackers:
                tracker.begin(first_tick if random.random() < 0.5 else None)
                if random.random() < 0.5:
                    tracker.confirm_start()

    def feed(self, message: bytes, possible_tick: int) -> None:
        block = self.decoder.receive(message)
        if isinstance(block, Refusal) and block.reason is RefusalReason.ORPHAN_HEADER:
            route = self.routes.get((int(block.detail.split("/", 1)[0]), False))
            if route is not None:
                route[0].missed_block(route[1])
        if not isinstance(block, Block):
            return
        route = self.routes.get((block.variable.index, block.monitor))
        if route is None:
            return
        stream, variable = route
        if block.tick > possible_tick + RATE_HZ:  # as Board.is_from_the_future
            self.n_impossible += 1
            stream.missed_block(variable)
        else:
            stream.add(block, possible_tick, 0.0)

    def interrupt(self, resume_tick: int) -> None:
        """Lose the connection, and go on."""
        self.decoder.restart()
        for stream in self.streams:
            stream.interrupted()
            for tracker in stream.trackers:
                tracker.resume(resume_tick)

    def end(self, last_tick: int, random: np.random.Generator) -> None:
        """End a run at a tick, or without knowing one, and begin again afterwards."""
        knows_end = random.random() < 0.5
        for stream in self.streams:
            for variable in stream.plan.variables if knows_end else ():
                stream.end_at(variable, last_tick, next_too=bool(random.random() < 0.5))
            stream.on_board_restart()
        self.check_counts()

    def check_counts(self) -> None:
        """Check that what was given out and what was counted add up."""
        for stream in self.streams:
            delivered = sum(tracker.delivered for tracker in stream.trackers)
            given = self.sink.n_values[stream.plan.name] + stream.refused
            if len(stream.plan.variables) == 1:
                assert given == delivered
            else:  # a value that is no number looks as if it were missing in its row
                assert given <= delivered
            assert stream.lost == sum(tracker.lost for tracker in stream.trackers) + stream.refused
            assert all(tracker.lost >= 0 <= tracker.withheld for tracker in stream.trackers)


def _plans(blocks: Sequence[Block]) -> list[StreamPlan]:
    watched = {b.variable.name: b.variable for b in blocks if not b.monitor}
    monitored = {b.variable.name: b.variable for b in blocks if b.monitor}
    groups = {
        name: {"variables": list(pair)} for name, pair in GROUPS.items() if pair[0] in watched
    }
    settings = parse_settings({"streams": groups}, "test")
    single = parse_settings({"streaming": {"prefix": "monitored_"}}, "test")
    return [
        *plan_streams(tuple(watched.values()), settings),
        *plan_streams(tuple(monitored.values()), single, monitor=True),
    ]


def _stamps(ticks: Ticks) -> Stamps:
    return ticks / RATE_HZ


def _never() -> float:
    return 0.0


def _ignore_gap(variable: Variable, gap: Gap) -> None: ...


def _fail(plan: StreamPlan, error: Exception) -> None:
    raise error


def fuzz(name: str, path: Path, count: int) -> tuple[FuzzedChannel, int]:
    """Play a capture until so many messages have come; give by how much the memory grew."""
    random = np.random.default_rng(SEED)
    listed = variables_of(path)
    pairs = pairs_of(captured(path, "data"), listed.variables)
    channel = FuzzedChannel(listed, [pair.block for pair in pairs])
    process = psutil.Process()
    n_messages = warm_bytes = since_tick = 0
    running = False
    for tick, messages in played(pairs, count, random):
        if not running:
            since_tick, running = tick, True
            channel.begin(tick, random)
        for message in messages:
            channel.feed(message, tick)
        n_messages += len(messages)
        if random.random() < INTERRUPTED_SHARE:
            channel.interrupt(tick + int(random.integers(0, 500)))
        elif random.random() < ENDED_SHARE and tick > since_tick:
            channel.end(tick + int(random.integers(-500, 500)), random)
            running = False
        if not warm_bytes and n_messages > count // 5:
            gc.collect()
            warm_bytes = process.memory_info().rss
        if n_messages >= count:
            break
    gc.collect()
    return channel, process.memory_info().rss - warm_bytes


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", CAPTURES)
def test_mutated_data_never_raises_nor_runs_backwards(name: str, capture_path: CapturePath) -> None:
    count = N_FUZZED // len(CAPTURES)
    channel, grown_bytes = fuzz(name, capture_path(name), count)
    counters = channel.decoder.counters
    assert grown_bytes < GROWTH_BYTES
    assert counters.blocks > count // 3  # what is mutated goes beyond the decoder
    assert counters.bad_frames > count // 100
    assert counters.orphan_headers > count // 200
    assert counters.orphan_payloads > count // 200
    assert channel.n_impossible > count // 1000
    assert sum(channel.sink.n_rows.values()) > count // 10
    for reason, share in REACHED[name].items():
        assert channel.sink.reasons[reason] > share * count, channel.sink.reasons


@pytest.mark.parametrize("name", CAPTURES)
def test_mutated_replies_raise_the_documented_error_alone(
    name: str, capture_path: CapturePath
) -> None:
    messages = captured(capture_path(name), "control")
    refused = 0
    for message in mutations(messages, N_FUZZED // 20, SEED):
        try:
            parse_control_message(message)
        except FrameError:
            refused += 1
    assert refused > N_FUZZED // 100


def test_no_memory_is_kept(capture_path: CapturePath) -> None:
    tracemalloc.start()
    try:
        fuzz("alltypes", capture_path("alltypes"), 2000)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        channel, _ = fuzz("alltypes", capture_path("alltypes"), 6_000)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert channel.decoder.counters.blocks > 0  # it is still there, with all that it holds
    assert after - before < KEPT_BYTES


@dataclass(frozen=True, slots=True)
class Mutations(MessageFault):
    """Each pair is followed by a hundred mutations of itself."""

    name: ClassVar[str] = "mutations"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        return parts + [mutate(parts, random) for _ in range(EXTRA_PER_PAIR)]


@dataclass(frozen=True, slots=True)
class MutatedReply(MessageFault):
    """A reply is followed by nothing, but is not what it was."""

    name: ClassVar[str] = "mutated-reply"
    of_replies: ClassVar[bool] = True

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        return [mutate(parts, random).decode("ascii", "replace").encode("ascii", "replace")]


def _has_come(sink: Recorder, tick: int) -> bool:
    """Tell whether all streams have got further than a tick."""
    streams = [sink.kept.get(f"bela_{name}") for name in NAMES]
    return all(s is not None and s.n_samples and s.ticks[-1] > tick for s in streams)


@pytest.mark.timeout(180)  # its waits may take two minutes on a busy computer
def test_a_session_outlives_thousands_of_mutated_messages(
    wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    kept_bytes = []
    with make_board() as board, session_at(board.port, board={"reply_timeout_s": 2.0}) as one:
        one.start(*NAMES)
        tracemalloc.start()
        try:
            for _ in range(2):
                there = len(board.block_losses)
                board.inject(Mutations(n=N_PAIRS // 2))
                board.inject(MutatedReply(p=0.3))
                done = there + N_PAIRS // 2
                wait_until(lambda n=done: len(board.block_losses) >= n, "all of them", 60.0)
                board.end_faults()
                wait_until(lambda: one.session.status()["board"]["connected"], "a connection")
                sent_tick = board.tick_now()  # what was sent by now may still wait to be read
                wait_until(lambda tick=sent_tick: _has_come(one.sink, tick), "all of it", 60.0)
                one.sink.kept.update({name: KeptStream() for name in one.sink.kept})
                gc.collect()
                kept_bytes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert kept_bytes[1] - kept_bytes[0] < SESSION_BYTES
        caplog.set_level(logging.ERROR)
        wait_until(lambda: one.session.status()["board"]["connected"], "a connection")
        one.stop()
        assert one.session.status()["counters"]["bad_frames"] > N_PAIRS
        one.sink.kept.clear()
        since_tick = board.tick_now()
        one.start(*NAMES)
        wait_until(lambda: board.tick_now() > since_tick + 40_000, "some blocks")
        one.stop()
        for name in NAMES:
            assert check_values(board, one.sink, f"bela_{name}", worst_s=0.01)[name] > 10_000
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
