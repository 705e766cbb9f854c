"""What a START or SCHEDULE delivers: all that the board took within it, and nothing else."""

from __future__ import annotations

import gc
import re
import weakref
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.protocol.variables import ValueType
from bela_module.requests import StartRequest
from bela_module.simulator.faults.timed_faults import Pause
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.lsl_clock import local_clock
from tests.support.accounts import stated_s
from tests.support.session_helpers import (
    RATE_HZ,
    Running,
    WaitUntil,
    assert_times_are_true,
    board_of,
    session_at,
    session_on,
    variable,
    written_ticks,
)
from tests.support.signal_cases import AHEAD_TICKS, EACH_TICK, SKETCH, TOUCH_STEP, value_of

PAST_TICKS = 60_000  # longer than any stall


def until_idle(one: Running, wait_until: WaitUntil) -> None:
    wait_until(lambda: one.state == "idle", "the end of the schedule")


def assert_exactly(one: Running, name: str, first: int, last: int, step: int = 1) -> None:
    """Check that a stream has each value of a time, both its ends included, and no other."""
    kept = one.sink[f"bela_{name}"]
    np.testing.assert_array_equal(kept.ticks, np.arange(first, last + 1, step))
    np.testing.assert_array_equal(kept.values, value_of(name, kept.ticks))
    assert one.streams[f"bela_{name}"]["samples"] == kept.n_samples
    assert one.streams[f"bela_{name}"]["lost"] == 0


# ---- SCHEDULE ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    # 512 doubles, 1024 floats or integers, or 4096 bytes fill a block: D ticks are D + 1 values.
    "durations",
    [(511, 1023, 1024, 4095), (512, 1, 2047, 4096), (5000,) * 4],
)
def test_a_schedule_delivers_its_values_and_none_of_the_padding(
    durations: tuple[int, ...], board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    first = board.tick_now() + AHEAD_TICKS
    said = one.schedule(variables=EACH_TICK, timestamps=first, durations=durations)
    assert said == f"scheduled from tick {first} to {first + max(durations)}"
    until_idle(one, wait_until)
    for name, duration in zip(EACH_TICK, durations, strict=True):
        assert_exactly(one, name, first, first + duration)
        np.testing.assert_array_equal(written_ticks(board, name), one.sink[f"bela_{name}"].ticks)
    assert one.sink.events == ["schedule_started", "schedule_finished"]
    assert one.sink.gaps == []


def test_each_variable_has_its_own_time(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    now = board.tick_now() + AHEAD_TICKS
    first = now - now % TOUCH_STEP
    windows = {
        "ramp": (first, 3000),
        "saw": (first + 1234, 100),
        "zero": (first + 5000, 2048),
        "half": (first + 10, 1001),  # it is not assigned at its very end
        "touch": (first + 1, 3 * TOUCH_STEP),
    }
    starts, durations = zip(*windows.values(), strict=True)
    one.schedule(variables=list(windows), timestamps=starts, durations=durations)
    until_idle(one, wait_until)
    for name in ("ramp", "saw", "zero"):
        assert_exactly(one, name, windows[name][0], sum(windows[name]))
    assert_exactly(one, "half", first + 10, first + 10 + 1000, step=2)
    assert_exactly(one, "touch", first + TOUCH_STEP, first + 3 * TOUCH_STEP, step=TOUCH_STEP)
    assert_times_are_true(board, one.sink, "bela_ramp")
    started_s, finished_s = (one.sink.time_of(f"schedule_{e}") for e in ("started", "finished"))
    last_tick = max(map(sum, windows.values()))
    true_s = board.true_time_s(np.array([first, last_tick]))
    tolerance_s = max(0.005, stated_s(one.sink))
    np.testing.assert_allclose([started_s, finished_s], true_s, rtol=0, atol=tolerance_s)


def test_seconds_from_now_and_lsl_time(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    ahead_s = AHEAD_TICKS / RATE_HZ
    asked_s = local_clock()
    one.schedule(variables="ramp", start_in_s=ahead_s, duration_s=0.1)
    until_idle(one, wait_until)
    kept = one.sink["bela_ramp"]
    assert kept.n_samples == round(0.1 * RATE_HZ) + 1
    begun_s = board.true_time_s(kept.ticks[:1])[0]
    assert begun_s >= asked_s + ahead_s - max(0.005, stated_s(one.sink))

    start_s = local_clock() + ahead_s
    one.schedule(variables="saw", start_lsl_s=start_s, duration_s=0.05)
    until_idle(one, wait_until)
    kept = one.sink["bela_saw"]
    assert kept.n_samples == round(0.05 * RATE_HZ) + 1
    tolerance_s = max(0.002, stated_s(one.sink))
    assert board.true_time_s(kept.ticks[:1])[0] == pytest.approx(start_s, abs=tolerance_s)
    assert kept.stamps_s[0] == pytest.approx(start_s, abs=tolerance_s)


def test_a_schedule_in_the_past_begins_now(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    first = board.tick_now()
    said = one.schedule(variables="ramp", timestamps=0, durations=PAST_TICKS)
    begin, end = map(int, re.findall(r"\d+", said))
    assert first <= begin == end - PAST_TICKS
    until_idle(one, wait_until)
    kept = one.sink["bela_ramp"]
    written = written_ticks(board, "ramp")
    np.testing.assert_array_equal(kept.ticks, written)
    assert written[-1] == end
    # A command that a stall makes late begins late, which is a loss if the board had it in time.
    assert written[0] >= begin
    assert one.streams["bela_ramp"]["lost"] in (0, written[0] - begin)


def test_a_sparse_variable_that_is_not_assigned_again_ends_as_well(
    wait_until: WaitUntil,
) -> None:
    rare = variable("rare", ValueType.INT, step=2**30, sparse=True)
    # The board keeps it watched until its next value.
    with board_of(variable("ramp"), rare) as board, session_at(board.port) as one:
        one.list()
        one.schedule(variables="rare", start_in_s=0.1, duration_s=0.1)
        until_idle(one, wait_until)
        assert one.sink.events == ["schedule_started", "schedule_finished"]
        assert one.samples("bela_rare") == 0
        assert one.streams["bela_rare"]["lost"] == 0
        assert one.session.status()["last_error"] is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"variables": "nothing"}, "no variable 'nothing'; it offers 'ramp', 'saw'"),
        ({"variables": ["ramp", "touch", "nothing"]}, "no variable 'nothing'"),
    ],
)
def test_a_schedule_of_what_is_not_there_is_refused(
    fields: dict[str, Any], words: str, one: Running
) -> None:
    with pytest.raises(RequestError, match=words):
        one.schedule(**fields, start_in_s=0.1, duration_s=0.1)
    assert one.state == "idle"
    assert one.streams == {}


# ---- START and STOP ----------------------------------------------------------------------------


def test_a_schedule_ends_with_the_boards_ticks_not_with_the_clock(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    words = one.schedule(variables="ramp", start_in_s=2.5, duration_s=1.0).split()
    wait_until(lambda: one.samples("bela_ramp") > 0, "samples")
    board.inject(Pause(for_s=2.5))
    until_idle(one, wait_until)
    assert one.samples("bela_ramp") == int(words[5]) - int(words[3]) + 1
    assert one.streams["bela_ramp"]["lost"] == 0
    assert "schedule_finished" in one.sink.events


def test_events_lie_where_it_happened(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    before_s = local_clock()
    one.start("ramp")
    wait_until(lambda: board.account("ramp").sent, "a block")
    one.stop()
    started_s, stopped_s = one.sink.time_of("started"), one.sink.time_of("stopped")
    stamps_s = one.sink["bela_ramp"].stamps_s
    assert before_s < started_s < stopped_s < local_clock()
    assert before_s < stamps_s[0] < stamps_s[-1] < stopped_s


def test_start_during_a_schedule_is_refused(board: SimulatedBoard, one: Running) -> None:
    one.schedule(variables="ramp", start_in_s=1000, duration_s=1)
    for variables in (["ramp"], ["zero"]):
        with pytest.raises(RequestError, match="ramp scheduled already; STOP first"):
            one.start(*variables)
    with pytest.raises(RequestError, match="STOP first"):
        one.schedule(variables="ramp", start_in_s=1000, duration_s=1)
    one.stop()


def test_a_wrong_name_changes_nothing(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    with pytest.raises(RequestError) as caught:
        one.start("ramp", "pot1", "pot2")
    offered = ", ".join(repr(v.name) for v in SKETCH)
    assert str(caught.value) == f"the board has no variable 'pot1', 'pot2'; it offers {offered}"
    assert one.state == "idle"
    assert board.watched_names() == []
    assert one.sink.events == []

    one.start("ramp")
    with pytest.raises(RequestError, match="no variable 'pot1'"):
        one.start("ramp", "pot1")
    sent = board.account("ramp").sent
    wait_until(lambda: board.account("ramp").sent > sent, "it streams on")
    one.stop()
    np.testing.assert_array_equal(one.sink["bela_ramp"].ticks, written_ticks(board, "ramp"))


def test_ticks_that_begin_after_the_start_lose_no_block(wait_until: WaitUntil) -> None:
    with board_of(variable("ramp")) as board:
        board.inject(Pause(for_s=2.0))
        with session_on(board) as one:
            one.session.start(StartRequest(variables=("ramp",)))
            wait_until(lambda: one.samples("bela_ramp") > 5000, "samples")
            one.stop()
            (run,) = board.written("ramp")[-1:]
            kept = one.sink["bela_ramp"]
            assert (kept.ticks[0], kept.ticks[-1]) == (run.first_tick, run.last_tick)
            assert one.streams["bela_ramp"]["lost"] == 0


# ---- its memory --------------------------------------------------------------------------------


def test_what_has_ended_is_freed_without_a_garbage_collection(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    gc.collect()
    gc.disable()
    try:
        one.start()
        wait_until(lambda: board.account("ramp").sent, "a block")
        streams = [weakref.ref(o) for o in gc.get_objects() if isinstance(o, LiveStream)]
        assert streams
        one.stop()
        wait_until(lambda: not any(ref() for ref in streams), "the end of all streams")
    finally:
        gc.enable()
