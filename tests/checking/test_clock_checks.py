"""Tick rate, clock, pauses of the ticks, network: each fault turns its line."""

from __future__ import annotations

import pytest

from bela_module.checking.checker import judge
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
)

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
        change_run(status=status(clock={"uncertainty_s": 0.0004, "drift_ppm": -900.0})),
        "clock",
        Verdict.WARN,
        "-900 ppm",
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


def test_a_board_that_ticks_once_for_several_frames_is_fine_and_told() -> None:
    halved = status(board={"sample_rate_hz": 44100.0, "tick_rate_hz": 22050.3})
    (rate,) = [c for c in judge(with_run(healthy_facts(), status=halved)) if c.name == "tick rate"]
    assert rate.verdict is Verdict.OK
    assert "once for 2 audio frames" in rate.advice
