"""Verdicts: each fault has its own, and a whole recording is ok."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bela_module.reports.clock_account import ClockAccount
from bela_module.reports.event_markers import EventMarker
from bela_module.reports.recorded_stream import Floats, RecordedStream
from bela_module.reports.stream_account import StreamAccount, account_for
from bela_module.reports.verdicts import (
    ReportVerdict,
    judge_clock,
    judge_events,
    judge_stream,
    worst,
)
from tests.support.recordings import BEGIN_S, RATE_HZ, regular

OK, WARN, FAIL = ReportVerdict


def account(stamps_s: Floats, rate_hz: float = RATE_HZ, lost: int = 0) -> StreamAccount:
    stream = RecordedStream(1, "s", "Bela", "float32", "bela:b:p:s", ("s",), rate_hz, stamps_s)
    gap = EventMarker(BEGIN_S + 3, "gap", f"gap s {lost}", "s", lost)
    return account_for(stream, [gap] if lost else [])


def without(n: int) -> Floats:
    return np.delete(regular(10_000), np.arange(3000, 3000 + n))


@pytest.mark.parametrize(
    ("made", "verdict", "words"),
    [
        (account(regular(1000)), OK, "1000 samples, no time is missing"),
        (account(regular(10), 0.0), OK, "10 samples, no loss is told"),
        (account(regular(0), 0.0), OK, "the variable was not assigned"),
        (account(regular(0)), WARN, "no sample was recorded"),
        (account(without(50), lost=50), WARN, "50 samples are missing in 1 gap: 0.050 s, 0.5 %"),
        (account(without(500), lost=500), FAIL, "500 samples are missing in 1 gap"),
        (account(without(50)), WARN, "stamps and events disagree: s: the file lacks 50"),
        (account(regular(9, 0.1), 0.0, lost=5), WARN, "events tell of 5 lost values"),
        (account(regular(1000), lost=5), WARN, "before its first sample, after its last"),
        (account(regular(1000, 1010.0)), WARN, "the rate is 1010.00 Hz, +10000 ppm from"),
        (account(regular(100)[::-1]), FAIL, "99 stamps are earlier than the one before"),
        (account(np.repeat(regular(100), 2)), WARN, "100 stamps are the same"),
    ],
)
def test_a_stream(made: StreamAccount, verdict: ReportVerdict, words: str) -> None:
    found = judge_stream(made)
    assert worst(one.verdict for one in found) is verdict
    assert any(words in one.text for one in found), found
    assert {one.about for one in found} == {"s"}


def test_a_clock() -> None:
    three = np.arange(3.0)
    good = ClockAccount("b:p", three, np.full(3, 0.001), three, three, 1e9, 0)
    assert judge_clock("b:p", good).verdict is OK
    assert "within 1.000 ms" in judge_clock("b:p", good).text
    bad = replace(good, uncertainty_s=np.array([0.001, 0.001, 0.02]))
    assert judge_clock("b:p", bad).verdict is WARN
    assert "20.000 ms" in judge_clock("b:p", bad).text
    assert "more than 5 ms in 1 of 3 statements" in judge_clock("b:p", bad).text
    assert judge_clock("b:p", None).verdict is WARN
    silent = ClockAccount("b:p", three, np.full(3, np.nan), three, three, 1e9, 0)
    assert judge_clock("b:p", silent).text.startswith(
        "bela_clock has no uncertainty: nothing states"
    )
    assert judge_clock("b:p", None).text.startswith("no bela_clock in this file: nothing states")


def test_events() -> None:
    fine = [EventMarker(1.0, "started", "started")]
    assert judge_events("b:p", True, fine).verdict is OK
    assert judge_events("b:p", True, fine).text == "1 event, none of trouble"
    trouble = [*fine, EventMarker(2.0, "board_restarted", "board_restarted")]
    assert judge_events("b:p", True, trouble).verdict is WARN
    assert "board_restarted (1)" in judge_events("b:p", True, trouble).text
    assert judge_events("b:p", False, []).verdict is WARN


def test_the_worst_counts() -> None:
    assert worst([]) is OK
    assert worst([OK, FAIL, WARN]) is FAIL
    assert worst([WARN, OK]) is WARN
