"""What can be asked of a board besides START and SCHEDULE: MONITOR and LIST."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.requests import StartRequest
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    answer,
    assert_times_are_true,
    left_on,
    session_on,
    written_ticks,
)

# ---- MONITOR -----------------------------------------------------------------------------------


def test_monitored_values_come_one_by_one_at_their_period(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    said = one.monitor(variables=["ramp", "byte", "touch"], periods=[441, 4410, 1000])
    assert said == "monitoring ramp, byte, touch"
    assert board.monitored() == {"ramp": 441, "byte": 4410, "touch": 1000}
    names = {"bela_ramp": 441, "bela_byte": 4410, "bela_touch": 1000}
    wait_until(lambda: all(one.samples(name) >= 5 for name in names), "some values")
    assert one.stop() == "stopped"
    assert left_on(board) == ([], {}, {})
    for name, period in names.items():
        kept, stream = one.sink[name], one.streams[name]
        assert stream["mode"] == "monitor"
        assert stream["nominal_rate_hz"] == 0.0
        assert stream["lost"] == 0
        expected = kept.ticks.astype(np.int8) if name == "bela_byte" else kept.ticks
        np.testing.assert_array_equal(kept.values, expected)
        assert (np.diff(kept.ticks) >= period).all()
        assert_times_are_true(board, one.sink, name)
    assert np.all(np.diff(one.sink["bela_ramp"].ticks) == 441)


def test_a_period_in_seconds_is_counted_in_ticks(board: SimulatedBoard, one: Running) -> None:
    one.monitor(variables="ramp", period_s=0.02)
    assert board.monitored()["ramp"] == pytest.approx(882, abs=2)
    one.monitor(variables="ramp")  # ten times a second unless it is said
    assert board.monitored()["ramp"] == pytest.approx(4410, abs=5)
    with pytest.raises(RequestError, match="a period of 1e-09 s is below 0.0005 s"):
        one.monitor(variables="ramp", period_s=1e-9)


def test_a_monitor_gives_way_to_a_start_and_goes_on_under_another_name(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.monitor(variables=["ramp", "byte"], periods=441)
    one.start("ramp")
    assert set(one.streams) == {"bela_ramp", "bela_ramp_monitor", "bela_byte"}
    wait_until(lambda: one.samples("bela_ramp_monitor") > 5, "monitored values")
    wait_until(lambda: one.samples("bela_ramp") > 5, "streamed values")
    one.stop()
    one.monitor(variables="ramp", periods=441)  # the stream of START stays what it is
    assert set(one.streams) == {"bela_ramp_monitor"}


def test_a_schedule_beyond_the_last_tick_is_refused(one: Running) -> None:
    with pytest.raises(RequestError, match="beyond the last tick"):
        one.schedule(start_lsl_s=1e15, duration_s=1)


@pytest.mark.parametrize(
    "too_late", [{"start_in_s": 1e15, "duration_s": 1}, {"start_in_s": 0, "duration_s": 1e300}]
)
def test_nobody_waits_for_more_than_a_year(one: Running, too_late: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="less than or equal to 31622400"):
        one.schedule(**too_late)


def test_another_monitor_replaces_the_first(board: SimulatedBoard, one: Running) -> None:
    one.monitor(variables=["ramp", "byte"], periods=100)
    one.monitor(variables="whole", periods=200)
    assert board.monitored() == {"whole": 200}
    assert set(one.streams) == {"bela_whole"}


def test_a_variable_can_be_monitored_while_it_streams(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("ramp")
    one.monitor(variables="ramp", periods=441)
    assert set(one.streams) == {"bela_ramp", "bela_ramp_monitor"}
    wait_until(lambda: one.samples("bela_ramp_monitor") > 5, "monitored values")
    wait_until(lambda: board.account("ramp").sent, "a block")
    one.stop()
    np.testing.assert_array_equal(one.sink["bela_ramp"].ticks, written_ticks(board, "ramp"))
    monitored = one.sink["bela_ramp_monitor"]
    np.testing.assert_array_equal(monitored.values, monitored.ticks)
    assert one.session.status()["counters"]["foreign_blocks"] == 0


def test_a_stream_can_be_configured_to_be_monitored(
    board: SimulatedBoard, wait_until: WaitUntil
) -> None:
    slow = {"variables": ["ramp", "short"], "mode": "monitor", "period_s": 0.01}
    with session_on(board, streams={"slow": slow}) as one:
        assert one.start("ramp", "short", "byte") == "streaming bela_slow, bela_byte"
        wait_until(board.monitored, "monitored variables")
        assert board.monitored() == pytest.approx({"ramp": 441, "short": 441}, abs=2)
        with pytest.raises(RequestError, match="already; STOP first"):
            one.schedule(variables=["ramp", "short"], start_in_s=1, duration_s=1)
        wait_until(lambda: one.samples("bela_slow") > 5, "rows")
        one.stop()
        with pytest.raises(RequestError, match="bela_slow is monitored, which cannot be scheduled"):
            one.schedule(variables=["ramp", "short"], start_in_s=1, duration_s=1)
        kept = one.sink["bela_slow"]
        for column in kept.rows.T:
            known = np.isfinite(column)
            np.testing.assert_array_equal(column[known], kept.ticks[known])
        assert np.isfinite(kept.rows).any(axis=0).all()


def test_a_variable_has_one_monitor(board: SimulatedBoard) -> None:
    slow = {"variables": ["ramp"], "mode": "monitor", "period_s": 0.01}
    with session_on(board, streams={"slow": slow}) as one:
        one.monitor(variables="ramp", periods=441)
        with pytest.raises(RequestError, match="ramp is monitored by MONITOR already"):
            one.start("ramp", "byte")
        one.stop()
        one.start("ramp", "byte")
        with pytest.raises(RequestError, match="ramp is monitored by START already"):
            one.monitor(variables="ramp", periods=441)
        one.stop()


def test_what_cannot_be_monitored_is_refused(board: SimulatedBoard, one: Running) -> None:
    with pytest.raises(RequestError, match="no variable 'nothing'"):
        one.monitor(variables=["ramp", "nothing"], periods=100)
    with pytest.raises(RequestError, match="2 periods|periods must be one for all"):
        one.monitor(periods=[100, 200])
    assert left_on(board) == ([], {}, {})


def test_a_monitor_that_is_refused_leaves_the_one_that_runs(
    board: SimulatedBoard, one: Running
) -> None:
    one.monitor(variables="ramp", periods=441)
    with pytest.raises(RequestError, match="is below"):
        one.monitor(variables="byte", period_s=0.0001)
    assert board.monitored() == {"ramp": 441}
    assert one.state == "streaming"


def test_a_monitor_goes_on_when_the_start_beside_it_is_interrupted(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.monitor(variables="ramp", periods=441)
    started = one.session.start(StartRequest(variables=("ramp",)))
    board.call_later(0.1, board.disconnect)
    assert answer(started).startswith(("streaming", "waiting"))
    wait_until(lambda: one.samples("bela_ramp_monitor") > 0, "the monitor's values")
    wait_until(lambda: one.samples("bela_ramp") > 512, "the stream's")
    wait_until(lambda: board.monitored() == {"ramp": 441}, "the monitor on the board")


def test_a_survey_takes_nothing_from_a_monitor(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.monitor(variables="byte", periods=50)
    wait_until(lambda: one.samples("bela_byte") > 0, "values")
    one.start("ramp")  # of which the step is not known yet
    there = one.samples("bela_byte")
    wait_until(lambda: one.samples("bela_byte") > there + 20, "more values")
    assert set(np.diff(one.sink["bela_byte"].ticks)) == {50}
