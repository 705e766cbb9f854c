"""Each trouble is seen, named in the same words everywhere, mended if it can be, and over again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from bela_module.cli.live_view import render
from bela_module.session.delivery.watchdog import Cause, Finding
from bela_module.simulator.faults.fault_list import Fault, parse_fault
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import Running, WaitUntil, board_of, flow, session_at, variable


def screen_of(one: Running) -> str:
    console = Console(file=io.StringIO(), width=300)
    console.print(render(one.session.status()))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def until_told(
    one: Running, text: str, wait_until: WaitUntil, log: pytest.LogCaptureFixture
) -> None:
    """Wait until a trouble shows, and check that it shows in the same words everywhere."""
    wait_until(lambda: text in one.session.status()["problems"], text)
    assert f"error {text}" in one.sink.events
    assert text in one.session.status()["notices"]
    assert text in screen_of(one)
    assert text in log.messages


def until_over(one: Running, wait_until: WaitUntil) -> None:
    wait_until(lambda: not one.session.status()["problems"], "that all is well again")


BOTH = ("a", "b")
KEPT_BY_THE_BOARD = (
    "a: not assigned any more at the end; the board has kept what came since its last block, "
    "fewer than 512 values"
)
TROUBLES: tuple[tuple[str, Finding], ...] = (
    ("pause:for_s=3", Finding(Cause.STANDSTILL)),
    ("no-data:for_s=3", Finding(Cause.SILENT)),
    ("unassigned:variable=a,for_s=3", Finding(Cause.UNASSIGNED, ("a",))),
    ("other-client:cmd=unwatch,variables=a", Finding(Cause.UNWATCHED, ("a",))),
    ("silence:socket=control,for_s=1.5", Finding(Cause.UNANSWERED)),
    ("stall:for_s=1.6", Finding(Cause.QUIET)),
)


@pytest.mark.parametrize(("spec", "finding"), TROUBLES, ids=[spec for spec, _ in TROUBLES])
def test_trouble_while_streaming(
    spec: str,
    finding: Finding,
    board: SimulatedBoard,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    timeout_s = 1.0 if finding.cause is Cause.UNANSWERED else 4.0
    with session_at(board.port, board={"reply_timeout_s": timeout_s}) as one:
        one.start(*BOTH)
        wait_until(lambda: one.samples("bela_b") > 0, "samples")
        board.inject(parse_fault(spec))
        until_told(one, str(finding), wait_until, caplog)
        until_over(one, wait_until)
        flow(one, wait_until, 9)
        assert one.stop() == "stopped"
        for name in BOTH:  # also of a block that has values from before the trouble and after it
            kept = one.sink[f"bela_{name}"]
            np.testing.assert_array_equal(kept.values, kept.ticks)
        withheld = "a: 512 values withheld" if finding.cause is Cause.UNASSIGNED else "none"
        shortfalls = one.session.status()["shortfalls"]
        assert [text for text in shortfalls if not text.startswith(withheld)] == []


@pytest.mark.parametrize(
    ("spec", "finding"),
    [
        ("pause:for_s=3", Finding(Cause.STANDSTILL)),
        ("no-data:for_s=3", Finding(Cause.SILENT)),
        ("other-client:cmd=monitor,period_ticks=0,variables=a", Finding(Cause.UNMONITORED, ("a",))),
    ],
)
def test_trouble_while_monitoring(
    spec: str,
    finding: Finding,
    board: SimulatedBoard,
    one: Running,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one.monitor(variables=BOTH, periods=1000)
    flow(one, wait_until, 5)
    board.inject(parse_fault(spec))
    until_told(one, str(finding), wait_until, caplog)
    until_over(one, wait_until)
    assert board.monitored() == {"a": 1000, "b": 1000}


def test_a_pause_before_a_schedule_is_told(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    one.schedule(variables="a", start_in_s=30.0, duration_s=1.0)
    board.inject(parse_fault("pause:for_s=3"))
    until_told(one, str(Finding(Cause.STANDSTILL)), wait_until, caplog)
    until_over(one, wait_until)


def test_a_single_variable_of_a_board_that_sends_nothing(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    one.start("a")
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    board.inject(parse_fault("no-data:for_s=3"))
    until_told(one, str(Finding(Cause.SILENT)), wait_until, caplog)
    until_over(one, wait_until)


def test_a_data_channel_that_brings_nothing_for_long_is_connected_anew(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    board.inject(parse_fault("silence:socket=data,for_s=8"))
    wait_until(lambda: one.session.status()["counters"]["reconnects"] > 0, "another connection", 30)
    assert f"disconnected: {Cause.DEAF.value}" in one.session.status()["notices"]


def test_what_cannot_be_read_is_told(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    one.start("a")
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    faults: list[Fault] = [parse_fault(f"{name}:n=1") for name in ("drop-payload", "repeat-pair")]
    for fault, text in zip(faults, ("1 orphan header", "512 repeated values"), strict=True):
        board.inject(fault)
        wait_until(lambda text=text: text in one.session.status()["notices"], text)
        assert f"error {text}" in one.sink.events
        assert text in screen_of(one)
        assert text in caplog.messages
        board.end_faults()


def test_ticks_that_jump_are_told(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    board.inject(parse_fault("step-clock:step_s=0.5"))
    wait_until(
        lambda: any("the board's ticks skipped 0." in t for t in one.session.status()["notices"]),
        "the jump",
    )


def test_a_quiet_second_hides_no_other_problem(
    board: SimulatedBoard, wait_until: WaitUntil
) -> None:
    with session_at(board.port, board={"reply_timeout_s": 4.0}) as one:
        one.start(*BOTH)
        wait_until(lambda: one.samples("bela_b") > 0, "samples")
        board.inject(parse_fault("unassigned:variable=a,for_s=30"))
        text = str(Finding(Cause.UNASSIGNED, ("a",)))
        wait_until(lambda: text in one.session.status()["problems"], text)
        board.inject(parse_fault("stall:for_s=1.6"))
        quiet = Cause.QUIET.value
        wait_until(lambda: quiet in one.session.status()["problems"], "silence")
        assert text in one.session.status()["problems"]
        wait_until(lambda: quiet not in one.session.status()["problems"], "its end")
        wait_until(lambda: text in one.session.status()["problems"], text)


def test_a_reconnect_soon_after_the_start_blames_nobody(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    for _ in range(4):
        one.start("a")
        board.disconnect()
        wait_until(lambda: one.state == "streaming", "streaming")
        there = one.samples("bela_a")
        wait_until(lambda there=there: one.samples("bela_a") > there, "samples")
        one.stop()
    assert not any("no effect" in text for text in one.session.status()["notices"])


def test_trouble_that_stands_at_the_end_is_a_shortfall(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start(*BOTH)
    wait_until(lambda: one.samples("bela_b") > 0, "samples")
    board.inject(parse_fault("unassigned:variable=a,for_s=30"))
    text = str(Finding(Cause.UNASSIGNED, ("a",)))
    wait_until(lambda: text in one.session.status()["problems"], text)
    one.stop()
    assert one.session.status()["shortfalls"] == [text, KEPT_BY_THE_BOARD]
    one.start("b")
    assert one.session.status()["shortfalls"] == []


def test_trouble_that_stands_at_the_end_of_a_schedule_is_a_shortfall(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.schedule(variables=list(BOTH), start_in_s=0.2, duration_s=6.0)
    wait_until(lambda: one.samples("bela_b") > 0, "samples")
    board.set_assigned(False, "a")
    wait_until(lambda: "schedule_finished" in one.sink.events, "the end")
    wait_until(lambda: one.state == "idle", "that STATUS knows it")
    text = str(Finding(Cause.UNASSIGNED, ("a",)))
    assert one.session.status()["shortfalls"] == [text, KEPT_BY_THE_BOARD]
    assert one.sink.events.count(f"error {text}") == 1


def test_trouble_of_what_goes_on_is_no_shortfall_of_what_has_ended(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    one.monitor(variables="b", periods=5000)
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    board.set_assigned(False, "a")
    text = str(Finding(Cause.UNASSIGNED, ("a",)))
    wait_until(lambda: text in one.session.status()["problems"], text)
    one.monitor(variables="b", periods=4000)
    board.set_assigned(True, "a")
    until_over(one, wait_until)
    assert one.session.status()["shortfalls"] == []
    assert one.sink.events.count(f"error {text}") == 1


def test_a_monitor_without_values_costs_the_others_nothing(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("b")
    one.monitor(variables="a", periods=4000)
    wait_until(lambda: one.samples("bela_a") > 3, "values")
    board.set_assigned(False, "a")
    text = str(Finding(Cause.UNASSIGNED, ("a",)))
    wait_until(lambda: text in one.session.status()["problems"], text)
    since_tick = board.tick_now()
    wait_until(lambda: board.tick_now() > since_tick + 3 * 44100, "some seconds")
    one.stop()
    assert [text for text in one.sink.events if text.startswith(("error", "disc"))] == [
        f"error {text}"
    ]
    assert one.streams["bela_b"]["lost"] == 0


def test_a_variable_that_is_assigned_rarely_is_no_trouble(wait_until: WaitUntil) -> None:
    with (
        board_of(variable("ramp"), variable("slow", step=4410)) as board,
        session_at(board.port) as one,
    ):
        one.start("slow")
        since_tick = board.tick_now()
        wait_until(lambda: board.tick_now() > since_tick + 3 * 44100, "some seconds")
        assert one.session.status()["problems"] == []
        one.stop()
        assert [text for text in one.sink.events if text.startswith(("error", "disc"))] == []
        (stream,) = one.streams.values()
        assert stream["nominal_rate_hz"] in (0.0, pytest.approx(10.0))  # if its step shows in time
        assert (stream["lost"], stream["samples"]) == (0, pytest.approx(30, abs=10))
