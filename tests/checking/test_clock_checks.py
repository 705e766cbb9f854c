"""Tick rate, clock, pauses of the ticks, network: each fault turns its line."""

from __future__ import annotations

from typing import Any

import pytest

from bela_module.checking.checker import judge
from bela_module.checking.clock_checks import milliseconds
from bela_module.checking.facts import (
    RoundTrips,
)
from bela_module.checking.verdicts import Verdict
from tests.support.check_facts import (
    Change,
    assert_turns,
    change_run,
    change_status,
    healthy_facts,
    status,
    with_run,
    with_streams,
)


def ticking(rate_hz: float) -> dict[str, Any]:
    return {"connected": True, "sample_rate_hz": 44100.0, "tick_rate_hz": rate_hz}


FAULTS: dict[str, tuple[Change, str, Verdict, str]] = {
    "another rate than declared": (
        change_run(status=status(board={"sample_rate_hz": 44100.0, "tick_rate_hz": 40000.0})),
        "tick rate",
        Verdict.WARN,
        "40000.0 Hz, declared 44100 Hz",
    ),
    "no clock": (
        change_run(uncertainty_s=None),
        "clock",
        Verdict.FAIL,
        "not known",
    ),
    "a vague clock": (
        change_run(uncertainty_s=0.05),
        "clock",
        Verdict.WARN,
        "within 50 ms",
    ),
    "a clock that runs off": (
        change_run(status=status(board=ticking(44100.0 * (1 - 900e-6)))),
        "clock",
        Verdict.WARN,
        "-900 ppm",
    ),
    "a board of 48 kHz whose sketch says 44.1 kHz": (
        change_run(status=status(board=ticking(48_000.0))),
        "tick rate",
        Verdict.WARN,
        "48000.0 Hz, declared 44100 Hz",
    ),
    "ticks that never go on": (
        change_run(round_trips=RoundTrips((0.001,) * 16, ticks=(7,) * 16), uncertainty_s=None),
        "ticks",
        Verdict.FAIL,
        "stand still",
    ),
    "a slow network that leaves the clock vague": (
        change_run(round_trips=RoundTrips((0.2,) * 16), uncertainty_s=0.1),
        "network",
        Verdict.WARN,
        "200.0 ms",
    ),
    "pauses of the ticks that leave the clock vague": (
        lambda facts: with_run(
            change_status(notices=["the board's ticks paused for 2.0 s"])(facts), uncertainty_s=0.9
        ),
        "ticks",
        Verdict.WARN,
        "2.0 s",
    ),
    "one reply that is very late": (
        change_run(round_trips=RoundTrips((0.002,) * 80 + (1.0,))),
        "network",
        Verdict.WARN,
        "one after 1.0 s",
    ),
    "a board that answers nothing": (
        lambda facts: with_run(
            with_streams(facts), round_trips=RoundTrips(n_lost=3), error="no reply to 'list'"
        ),
        "network",
        Verdict.FAIL,
        "answers no request",
    ),
    "ticks that pause": (
        change_status(notices=["the board's ticks paused for 0.0036 s"]),
        "ticks",
        Verdict.WARN,
        "0.0036",
    ),
    "ticks that stand still": (
        change_run(problems=("the board answers, but its ticks stand still",)),
        "ticks",
        Verdict.FAIL,
        "stand still",
    ),
    "a slow network": (
        change_run(round_trips=RoundTrips((0.1,) * 16)),
        "network",
        Verdict.WARN,
        "100.0 ms",
    ),
    "a network that jitters": (
        change_run(round_trips=RoundTrips((0.002,) * 12 + (0.3,) * 4)),
        "network",
        Verdict.WARN,
        "300.0 ms",
    ),
    "a board that is late now and then": (
        change_run(round_trips=RoundTrips((0.002,) * 96 + (0.2,) * 4)),
        "network",
        Verdict.WARN,
        "4 of 100 over 102 ms",
    ),
    "replies that are lost": (
        change_run(round_trips=RoundTrips((0.002,) * 12, n_lost=3)),
        "network",
        Verdict.WARN,
        "3 without reply",
    ),
}


@pytest.mark.parametrize(("change", "line", "verdict", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_turns_its_line_alone(
    change: Change, line: str, verdict: Verdict, words: str
) -> None:
    assert_turns(change, line, verdict, words)


@pytest.mark.parametrize("ratio", [1 / 64, 1 / 8, 1 / 2, 1, 2])
def test_simple_ratios_of_the_declared_rate_are_fine(ratio: float) -> None:
    facts = with_run(healthy_facts(), status=status(board=ticking(44100.3 * ratio)))
    assert {check.verdict for check in judge(facts)} == {Verdict.OK}


def test_a_process_without_a_processor_makes_no_network_slow() -> None:
    trips = RoundTrips((0.002,) * 80 + (1.0,) * 4, (0.0,) * 80 + (0.99,) * 4)
    facts = with_run(healthy_facts(), round_trips=trips)
    assert {check.verdict for check in judge(facts)} == {Verdict.OK}


@pytest.mark.parametrize("stated_s", [0.00041, 0.0123, 0.95])
def test_times_are_written_as_people_read_them(stated_s: float) -> None:
    assert "e" not in milliseconds(stated_s)


def test_a_board_that_ticks_once_for_several_frames_is_fine_and_told() -> None:
    halved = status(board={"sample_rate_hz": 44100.0, "tick_rate_hz": 22050.3})
    (rate,) = [c for c in judge(with_run(healthy_facts(), status=halved)) if c.name == "tick rate"]
    assert rate.verdict is Verdict.OK
    assert "once for 2 audio frames" in rate.advice
