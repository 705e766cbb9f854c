"""Single values over real sockets: all of them, own ticks, in order, none twice, all counted."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

import numpy as np
import pytest

from bela_module.protocol.control_commands import monitor_command, watch_command
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.assignments import Assignments, UnevenAssignments
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.streams.lsl_clock import local_clock
from tests.support.raw_client import RawClient, raw_client
from tests.support.session_helpers import (
    RATE_HZ,
    Running,
    WaitUntil,
    assert_received,
    board_of,
    flow,
    listening,
    lose,
    published_on,
    session_at,
    session_on,
    variable,
)

TOUCH = SketchVariable("touch", ValueType.DOUBLE, ramp, True, Assignments(2000, 0, True))
SLOW = variable("slow", step=8000)
STEADY = variable("steady", step=441)
AUXILIARY = SketchVariable("auxiliary", ValueType.DOUBLE, ramp, False, UnevenAssignments(529, 310))
BUSY = variable("busy", step=9, sparse=True)
FAST = variable("fast")
ALL = (TOUCH, SLOW, STEADY, AUXILIARY, BUSY, FAST)


def assigned_by(one: SketchVariable, first: int, last: int) -> list[int]:
    """Give the ticks at which a sketch assigned a variable in a span."""
    pattern = one.assignments
    numbers = np.arange(pattern.first_at_or_after(first), pattern.first_at_or_after(last + 1))
    return [int(tick) for tick in pattern.ticks(numbers)]


def check(one: Running, variable: SketchVariable, *, lost: int | None = 0) -> None:
    """Check: ticks are those of assignments, without a hole, in order, none twice."""
    name = f"bela_{variable.name}"
    kept = one.sink[name]
    ticks = [int(tick) for tick in kept.ticks]
    np.testing.assert_array_equal(kept.values, kept.ticks)  # the value is its own tick
    assert np.all(np.diff(kept.stamps_s) > 0)
    if lost is not None:
        assert ticks == assigned_by(variable, ticks[0], ticks[-1])
        assert one.streams[name]["lost"] == lost


def connected(port: int) -> AbstractContextManager[RawClient]:
    return raw_client(f"ws://127.0.0.1:{port}")


def blocks_there(other: RawClient) -> list[Block]:
    """Give the blocks that another client was sent so far."""
    blocks: list[Block] = []
    while True:
        try:
            block = other.decoder.receive(other.data.recv(timeout=0.2))
        except TimeoutError:
            return blocks
        if isinstance(block, Block):
            blocks.append(block)


def deliveries(one: Running) -> dict[str, str]:
    return {name: stream["delivery"] for name, stream in one.streams.items()}


def notices(one: Running) -> str:
    return " / ".join(one.session.status()["notices"])


@pytest.fixture
def board() -> SimulatedBoard:
    return board_of(*ALL)


def test_every_kind_of_variable(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    with board, session_on(board) as one:
        one.start()
        wait_until(lambda: one.samples("bela_slow") >= 8, "slow values")
        wait_until(lambda: deliveries(one)["bela_busy"] == "block", "too fast")
        assert deliveries(one) == {
            "bela_touch": "single",
            "bela_slow": "single",
            "bela_steady": "single",
            "bela_auxiliary": "single",
            "bela_busy": "block",
            "bela_fast": "block",
        }
        assert one.session.status()["problems"] == []
        one.stop()
        for each in ALL:
            check(one, each)
        assert one.sink.facts["bela_steady"].nominal_rate_hz == pytest.approx(100.0)
        assert one.sink.facts["bela_slow"].nominal_rate_hz == 0.0
        assert "slow: assigned every 0.18 s; its values come one by one" in notices(one)
        assert one.session.status()["shortfalls"] == []
        for each in (TOUCH, STEADY):  # without a hole at the beginning and at the end, too
            written = board.written(each.name)
            assert sum(run.n_values for run in written) == one.samples(f"bela_{each.name}")


def test_a_disconnect(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    with board, session_on(board) as one:
        one.start("touch", "steady", "slow", "fast")
        wait_until(lambda: one.samples("bela_slow") >= 3, "slow values")
        lose(board, one, wait_until)
        time.sleep(0.3)
        board.refuse_connections(False)
        wait_until(lambda: one.state == "streaming", "streaming again")
        there = one.samples("bela_slow")
        wait_until(lambda: one.samples("bela_slow") >= there + 3, "slow values")
        assert deliveries(one)["bela_touch"] == deliveries(one)["bela_slow"] == "single"
        one.stop()
        for each in (TOUCH, STEADY, SLOW, FAST):
            check(one, each, lost=None)
        ticks = one.sink["bela_steady"].ticks
        n_assigned = (ticks[-1] - ticks[0]) // 441 + 1
        assert one.streams["bela_steady"]["lost"] == n_assigned - ticks.size > 0


def test_a_restart_of_the_board(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    with board, session_on(board) as one:
        one.start("touch", "steady", "slow", "fast")
        wait_until(lambda: one.samples("bela_slow") >= 3, "slow values")
        board.restart()
        wait_until(lambda: "board_restarted" in one.sink.events, "the restart")
        there = one.samples("bela_slow")
        wait_until(lambda: one.samples("bela_slow") >= there + 3, "slow values")
        one.stop()
        for each in (TOUCH, STEADY, SLOW):
            kept = one.sink[f"bela_{each.name}"]
            np.testing.assert_array_equal(kept.values, kept.ticks)
            assert np.all(np.diff(kept.stamps_s) > 0)


def test_a_schedule_has_its_values_singly(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    with board, session_on(board) as one:
        answer = one.schedule(variables=("touch", "steady", "slow"), start_in_s=2.5, duration_s=1.5)
        first, last = int(answer.split()[3]), int(answer.split()[5])
        wait_until(lambda: one.samples("bela_steady") > 10, "values")
        assert deliveries(one)["bela_steady"] == "single"
        wait_until(lambda: "schedule_finished" in one.sink.events, "its end")
        for each in (TOUCH, STEADY, SLOW):
            kept = one.sink[f"bela_{each.name}"]
            assert kept.ticks.tolist() == assigned_by(each, first, last)
            assert one.streams[f"bela_{each.name}"]["lost"] == 0


def test_off_asks_for_no_single_value(wait_until: WaitUntil) -> None:
    with board_of(*ALL) as board, connected(board.port) as other:
        other.list()
        with session_on(board, streaming={"prompt": "off"}) as one:
            one.start()
            flow(one, wait_until, 20)
            assert set(deliveries(one).values()) == {"block"}
            one.stop()
            assert one.sink.facts["bela_fast"].nominal_rate_hz == pytest.approx(RATE_HZ)
            [text] = [t for t in one.session.status()["shortfalls"] if t.startswith("slow")]
            assert "withheld" in text
            assert one.samples("bela_slow") == 0
        blocks = blocks_there(other)
        assert blocks
        assert not any(block.monitor for block in blocks)


def test_mode_watch_asks_for_blocks(wait_until: WaitUntil) -> None:
    streams = {"e": {"variables": ["touch"], "mode": "watch"}}
    with board_of(TOUCH, STEADY, FAST) as board, session_on(board, streams=streams) as one:
        one.start("touch", "steady", "fast")
        flow(one, wait_until, 20)
        assert deliveries(one)["bela_e"] == "block"
        assert deliveries(one)["bela_steady"] == "single"
        one.stop()


def test_what_others_watch_forbids_single_values(wait_until: WaitUntil) -> None:
    with (
        board_of(TOUCH, STEADY, FAST, variable("theirs")) as board,
        connected(board.port) as other,
    ):
        other.list()
        other.tell(watch_command(["theirs"]))
        wait_until(lambda: board.watched_names() == ["theirs"], "their watch")
        with session_at(board.port) as one:
            one.start("touch", "fast")
            flow(one, wait_until, 20)
            assert set(deliveries(one).values()) == {"block"}
            assert "theirs: watched by another client, or left over" in notices(one)
            one.stop()
            one.start("touch", "fast", exclusive=True)
            wait_until(lambda: deliveries(one)["bela_touch"] == "single", "single values")
            wait_until(lambda: one.samples("bela_touch") > 0, "an event")
            one.stop()


def test_others_that_come_later_end_single_values(wait_until: WaitUntil) -> None:
    with (
        board_of(TOUCH, STEADY, FAST, variable("theirs")) as board,
        connected(board.port) as other,
    ):
        other.list()
        with session_at(board.port) as one:
            one.start("touch", "steady", "fast")
            wait_until(lambda: one.samples("bela_steady") > 30, "values")
            other.tell(watch_command(["theirs"]))
            wait_until(lambda: set(deliveries(one).values()) == {"block"}, "blocks")
            wait_until(lambda: board.monitored() == {}, "no monitor")
            time.sleep(0.3)
            one.stop()
            for each in (TOUCH, STEADY, FAST):
                check(one, each)


def test_another_clients_monitor_wins(wait_until: WaitUntil) -> None:
    with board_of(TOUCH, STEADY, FAST) as board, connected(board.port) as other:
        other.list()
        other.tell(monitor_command(["touch"], [4410]))
        wait_until(lambda: board.monitored() == {"touch": 4410}, "their monitor")
        with session_at(board.port) as one:
            one.start("touch", "steady")
            wait_until(lambda: one.samples("bela_steady") > 30, "values")
            assert deliveries(one) == {"bela_touch": "block", "bela_steady": "single"}
            assert "touch: another client monitors it every 4410 ticks" in notices(one)
            other.tell(monitor_command(["steady"], [1000]))
            wait_until(lambda: deliveries(one)["bela_steady"] == "block", "theirs wins")
            one.stop()
            check(one, TOUCH)
            check(one, STEADY, lost=None)
        assert board.monitored() == {"touch": 4410, "steady": 1000}


def test_a_monitor_of_what_comes_singly_leaves_values_out(wait_until: WaitUntil) -> None:
    with board_of(STEADY, FAST) as board, session_on(board) as one:
        one.start("steady")
        wait_until(lambda: one.samples("bela_steady") > 10, "values")
        one.monitor(variables=["steady"], periods=[4410])
        wait_until(lambda: one.samples("bela_steady_monitor") >= 4, "a value now and then")
        assert board.monitored() == {"steady": 2}
        assert set(np.diff(one.sink["bela_steady_monitor"].ticks)) == {4410}
        there = one.samples("bela_steady")
        wait_until(lambda: one.samples("bela_steady") > there, "all values")
        one.stop()
        check(one, STEADY)


@pytest.mark.parametrize("sketch", ["twice", "per-block"])
def test_several_assignments_per_tick_are_right_at_the_first_start(
    sketch: str, wait_until: WaitUntil
) -> None:
    name = {"twice": "twice", "per-block": "frame"}[sketch]
    with SimulatedBoard(sketch, clock=local_clock) as board, session_on(board) as one:
        for _ in range(2):
            one.start(name)
            wait_until(lambda: one.samples(f"bela_{name}") > 20_000, "values")
            one.stop()
            values = one.sink[f"bela_{name}"].values
            breaks = np.flatnonzero(np.diff(values) != 1)
            kept = one.sink[f"bela_{name}"]
            assert one.streams[f"bela_{name}"]["lost"] == 0
            error_s = np.abs(kept.stamps_s - board.true_time_s(kept.ticks))
            assert error_s.max() < 0.003
            if sketch == "twice":
                np.testing.assert_array_equal(kept.ticks, kept.values // 2)
        assert breaks.size == 1  # between the two runs


def test_repeated_names_stream_the_first_and_are_told(wait_until: WaitUntil) -> None:
    with SimulatedBoard("duplicates", clock=local_clock) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until, 40)
        time.sleep(2.5)  # the watchdog looks
        assert "2 variables are called 'twin': the first of them is streamed" in notices(one)
        one.stop()
        kept = one.sink["bela_twin"]
        np.testing.assert_array_equal(kept.values, kept.ticks)
        assert one.streams["bela_twin"]["lost"] == 0
        assert not any("ended the watch" in text for text in one.session.status()["notices"])


def test_a_variable_that_is_never_assigned_is_a_note(wait_until: WaitUntil) -> None:
    with SimulatedBoard("gain", clock=local_clock) as board, session_at(board.port) as one:
        one.start()
        wait_until(lambda: "gain: not assigned by the sketch since START" in notices(one), "a note")
        status = one.session.status()
        assert (status["problems"], status["last_error"]) == ([], None)
        one.stop()
        assert one.streams["bela_gain"]["assigned"] is False
        assert one.streams["bela_fast"]["assigned"] is True
        assert one.session.status()["shortfalls"] == []


def test_listeners_get_single_values_with_true_times(wait_until: WaitUntil) -> None:
    with board_of(TOUCH, STEADY, FAST) as board, published_on(board, "prompt_") as one:
        one.prepare()
        with listening("prompt_", 4) as listeners:
            one.start()
            wait_until(lambda: one.samples("prompt_steady") > 100, "values")
            one.stop()
            for name in ("prompt_touch", "prompt_steady"):
                kept = one.sink[name]
                listeners[name].pull(float(kept.stamps_s[-1]))
                assert_received(listeners[name], kept)
                assert kept.n_samples == len(listeners[name].stamps_s)
                error_s = np.abs(kept.stamps_s - board.true_time_s(kept.ticks))
                assert error_s.max() < 0.005
