"""What came: completeness, slow and uneven variables, lateness: each fault turns its line."""

from __future__ import annotations

import pytest

from bela_module.checking.facts import (
    HeardVariable,
    ReceivedStream,
    RoundTrips,
)
from bela_module.checking.verdicts import Verdict
from tests.support.check_facts import (
    Change,
    assert_turns,
    change_lsl,
    change_run,
    change_status,
    stream,
    with_run,
    with_streams,
)

FAULTS: dict[str, tuple[Change, str, Verdict, str]] = {
    "a START that is refused": (
        change_run(error="no such variable"),
        "streams",
        Verdict.FAIL,
        "no such",
    ),
    "a stream without samples": (
        lambda facts: with_run(
            with_streams(facts, stream(), stream("bela_check_pot2", samples=0)),
            changed=frozenset({"pot2"}),
        ),
        "streams",
        Verdict.FAIL,
        "pot2",
    ),
    "silence of what others watch": (
        change_run(heard=(HeardVariable("pot9", 0, 0, 0, sparse=False),)),
        "streams",
        Verdict.WARN,
        "pot9",
    ),
    "some values lost": (
        lambda facts: with_streams(facts, stream(lost=1024)),
        "complete",
        Verdict.WARN,
        "1024 lost (bela_check_pot1)",
    ),
    "many values lost": (
        lambda facts: with_streams(facts, stream(lost=50_000)),
        "complete",
        Verdict.FAIL,
        "50000 lost",
    ),
    "losses of what others watch": (
        change_run(heard=(HeardVariable("pot9", 100_000, 1024, 98, sparse=False),)),
        "complete",
        Verdict.WARN,
        "pot9",
    ),
    "incomplete messages": (
        change_status(counters={"orphan_headers": 2, "reconnects": 0, "restarts": 0}),
        "complete",
        Verdict.WARN,
        "2 incomplete",
    ),
    "a lost connection": (
        change_status(counters={"reconnects": 1, "restarts": 0}),
        "complete",
        Verdict.FAIL,
        "connection lost",
    ),
    "a restart": (
        change_status(counters={"reconnects": 0, "restarts": 1}),
        "complete",
        Verdict.FAIL,
        "restarted",
    ),
    "a connection that does not come back": (
        change_status(board={"connected": False, "sample_rate_hz": 44100.0, "tick_rate_hz": 44100}),
        "complete",
        Verdict.FAIL,
        "nothing comes any more",
    ),
    "a silence in which requests are not answered, either": (
        lambda facts: with_run(
            with_streams(facts, stream(lost=88_000)),
            problems=("nothing has come from the board for a second",),
            round_trips=RoundTrips((0.001,) * 40 + (1.2,), n_lost=1),
        ),
        "complete",
        Verdict.FAIL,
        "nothing came for a second",
    ),
    "a restart in the midst of everything": (
        lambda facts: with_run(
            change_status(
                counters={"restarts": 1},
                notices=["the board's ticks paused for 2.0 s"],
            )(facts),
            uncertainty_s=0.5,
            round_trips=RoundTrips((0.001,) * 40 + (1.2,), n_lost=1),
        ),
        "complete",
        Verdict.FAIL,
        "restarted",
    ),
    "no data at all, though the board answers": (
        lambda facts: change_lsl(received={"bela_check_pot1": ReceivedStream("", 0, None)})(
            with_streams(facts, stream(samples=0), counters={"reconnects": 1})
        ),
        "streams",
        Verdict.FAIL,
        "not one sample",
    ),
    "values that come late and in pauses": (
        lambda facts: with_run(
            with_streams(
                facts, stream(), stream("bela_check_aux", samples=1000, lost=2048, delay_s=2.0)
            ),
            delays_s={"bela_check_pot1": 0.03, "bela_check_aux": 2.0},
            problems=(
                "aux: not assigned all the time, while its blocks carry one tick each: withheld",
            ),
        ),
        "uneven",
        Verdict.WARN,
        "2048 values withheld",
    ),
    "uneven values": (
        change_run(problems=("aux: assigned unevenly, while its blocks carry one tick each",)),
        "uneven",
        Verdict.WARN,
        "aux",
    ),
    "slow values that wait": (
        lambda facts: with_streams(
            facts, stream(), stream("bela_check_touch", mode="sparse", samples=0)
        ),
        "slow values",
        Verdict.WARN,
        "touch",
    ),
    "late blocks": (
        change_run(delays_s={"bela_check_pot1": 0.4}),
        "lateness",
        Verdict.WARN,
        "400 ms",
    ),
}


@pytest.mark.parametrize(("change", "line", "verdict", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_turns_its_line_alone(
    change: Change, line: str, verdict: Verdict, words: str
) -> None:
    assert_turns(change, line, verdict, words)
