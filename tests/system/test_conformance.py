"""One set of questions to everything that should behave as a board: is it one?

They are asked of recordings: of the simulated board and, when ``BELA_HOST`` (and ``BELA_PORT``)
are set, of a real one, both recorded here while a client watches, monitors and schedules; and of
captures of real boards, each where it can answer. A real board must run a project that assigns
every variable at least once in some seconds, and nobody else may use it meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.connection.capture_file import CapturedMessage, read_capture
from bela_module.protocol.block_encoder import encode_block, encode_header, encode_monitor
from bela_module.protocol.control_channel import (
    ConnectionEvent,
    VariableList,
    parse_control_message,
)
from bela_module.protocol.control_commands import monitor_command, watch_command
from bela_module.protocol.data_channel import Block, parse_header
from bela_module.protocol.data_decoder import DataDecoder, DecoderCounters
from bela_module.protocol.variables import PAYLOAD_BYTES, Variable
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.stream_plans import reachable
from tests.support.alltypes import formula

# Inside a test these are gone: no other test shall ever reach a board.
BELA_HOST = os.environ.get("BELA_HOST", "")
BELA_PORT = int(os.environ.get("BELA_PORT") or 5555)

PATIENCE_S = 15.0
SETTLE_S = 0.1
MAX_VARIABLES = 12
LONGEST_GAP_TICKS = 12_000  # between two values of a sparse variable, touch of the simulation
SCHEDULED_TICKS = 4096  # so that the inclusive end takes one more block of every type

SIMULATED = ["simulated alltypes", "simulated simulation"]
LIVE = [*SIMULATED, "board"]
STREAMED = [*LIVE, "alltypes", "manyvars", "bela-test", "potentiometers", "large-ticks"]
SCHEDULED = [*LIVE, "scheduled"]
MONITORED = [*LIVE, "monitor-alltypes", "manyvars", "monitor"]
WHOLE = [*STREAMED, "scheduled", "monitor-alltypes", "monitor", "two-clients-a", "two-clients-b"]
ALL = [*WHOLE, "overflow", "reconnect", "log", "control"]
KNOWN_VALUES = ["simulated alltypes", "alltypes", "monitor-alltypes"]


# ---- recordings --------------------------------------------------------------------------------


@dataclass
class Phase:
    """What was sent from one ``watch`` (or ``monitor``) to the next: blocks by variable."""

    asked: Mapping[str, tuple[int, ...]]
    blocks: dict[int, list[Block]] = field(default_factory=dict)


@dataclass
class Recording:
    """A session with a board, read as far as the questions need it."""

    messages: list[CapturedMessage]
    decoder: DataDecoder = field(default_factory=DataDecoder)
    events: list[ConnectionEvent] = field(default_factory=list)
    lists: list[VariableList] = field(default_factory=list)
    watches: list[Phase] = field(default_factory=lambda: [Phase({})])
    monitors: list[Phase] = field(default_factory=lambda: [Phase({})])
    pairs: list[tuple[bytes, bytes, Block]] = field(default_factory=list)

    def __post_init__(self) -> None:
        connection, header = None, b""
        for message in self.messages:
            if message.connection != connection:
                connection = message.connection
                self.decoder.restart()
            if message.channel == "control":
                (self._hear if message.from_board else self._ask)(message.message)
            elif message.from_board:
                assert isinstance(message.message, bytes)
                result = self.decoder.receive(message.message)
                if isinstance(result, Block):
                    self._take(header, message.message, result)
                header = message.message

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.lists[-1].variables

    def named(self, name: str) -> Variable:
        return next(variable for variable in self.variables if variable.name == name)

    def _hear(self, text: str | bytes) -> None:
        parsed = parse_control_message(text)
        if isinstance(parsed, ConnectionEvent):
            self.events.append(parsed)
        elif isinstance(parsed, VariableList):
            self.lists.append(parsed)
            self.decoder.describe(parsed.variables)

    def _ask(self, text: str | bytes) -> None:
        for command in json.loads(text).get("watcher", []):
            if command["cmd"] == "watch":
                self.watches.append(Phase(_arguments(command, "timestamps", "durations")))
            elif command["cmd"] == "monitor":
                self.monitors.append(Phase(_arguments(command, "periods")))

    def _take(self, header: bytes, payload: bytes, block: Block) -> None:
        self.pairs.append((header, payload, block))
        phases = self.monitors if block.monitor else self.watches
        phases[-1].blocks.setdefault(block.variable.index, []).append(block)


def _arguments(command: dict[str, Any], *keys: str) -> dict[str, tuple[int, ...]]:
    """Give a command's arguments by the variable's name; the board takes the first of a name."""
    columns = [command[key] for key in keys if key in command]
    rows = zip(command["watchers"], *columns, strict=True)
    arguments: dict[str, tuple[int, ...]] = {}
    for name, *values in rows:
        arguments.setdefault(name, tuple(values))
    return arguments


@dataclass
class Recorder:
    """Keeps what a client and a board say to each other."""

    messages: list[CapturedMessage] = field(default_factory=list)

    def begin_connection(self) -> None:
        """Take note of nothing: there is one connection."""

    def record(self, channel: str, direction: str, message: str | bytes) -> None:
        self.messages.append(CapturedMessage(0.0, channel, direction == "in", message))


async def converse(host: str, port: int) -> list[CapturedMessage]:
    """Watch, monitor and schedule up to a dozen variables; leave the board as it was."""
    recorder = Recorder()
    client = await BoardClient.connect(
        host,
        port,
        now=local_clock,
        reply_timeout_s=PATIENCE_S,
        on_data=lambda _message, _arrived_s: None,
        recorder=recorder,
    )
    try:
        await client.open_data()
        listed = (await client.list()).variable_list
        names = [variable.name for variable in reachable(listed.variables)][:MAX_VARIABLES]
        await client.send(watch_command(names))
        await asyncio.sleep(0.4)
        await client.unwatch(names, PATIENCE_S)
        await asyncio.sleep(SETTLE_S)
        period = round(listed.sample_rate_hz / 50)
        await client.send(monitor_command(names, [period] * len(names)))
        await asyncio.sleep(0.3)
        await client.send(monitor_command(names, [0] * len(names)))
        tick = (await client.list()).variable_list.tick
        start = tick + round(1.5 * listed.sample_rate_hz)
        count = len(names)
        await client.send(watch_command(names, [start] * count, [SCHEDULED_TICKS] * count))
        await client.confirm(
            lambda reply: (
                # A sparse variable's first value may come after the end, and is watched from then.
                reply.tick > start + max(SCHEDULED_TICKS, LONGEST_GAP_TICKS)
                and not any(variable.watched for variable in reply.variables)
            ),
            "end of the schedule",
            PATIENCE_S,
        )
        await asyncio.sleep(SETTLE_S)
        await client.list()
    finally:
        await client.close()
    return recorder.messages


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    """Return where recordings are kept: each is made once."""
    return {}


@pytest.fixture(scope="module")
def recording(request: pytest.FixtureRequest, recordings: dict[str, Recording]) -> Recording | None:
    """Return the recording that a test asks for; nothing when it is a capture.

    A fixture of the module comes before those of each test, which forbid connections elsewhere.
    """
    name: str = request.param
    if name == "board" and not BELA_HOST:
        pytest.skip("BELA_HOST names no board to ask")
    if name not in recordings and name in ("board", *SIMULATED):
        if name == "board":
            recordings[name] = Recording(asyncio.run(converse(BELA_HOST, BELA_PORT)))
        else:
            with SimulatedBoard(name.removeprefix("simulated ")) as board:
                recordings[name] = Recording(asyncio.run(converse(board.host, board.port)))
    return recordings.get(name)


@pytest.fixture
def asked(
    request: pytest.FixtureRequest,
    recording: Recording | None,
    recordings: dict[str, Recording],
    capture_path: Callable[[str], Path],
) -> Recording:
    """Return the recording of whom the question is asked."""
    if recording is not None:
        return recording
    name = request.node.callspec.params["recording"]
    recordings[name] = Recording(list(read_capture(capture_path(name))))
    return recordings[name]


def ask(whom: Iterable[Any]) -> pytest.MarkDecorator:
    """Ask one question of each of some recordings."""
    return pytest.mark.parametrize("recording", whom, indirect=True)


# ---- the questions -----------------------------------------------------------------------------


@ask(ALL)
def test_the_first_word_is_the_connection_event(asked: Recording) -> None:
    first = next(m for m in asked.messages if m.channel == "control" and m.from_board)
    assert isinstance(parse_control_message(first.message), ConnectionEvent)
    assert len({event.project for event in asked.events}) == 1
    assert asked.events[0].project


@ask(ALL)
def test_control_is_text_and_data_is_binary(asked: Recording) -> None:
    for message in asked.messages:
        if message.from_board:
            assert isinstance(message.message, str if message.channel == "control" else bytes)


@ask(ALL)
def test_the_reply_to_list_describes_the_same_variables_each_time(asked: Recording) -> None:
    described = [
        [(v.index, v.name, v.value_type, v.sparse) for v in listed.variables]
        for listed in asked.lists
    ]
    assert described[0]
    assert all(each == described[0] for each in described)
    assert len({listed.sample_rate_hz for listed in asked.lists}) == 1
    ticks = [listed.tick for listed in asked.lists]
    assert ticks == sorted(ticks)


@ask(WHOLE)
def test_every_header_has_its_payload(asked: Recording) -> None:
    n_messages = sum(m.channel == "data" and m.from_board for m in asked.messages)
    assert n_messages > 0
    assert asked.decoder.counters == DecoderCounters(blocks=n_messages // 2)


@ask([*WHOLE, "overflow", "reconnect"])
def test_headers_and_payloads_are_what_the_encoder_writes(asked: Recording) -> None:
    assert asked.pairs
    for header, payload, block in asked.pairs:
        assert header == encode_header(block.variable)
        assert parse_header(header) == (block.variable.index, block.variable.value_type)
        if block.monitor:
            assert payload == encode_monitor(block.variable, block.tick, block.values[0])
        else:
            assert len(payload) == PAYLOAD_BYTES
            written = encode_block(block.variable, block.tick, block.values, block.relative_ticks)
            assert payload == written


@ask(STREAMED)
def test_dense_blocks_follow_each_other_without_a_hole(asked: Recording) -> None:
    for variable, runs in _runs(asked, sparse=False).items():
        count = variable.layout.value_count
        firsts = [np.array([block.tick for block in blocks]) for blocks in runs]
        distances = np.concatenate([np.diff(ticks) for ticks in firsts])
        assert (distances == distances[:1]).all()
        assert (distances % count == 0).all()
        assert (distances > 0).all()


@ask([*LIVE, "alltypes", "bela-test", "large-ticks", "scheduled"])
def test_sparse_ticks_never_run_backwards(asked: Recording) -> None:
    runs = _runs(asked, sparse=True)
    assert runs or not any(variable.sparse for variable in asked.variables)
    for blocks in (blocks for each in runs.values() for blocks in each):
        ticks = np.concatenate([block.ticks for block in blocks])
        assert (np.diff(ticks) >= 0).all()
        assert all(block.full for block in blocks[:-1])


@ask(STREAMED)
def test_all_that_was_watched_came(asked: Recording) -> None:
    first = asked.watches[1]
    assert {asked.named(name).index for name in first.asked} == set(first.blocks)
    assert not asked.watches[0].blocks


@ask(STREAMED)
def test_in_the_end_nothing_is_watched_or_monitored(asked: Recording) -> None:
    assert not any(variable.watched for variable in asked.variables)
    assert not any(variable.monitor_period_ticks for variable in asked.variables)


@ask(SCHEDULED)
def test_a_schedule_has_its_inclusive_end_and_then_zeros(asked: Recording) -> None:
    phase = asked.watches[-1]
    steps = _steps(asked)
    assert phase.asked
    for name, (start, duration) in phase.asked.items():
        variable = asked.named(name)
        blocks = phase.blocks[variable.index]
        if variable.sparse:
            ticks = np.concatenate([block.ticks for block in blocks])
            assert ticks[0] >= start
            # When none is assigned within, the next value begins the stream, one more ends it.
            assert (ticks[1:-1] < start + duration).all()
            assert ticks[-1] >= start + duration
            continue
        step, count = steps[variable.index], variable.layout.value_count
        assert start <= blocks[0].tick < start + step
        # The last value is the first one assigned at or after start + duration.
        n_values = -(-(start + duration - blocks[0].tick) // step) + 1
        assert len(blocks) == -(-n_values // count)
        padding = blocks[-1].values[n_values - (len(blocks) - 1) * count :]
        assert not padding.tobytes().strip(b"\0")


@ask(MONITORED)
def test_monitors_keep_their_period(asked: Recording) -> None:
    assert any(phase.blocks for phase in asked.monitors)
    for phase in asked.monitors:
        for name, (period,) in phase.asked.items():
            blocks = phase.blocks.get(asked.named(name).index, [])
            # The first may be under way since an earlier command, the second comes at once.
            ticks = np.array([block.tick for block in blocks])
            assert (np.diff(ticks) > 0).all()
            assert (np.diff(ticks[1:]) >= period).all()
            assert period != 1 or ticks.size <= 2


@ask(MONITORED)
def test_every_monitored_variable_answers_at_once(asked: Recording) -> None:
    phase = next(phase for phase in asked.monitors if phase.blocks)
    running = {asked.named(name).index for name, (period,) in phase.asked.items() if period}
    assert set(phase.blocks) == running


@ask(KNOWN_VALUES)
def test_every_value_is_the_formula_of_its_tick(asked: Recording) -> None:
    phases = [*asked.watches, *asked.monitors]
    steps = _steps(asked)
    seen: set[str] = set()
    for index, blocks in ((i, b) for phase in phases for i, b in phase.blocks.items()):
        name = asked.variables[index].name
        for block in blocks:
            if block.monitor or block.relative_ticks is not None:
                ticks = block.ticks
            elif block is blocks[-1]:
                continue  # it is padded, and does not say from where on
            else:
                ticks = block.tick + steps[index] * np.arange(block.values.size)
            seen.add(name)
            np.testing.assert_array_equal(block.values, formula(name, ticks))
    assert seen == {kind + code for kind in "ds" for code in "cjifd"}


def _runs(asked: Recording, *, sparse: bool) -> dict[Variable, list[list[Block]]]:
    """Give the blocks of each variable of one kind, run by run."""
    return {
        variable: runs
        for variable in asked.variables
        if variable.sparse is sparse
        and (
            runs := [p.blocks[variable.index] for p in asked.watches if variable.index in p.blocks]
        )
    }


def _steps(asked: Recording) -> dict[int, int]:
    """Give the ticks between two values of each dense variable that had two blocks in a row."""
    return {
        variable.index: (blocks[1].tick - blocks[0].tick) // variable.layout.value_count
        for variable, runs in _runs(asked, sparse=False).items()
        for blocks in runs
        if len(blocks) > 1
    }
