"""The simulated Watcher sends what a real one sent, byte for byte, and obeys the same rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.capture import CapturedMessage, read_capture
from bela_module.control import (
    Json,
    VariableList,
    encode_commands,
    list_command,
    monitor_command,
    parse_control_message,
    set_command,
    unwatch_command,
    watch_command,
)
from bela_module.protocol import Block, DataDecoder, ValueType
from bela_module.simulated_watcher import Pair, Reply, SimulatedWatcher
from bela_module.sketches import SKETCHES, Assignments, SketchVariable, ramp

DOUBLE, UNSIGNED = ValueType.DOUBLE, ValueType.UNSIGNED_INT
EVERY_12 = Assignments(step_ticks=12)

ALL_TYPES = SKETCHES["alltypes"].variables
BELA_TEST = (
    SketchVariable("myvar", DOUBLE, ramp),
    SketchVariable("myvar2", UNSIGNED, ramp),
    SketchVariable("myvar3", UNSIGNED, ramp, sparse=True, assignments=EVERY_12),
    SketchVariable("myvar4", DOUBLE, ramp, sparse=True, assignments=EVERY_12),
    SketchVariable("myvar5", DOUBLE, ramp),
)
MANY = (
    *SKETCHES["many"].variables[:120],
    SketchVariable('a/b "q" \\ é', DOUBLE, ramp),
    SketchVariable("", DOUBLE, ramp),
    SketchVariable("dup", DOUBLE, ramp),
    SketchVariable("dup", DOUBLE, lambda ticks, _times_s: -ticks),
)
BURST = 16

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


def active_watcher(variables: Sequence[SketchVariable], last_tick: int = -1) -> SimulatedWatcher:
    watcher = SimulatedWatcher(variables, last_tick=last_tick)
    watcher.set_client_active(True)
    return watcher


def advance(watcher: SimulatedWatcher, to_tick: int) -> list[bytes]:
    """Run a watcher burst by burst, and give what it sent on the data channel."""
    ends = [*range(watcher.tick + BURST, to_tick, BURST), to_tick]
    sent = [message for end in ends for message in watcher.advance(end)]
    return data_of(sent)


def data_of(sent: Sequence[Pair | Reply]) -> list[bytes]:
    pairs = [message for message in sent if isinstance(message, Pair)]
    return [part for pair in pairs for part in (pair.header, pair.payload.data)]


def tell(watcher: SimulatedWatcher, *commands: Json) -> list[str]:
    return [reply for text in encode_commands(commands) for reply in watcher.command(text)]


def blocks_of(watcher: SimulatedWatcher, data: Sequence[bytes]) -> list[Block]:
    decoder = DataDecoder(watcher.describe())
    received = [decoder.receive(message) for message in data]
    return [block for block in received if isinstance(block, Block)]


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
    assert sent == [Reply(text) for text in replies[:4]]
    assert watcher.list_reply() == lists[1]
    watcher.advance(50000)
    tell(watcher, {"cmd": "unlog", "watchers": names})
    watcher.advance(66223)
    assert watcher.list_reply() == lists[2]
    tell(
        watcher, {"cmd": "log", "watchers": ["myvar"], "timestamps": [75043], "durations": [13230]}
    )
    assert watcher.advance(101759) == [Reply(replies[4])]
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


@given(
    duration=st.integers(1, 5000),
    start=st.integers(100, 5000),
    kind=st.sampled_from(list(ValueType)),
)
def test_a_scheduled_stream_has_one_tick_more_than_its_duration(
    duration: int, start: int, kind: ValueType
) -> None:
    watcher = active_watcher([SketchVariable("v", kind, lambda ticks, _s: ticks * 0 + 7)])
    tell(watcher, watch_command(["v"], [start], [duration]))
    blocks = blocks_of(watcher, advance(watcher, 12_000))
    assert blocks[0].tick == start
    assert sum(int(np.count_nonzero(block.values)) for block in blocks) == duration + 1
    assert [(run.first_tick, run.last_tick) for run in watcher.find("v").written] == [
        (start, start + duration)
    ]
    assert not watcher.describe()[0].watched


def test_a_sparse_stream_ends_with_the_first_assignment_at_or_after_its_end() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, watch_command(["myvar3"], [1200], [100]))
    (block,) = blocks_of(watcher, advance(watcher, 5000))
    np.testing.assert_array_equal(block.ticks, np.arange(1200, 1309, 12))
    assert not block.full


def test_a_start_in_the_past_is_now_and_its_duration_counts_from_there() -> None:
    watcher = active_watcher(BELA_TEST, 9999)
    tell(watcher, watch_command(["myvar"], [5], [20]))
    (block,) = blocks_of(watcher, advance(watcher, 12_000))
    assert (block.tick, np.count_nonzero(block.values)) == (10_000, 21)


def test_unwatch_before_a_scheduled_start_cancels_it_with_one_value() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, watch_command(["myvar"], [5000]))
    assert advance(watcher, 159) == []
    assert not watcher.describe()[0].watched
    tell(watcher, unwatch_command(["myvar"]))
    (block,) = blocks_of(watcher, advance(watcher, 6000))
    assert (block.tick, np.count_nonzero(block.values)) == (160, 1)


def test_unwatch_with_a_tick_ends_the_stream_with_that_tick() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, watch_command(["myvar"]))
    sent = advance(watcher, 1000)
    tell(watcher, unwatch_command(["myvar"], [1100]))
    blocks = blocks_of(watcher, sent + advance(watcher, 3000))
    assert blocks[-1].values[1100 - blocks[-1].tick] == 1100
    assert not blocks[-1].values[1101 - blocks[-1].tick :].any()


def test_watched_turns_true_and_false_only_at_an_assignment() -> None:
    rare = SketchVariable("rare", DOUBLE, ramp, sparse=True, assignments=Assignments(1000))
    watcher = active_watcher([rare], 0)
    tell(watcher, watch_command(["rare"]))
    watcher.advance(999)
    assert not watcher.describe()[0].watched
    watcher.advance(1000)
    assert watcher.describe()[0].watched
    tell(watcher, unwatch_command(["rare"]))
    watcher.advance(1999)
    assert watcher.describe()[0].watched
    watcher.advance(2000)
    assert not watcher.describe()[0].watched


def test_unlog_puts_a_padded_block_into_a_watched_stream() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, watch_command(["myvar"]))
    sent = advance(watcher, 99)
    tell(watcher, {"cmd": "log", "watchers": ["myvar"]})
    sent += advance(watcher, 299)
    tell(watcher, {"cmd": "unlog", "watchers": ["myvar"]})
    blocks = blocks_of(watcher, sent + advance(watcher, 1000))
    assert [block.tick for block in blocks] == [100, 301]
    assert np.count_nonzero(blocks[0].values) == 201
    assert watcher.find("myvar").account.discarded == 100


def test_stopped_while_no_client_is_active_it_goes_on_in_the_next_session() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, watch_command(["myvar"]))
    advance(watcher, 99)
    watcher.set_client_active(False)
    tell(watcher, unwatch_command(["myvar"]))
    advance(watcher, 4999)
    assert watcher.describe()[0].watched
    watcher.set_client_active(True)
    (block,) = blocks_of(watcher, advance(watcher, 9000))
    assert (block.tick, block.values[99], block.values[100]) == (0, 99, 5000)
    assert not watcher.describe()[0].watched


def test_a_monitor_of_period_one_sends_once() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, monitor_command(["myvar"], [1]))
    assert watcher.describe()[0].monitor_period_ticks == 1
    (block,) = blocks_of(watcher, advance(watcher, 1000))
    assert (block.tick, block.monitor) == (0, True)
    assert watcher.describe()[0].monitor_period_ticks == 0


def test_watch_and_monitor_of_one_variable_do_not_disturb_each_other() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, watch_command(["myvar"]), monitor_command(["myvar"], [100]))
    blocks = blocks_of(watcher, advance(watcher, 5119))
    assert [b.tick for b in blocks if b.monitor] == list(range(0, 5120, 100))
    watched = np.concatenate([b.values for b in blocks if not b.monitor])
    np.testing.assert_array_equal(watched, np.arange(5120))


def test_a_watched_variable_streams_the_sketchs_own_value_while_controlled() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, {"cmd": "control", "watchers": ["myvar"]}, set_command(["myvar"], [4.5]))
    tell(watcher, watch_command(["myvar"]))
    (block,) = blocks_of(watcher, advance(watcher, 600))
    np.testing.assert_array_equal(block.values, np.arange(512))
    variable = watcher.describe()[0]
    assert (variable.value, variable.value_input) == (4.5, 600)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (ValueType.CHAR, 300, 44),
        (ValueType.CHAR, -1, 255),
        (ValueType.INT, -3.9, -3),
        (ValueType.UNSIGNED_INT, -3, 4294967293),
        (ValueType.FLOAT, 0.1, float(np.float32(0.1))),
    ],
)
def test_set_converts_as_the_board_does(kind: ValueType, value: float, expected: float) -> None:
    watcher = active_watcher([SketchVariable("v", kind, ramp)])
    tell(watcher, {"cmd": "control", "watchers": ["v"]}, set_command(["v"], [value]))
    assert watcher.describe()[0].value == expected


WATCH = '{"watcher":[{"cmd":"watch","watchers":["myvar"]}]}'
BAD_INPUT = {
    "trailing garbage": (WATCH + "x", False),
    "truncated": (WATCH[:-1], False),
    "raw UTF-8": (WATCH.replace('"myvar"', '"myvar","é"'), False),
    "NaN": (WATCH.replace('"cmd"', '"x":NaN,"cmd"'), False),
    "wrong root": ("[" + WATCH + "]", False),
    "a number as root": ("5", False),
    "deeply nested": ("[" * 7000, False),
    "too long": (WATCH + " " * 16_000, False),
    "unknown command": (WATCH.replace("watch", "wtach", 1), False),
    "commands that are no array": ('{"watcher":{"cmd":"watch","watchers":["myvar"]}}', False),
    "a name that is a number": (WATCH.replace('"myvar"', "5"), False),
    "white space around": (f"\n {WATCH}\t", True),
    "an unknown command before": (WATCH.replace("[{", '[{"cmd":"nothing"},{', 1), True),
    "a missing command before": (WATCH.replace("[{", '[{},5,null,{"cmd":7},{', 1), True),
    "an unknown variable before": (WATCH.replace('["myvar"', '["nothing","myvar"'), True),
    "periods": (WATCH.replace('"cmd"', '"periods":[0],"cmd"'), True),
    "an escaped name besides": (WATCH.replace('"myvar"', '"myvar","\\u00e9"'), True),
}


@pytest.mark.parametrize(("text", "obeyed"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_ignored_in_silence(text: str, obeyed: bool) -> None:
    watcher = active_watcher(BELA_TEST)
    assert watcher.command(text) == []
    watcher.advance(15)
    assert watcher.describe()[0].watched is obeyed


def test_set_with_unequal_lengths_skips_the_rest_of_the_message() -> None:
    watcher = active_watcher(BELA_TEST)
    unequal = {"cmd": "set", "watchers": ["myvar"], "values": []}
    before, after = watch_command(["myvar2"]), watch_command(["myvar"])
    assert tell(watcher, before, unequal, after, list_command()) == []
    watcher.advance(15)
    assert [v.watched for v in watcher.describe()[:2]] == [False, True]


def test_monitor_with_too_few_periods_takes_the_first_ones() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, {"cmd": "monitor", "watchers": ["myvar", "myvar2"], "periods": [50]})
    assert [v.monitor_period_ticks for v in watcher.describe()[:2]] == [50, 0]


def test_commands_reach_the_first_of_a_repeated_name() -> None:
    watcher = active_watcher(MANY)
    tell(watcher, watch_command(["dup"]))
    watcher.advance(15)
    assert [v.index for v in watcher.describe() if v.watched] == [122]


def test_ticks_that_are_left_out_are_a_hole_in_the_block() -> None:
    watcher = active_watcher(BELA_TEST)
    tell(watcher, watch_command(["myvar"]))
    watcher.advance(99)
    (block,) = blocks_of(watcher, data_of(watcher.skip(1600)) + advance(watcher, 2100))
    assert (block.tick, block.values[99], block.values[100]) == (0, 99, 1600)
    assert [run.n_values for run in watcher.find("myvar").written] == [100, 501]


commands = st.one_of(
    st.builds(
        lambda names, start, span: watch_command(names, [start] * len(names), [span] * len(names)),
        st.lists(st.sampled_from([v.name for v in BELA_TEST]), min_size=1),
        st.integers(0, 6000),
        st.integers(0, 3000),
    ),
    st.builds(
        lambda names, tick: unwatch_command(names, [tick] * len(names)),
        st.lists(st.sampled_from([v.name for v in BELA_TEST]), min_size=1),
        st.integers(0, 6000),
    ),
    st.builds(
        lambda name, period: monitor_command([name], [period]),
        st.sampled_from([v.name for v in BELA_TEST]),
        st.sampled_from([0, 1, 7, 500]),
    ),
    st.builds(
        lambda cmd, name: {"cmd": cmd, "watchers": [name]},
        st.sampled_from(["log", "unlog", "control", "uncontrol"]),
        st.sampled_from([v.name for v in BELA_TEST]),
    ),
    st.booleans(),
)


@given(st.lists(st.tuples(st.integers(1, 60), commands), max_size=12))
def test_it_makes_no_difference_how_often_time_is_advanced(
    steps: list[tuple[int, Any]],
) -> None:
    often, rarely = active_watcher(BELA_TEST), active_watcher(BELA_TEST)
    sent: list[list[bytes]] = [[], []]
    for n_bursts, command in [*steps, (100, False)]:
        to_tick = often.tick + n_bursts * BURST
        sent[0] += advance(often, to_tick)
        sent[1] += data_of(rarely.advance(to_tick))
        for watcher in (often, rarely):
            if isinstance(command, bool):
                watcher.set_client_active(command)
            else:
                tell(watcher, command)
        assert often.list_reply() == rarely.list_reply()
    assert sent[0] == sent[1]
    for variable in BELA_TEST:
        account = often.find(variable.name).account
        assert account == rarely.find(variable.name).account
        assert sum(r.n_values for r in often.find(variable.name).written) == account.written
