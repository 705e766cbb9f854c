"""Unusual sketches do on the wire what their one line in the list says."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.control_commands import monitor_command, unwatch_command, watch_command
from bela_module.protocol.data_channel import Block
from bela_module.simulator.sketches.built_in import find_sketch
from bela_module.simulator.sketches.unusual import ODD_NAMES
from bela_module.simulator.watcher.simulated_watcher import SimulatedWatcher
from tests.support.simulated import BELA_TEST, active_watcher, advance, blocks_of, tell


def start(sketch: str, *names: str, last_tick: int = 1599) -> SimulatedWatcher:
    """Watch some variables of a sketch from the tick after the last one."""
    watcher = active_watcher(find_sketch(sketch).variables, last_tick)
    tell(watcher, watch_command(names))
    return watcher


def watch(sketch: str, name: str, to_tick: int, last_tick: int = 1599) -> list[Block]:
    watcher = start(sketch, name, last_tick=last_tick)
    return blocks_of(watcher, advance(watcher, to_tick))


def monitored(sketch: str, name: str, to_tick: int) -> list[Block]:
    """Ask for single values with period 2."""
    watcher = active_watcher(find_sketch(sketch).variables, 1599)
    tell(watcher, monitor_command([name], [2]))
    return blocks_of(watcher, advance(watcher, to_tick))


def test_a_slow_dense_block_carries_the_tick_of_its_first_value_alone() -> None:
    first, second = watch("slow-dense", "slow", 1024 * 16_000 + 1599)
    np.testing.assert_array_equal(first.values, np.arange(1, 513) * 16_000)
    assert (first.tick, second.tick) == (16_000, 513 * 16_000)
    assert first.relative_ticks is None


@pytest.mark.parametrize(("sketch", "name"), [("slow-dense", "slow"), ("auxiliary", "auxiliary")])
def test_a_monitor_of_period_2_gives_every_value_with_its_own_tick(sketch: str, name: str) -> None:
    blocks = monitored(sketch, name, 200_000)
    pattern = find_sketch(sketch).variables[0].assignments
    begin, end = pattern.first_at_or_after(1600), pattern.first_at_or_after(200_001)
    expected = pattern.ticks(np.arange(begin, end))
    assert len(expected) >= 12
    assert [block.tick for block in blocks] == expected.tolist()
    assert [float(block.values[0]) for block in blocks] == expected.tolist()


def test_a_gated_block_holds_values_of_two_rows_and_does_not_say_so() -> None:
    first, second = watch("gated", "gated", 90_000, last_tick=-1)[:2]
    np.testing.assert_array_equal(first.values, np.arange(512))
    expected = [*range(512, 1000), *range(88_200, 88_224)]
    np.testing.assert_array_equal(second.values, expected)
    assert (second.tick, second.relative_ticks) == (512, None)


def test_counts_of_assignments_follow_each_other() -> None:
    for sketch, name in (("gated", "gated_count"), ("auxiliary", "auxiliary_count")):
        counts = np.concatenate([b.values for b in watch(sketch, name, 600_000)])
        assert counts.size >= 1024
        np.testing.assert_array_equal(np.diff(counts), 1)


def test_two_assignments_per_tick_fill_a_block_in_half_the_ticks() -> None:
    blocks = watch("twice", "twice", 1600 + 1023)
    assert [block.tick for block in blocks] == [1600, 1856, 2112, 2368]
    values = np.concatenate([block.values for block in blocks])
    np.testing.assert_array_equal(values, np.arange(3200, 3200 + 4 * 512))
    (sparse,) = watch("twice", "twice_sparse", 1600 + 12 * 171)
    assert sparse.relative_ticks is not None
    assert sparse.relative_ticks.tolist()[:5] == [0, 0, 12, 12, 24]
    np.testing.assert_array_equal(np.diff(sparse.values), 1)


def test_single_values_of_what_is_assigned_twice_per_tick_are_the_first_ones() -> None:
    blocks = monitored("twice", "twice", 1604)
    assert [(block.tick, float(block.values[0])) for block in blocks] == [
        (1600, 3200),
        (1602, 3204),
        (1604, 3208),
    ]


def test_one_tick_per_audio_block_is_that_of_its_first_frame() -> None:
    sketch = find_sketch("per-block")
    watcher = SimulatedWatcher(
        sketch.variables, last_tick=1599, tick_call_step=sketch.tick_call_step
    )
    watcher.set_client_active(True)
    tell(watcher, watch_command(["frame"]))
    blocks = blocks_of(watcher, advance(watcher, 1600 + 1023))
    assert [block.tick for block in blocks] == [1600, 2112]
    np.testing.assert_array_equal(blocks[1].values, np.arange(2112, 2624))
    reply = parse_control_message(watcher.list_reply())
    assert isinstance(reply, VariableList)
    assert reply.tick == 2608
    assert [v.value_input for v in reply.variables] == [2623, 2608]


def test_commands_reach_the_first_of_two_variables_of_one_name() -> None:
    watcher = start("duplicates", "twin")
    blocks = blocks_of(watcher, advance(watcher, 3000))
    assert {block.variable.index for block in blocks} == {0}
    assert [v.watched for v in watcher.describe()] == [True, False, False]
    assert [v.value_input for v in watcher.describe()] == [3000, -3000, 3000]


def test_a_variable_that_is_never_assigned_takes_control_and_streams_nothing() -> None:
    watcher = start("gain", "gain")
    tell(watcher, monitor_command(["gain"], [2]))
    assert advance(watcher, 100_000) == []
    tell(watcher, {"cmd": "control", "watchers": ["gain"]})
    tell(watcher, {"cmd": "set", "watchers": ["gain"], "values": [0.25]})
    gain = watcher.describe()[0]
    assert (gain.value, gain.value_input, gain.controlled, gain.watched) == (0.25, 0, True, False)
    tell(watcher, unwatch_command(["gain"]))
    assert advance(watcher, 200_000) == []


def test_odd_names_are_listed_and_understood() -> None:
    watcher = start("odd-names", *ODD_NAMES[:-1])
    tell(watcher, watch_command(ODD_NAMES[-1:]))
    sent = blocks_of(watcher, advance(watcher, 1600 + 511))
    assert [block.variable.name for block in sent] == list(ODD_NAMES)
    reply = parse_control_message(watcher.list_reply())
    assert isinstance(reply, VariableList)
    assert tuple(v.name for v in reply.variables) == ODD_NAMES
    assert max(map(len, ODD_NAMES)) == 10_000


def test_a_sketch_without_variables_ticks() -> None:
    watcher = start("empty", "anything")
    assert advance(watcher, 50_000) == []
    reply = parse_control_message(watcher.list_reply())
    assert reply == VariableList(44100.0, 50_000, 1, ())


def test_bela_test_is_the_recorded_one() -> None:
    assert find_sketch("bela-test").variables == BELA_TEST
