"""The simulated Watcher sends what a real one sent, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bela_module.connection.capture_file import CapturedMessage, read_capture
from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.control_commands import unwatch_command, watch_command
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.watcher.simulated_watcher import ControlReply
from tests.support.simulated import ALL_TYPES, BELA_TEST, BURST, MANY, active_watcher, advance, tell

# Capture, sketch, and the first tick at which each of its commands had its effect: the ticks at
# which streams start, end, or change in the recorded data.
RECORDED = [
    pytest.param("alltypes", ALL_TYPES, (26320, 70464), id="alltypes"),
    pytest.param("monitor-alltypes", ALL_TYPES, (26304, 48368), id="monitor-alltypes"),
    pytest.param("manyvars", MANY, (27184, 44848, 53696), id="manyvars"),
    pytest.param("bela-test", BELA_TEST, (27088, 93264), id="bela-test"),
    pytest.param("scheduled", BELA_TEST, (26352,), id="scheduled"),
    pytest.param("monitor", BELA_TEST, (26368, 70480, 79392), id="monitor"),
    pytest.param("large-ticks", BELA_TEST, (4295117104, 4295148016), id="large-ticks"),
]

# Replies that the board wrote while an audio block was being rendered: some of their values are
# one block older than their tick, so only the rest can be compared.
TORN_REPLIES = {("manyvars", 27119), ("scheduled", 97039)}


def commands_of(messages: Sequence[CapturedMessage]) -> Iterator[CapturedMessage]:
    """Give the captured messages to the board that change something."""
    for message in messages:
        if message.channel == "control" and not message.from_board:
            root = json.loads(message.message)
            if any(command["cmd"] != "list" for command in root.get("watcher", ())):
                yield message


def without_values(text: str) -> str:
    return re.sub(r'"(value|valueInput)":[^,]*', r'"\1":?', text)


@pytest.mark.parametrize(("name", "variables", "effect_ticks"), RECORDED)
def test_bytes_equal_the_recorded_ones(
    name: str,
    variables: Sequence[SketchVariable],
    effect_ticks: Sequence[int],
    capture_path: Callable[[str], Path],
) -> None:
    messages = list(read_capture(capture_path(name)))
    commands = list(commands_of(messages))
    effects = dict(zip(map(id, commands), effect_ticks, strict=True))
    recorded = [m.message for m in messages if m.channel == "data"]
    first = next(m for m in messages if '"watchers"' in str(m.message) and m.from_board)
    listed = parse_control_message(first.message)
    assert isinstance(listed, VariableList)
    watcher = active_watcher(variables, listed.tick - BURST)
    sent: list[bytes] = []
    n_lists = 0
    for message in messages:
        if message.channel == "data":
            continue
        if id(message) in effects:
            sent += advance(watcher, effects[id(message)] - 1)
            assert watcher.command(str(message.message)) == []
        elif message.from_board and '"watchers"' in str(message.message):
            reply = parse_control_message(message.message)
            assert isinstance(reply, VariableList)
            sent += advance(watcher, reply.tick)
            expected, simulated = str(message.message), watcher.list_reply()
            if (name, reply.tick) in TORN_REPLIES:
                expected, simulated = without_values(expected), without_values(simulated)
            assert simulated == expected
            n_lists += 1
    sent += advance(watcher, watcher.tick + 10 * BURST)
    assert n_lists >= 2
    assert sent == recorded


def test_a_reconnect_splices_the_first_block_as_recorded(
    capture_path: Callable[[str], Path],
) -> None:
    recorded = [m.message for m in read_capture(capture_path("reconnect")) if m.channel == "data"]
    watcher = active_watcher(BELA_TEST, 26335)
    tell(watcher, watch_command(["myvar", "myvar3"]))
    sent = advance(watcher, 35183)
    watcher.set_client_active(False)
    assert advance(watcher, 79439) == []
    watcher.set_client_active(True)
    sent += advance(watcher, 92703)
    tell(watcher, unwatch_command(["myvar", "myvar3"]))
    sent += advance(watcher, 101567)
    assert sent == recorded


@pytest.mark.parametrize("name", ["two-clients-a", "two-clients-b"])
def test_a_second_watch_restarts_the_block_as_recorded(
    name: str, capture_path: Callable[[str], Path]
) -> None:
    recorded = [m.message for m in read_capture(capture_path(name)) if m.channel == "data"]
    watcher = active_watcher(BELA_TEST, 35311)
    tell(watcher, watch_command(["myvar"]))
    sent = advance(watcher, 44175)
    tell(watcher, watch_command(["myvar", "myvar3"]))
    sent += advance(watcher, 53039)
    tell(watcher, unwatch_command(["myvar", "myvar3"]))
    sent += advance(watcher, 60000)
    assert sent == recorded
    account = watcher.find("myvar").account
    assert account.discarded == 44176 - 35312 - 17 * 512
    assert account.written == 53041 - 35312
    assert account.sent == account.written - account.discarded


def test_lost_messages_apart_the_overflow_capture_is_what_was_written(
    capture_path: Callable[[str], Path],
) -> None:
    decoder = DataDecoder()
    watcher = active_watcher(ALL_TYPES, 27087)
    decoder.describe(watcher.describe())
    tell(watcher, watch_command([v.name for v in ALL_TYPES]))
    written = {
        (int(header.split(b"/")[0]), payload)
        for header, payload in zip(*[iter(advance(watcher, 71000))] * 2, strict=True)
    }
    found = 0
    for message in read_capture(capture_path("overflow")):
        if message.channel != "data":
            continue
        block = decoder.receive(message.message)
        if isinstance(block, Block) and block.tick < 65000:
            assert (block.variable.index, message.message) in written
            found += 1
    assert found > 100


def test_log_replies_later_and_shows_in_the_list(capture_path: Callable[[str], Path]) -> None:
    recorded = [
        str(m.message)
        for m in read_capture(capture_path("log"))
        if m.from_board and "logFileName" in str(m.message)
    ]
    lists = [text for text in recorded if '"watchers"' in text]
    replies = [text for text in recorded if '"watchers"' not in text]
    watcher = active_watcher(BELA_TEST, 26335)
    assert watcher.list_reply() == lists[0]
    watcher.advance(26751)
    names = ["myvar", "myvar2", "myvar3", "myvar4"]
    tell(watcher, {"cmd": "log", "watchers": names})
    sent = watcher.advance(26767)
    assert sent == []
    sent = watcher.advance(39695)
    assert sent == [ControlReply(text) for text in replies[:4]]
    assert watcher.list_reply() == lists[1]
    watcher.advance(50000)
    tell(watcher, {"cmd": "unlog", "watchers": names})
    watcher.advance(66223)
    assert watcher.list_reply() == lists[2]
    tell(
        watcher, {"cmd": "log", "watchers": ["myvar"], "timestamps": [75043], "durations": [13230]}
    )
    assert watcher.advance(101759) == [ControlReply(replies[4])]
    assert watcher.list_reply() == lists[3]


def test_control_and_set_show_as_recorded(capture_path: Callable[[str], Path]) -> None:
    watcher = active_watcher(BELA_TEST, 0)
    waiting: list[str] = []
    n_lists = 0
    for message in read_capture(capture_path("control")):
        text = str(message.message)
        if not message.from_board:
            waiting.append(text)
        elif '"watchers"' in text:
            reply = parse_control_message(text)
            assert isinstance(reply, VariableList)
            watcher.advance(reply.tick)
            replies = [reply for command in waiting for reply in watcher.command(command)]
            assert replies == [text]
            waiting.clear()
            n_lists += 1
    assert n_lists == 6
