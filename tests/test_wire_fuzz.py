"""Whatever comes over the two websockets: no exception escapes, no memory is kept, all goes on.

Messages are mutations of captured ones: bits flipped, parts cut out, repeated, joined with those
of others, or replaced by noise. ``BELA_FUZZ_MESSAGES`` sets how many go through the decoders.
"""

from __future__ import annotations

import logging
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from bela_module.capture import read_capture
from bela_module.continuity import Run, Tracker, tracker_for
from bela_module.control import VariableList, parse_control_message
from bela_module.errors import FrameError
from bela_module.message_faults import MessageFault
from bela_module.protocol import Block, DataDecoder
from tests.fault_cases import NAMES, check_values, make_board
from tests.session_helpers import WaitUntil, session_at

CAPTURES = ("alltypes", "monitor-alltypes", "manyvars")
SEED = 20261121
N_MESSAGES = int(os.environ.get("BELA_FUZZ_MESSAGES", "100000"))
KEPT_BYTES = 500_000
EXTRA_PER_PAIR = 100
N_PAIRS = 200

CapturePath = Callable[[str], Path]


def mutate(messages: Sequence[bytes], random: np.random.Generator) -> bytes:
    """Change a message, or join it with another, in one of eight ways."""
    message = messages[random.integers(len(messages))]
    at, until = sorted(random.integers(0, len(message) + 1, 2).tolist())
    match random.integers(8):
        case 0:
            return message
        case 1:
            return message[:at]
        case 2:
            return message[:at] + message[until:]
        case 3:
            return message[:until] + message[at:]
        case 4:
            return message[:at] + random.bytes(until - at) + message[until:]
        case 5:
            other = messages[random.integers(len(messages))]
            return message[:at] + other[at:]
        case 6:
            return random.bytes(int(random.integers(0, 32)))
    flipped = bytearray(message or b"\0")
    for position in random.integers(0, len(flipped), 3).tolist():
        flipped[position] ^= 1 << int(random.integers(8))
    return bytes(flipped)


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


class FuzzedChannel:
    """The pure way of data, from messages to runs; trackers are told of each block."""

    def __init__(self, listed: VariableList) -> None:
        self.decoder = DataDecoder(listed.variables)
        self.trackers: dict[tuple[int, bool], Tracker] = {}
        self.newest: dict[tuple[int, bool], int] = {}

    def feed(self, message: bytes) -> None:
        block = self.decoder.receive(message)
        if not isinstance(block, Block) or block.tick >= 2**62:
            return  # later ticks cannot happen, and never reach a tracker
        key = (block.variable.index, block.monitor)
        if key not in self.trackers:
            self.trackers[key] = tracker_for(block.variable, monitor=block.monitor)
        for item in self.trackers[key].add(block):
            if isinstance(item, Run):
                assert item.ticks[0] >= self.newest.get(key, -1)
                assert np.all(np.diff(item.ticks) >= 0)
                self.newest[key] = int(item.ticks[-1])


@pytest.mark.parametrize("name", CAPTURES)
def test_mutated_data_never_raises_nor_runs_backwards(name: str, capture_path: CapturePath) -> None:
    path = capture_path(name)
    channel = FuzzedChannel(variables_of(path))
    count = N_MESSAGES // len(CAPTURES)
    for message in mutations(captured(path, "data"), count, SEED):
        channel.feed(message)
    counters = channel.decoder.counters
    assert counters.blocks > count // 100
    assert counters.bad_frames > count // 50
    assert counters.orphan_headers > 0


@pytest.mark.parametrize("name", CAPTURES)
def test_mutated_replies_raise_the_documented_error_alone(
    name: str, capture_path: CapturePath
) -> None:
    messages = captured(capture_path(name), "control")
    refused = 0
    for message in mutations(messages, N_MESSAGES // 20, SEED):
        try:
            parse_control_message(message)
        except FrameError:
            refused += 1
    assert refused > N_MESSAGES // 100


def test_no_memory_is_kept(capture_path: CapturePath) -> None:
    path = capture_path("alltypes")
    channel = FuzzedChannel(variables_of(path))
    messages = captured(path, "data")
    for message in mutations(messages, 2000, SEED):
        channel.feed(message)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for message in mutations(messages, 10_000, SEED + 1):
            channel.feed(message)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
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


def test_a_session_outlives_twenty_thousand_mutated_messages(
    wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    with make_board() as board, session_at(board.port, board={"reply_timeout_s": 2.0}) as one:
        one.start(*NAMES)
        board.inject(Mutations(n=N_PAIRS))
        board.inject(MutatedReply(p=0.3))
        wait_until(lambda: len(board.losses) >= N_PAIRS, "all of them", 60.0)
        board.end_faults()
        caplog.set_level(logging.ERROR)
        wait_until(lambda: one.session.status()["board"]["connected"], "a connection")
        one.stop()
        one.sink.kept.clear()
        since_tick = board.tick_now()
        one.start(*NAMES)
        wait_until(lambda: board.tick_now() > since_tick + 40_000, "some blocks")
        one.stop()
        for name in NAMES:
            assert check_values(board, one.sink, f"bela_{name}", worst_s=0.01)[name] > 10_000
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
