"""The simulated Watcher obeys the rules that were measured on the real one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.protocol.control_commands import (
    list_command,
    monitor_command,
    set_command,
    unwatch_command,
    watch_command,
)
from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import Assignments
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.simulated import (
    BELA_TEST,
    BURST,
    DOUBLE,
    MANY,
    active_watcher,
    advance,
    blocks_of,
    data_of,
    tell,
)


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
    watcher.skip(1600)
    (block,) = blocks_of(watcher, advance(watcher, 2100))
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
