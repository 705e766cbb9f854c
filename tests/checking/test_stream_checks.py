"""What came: completeness, slow and uneven variables, lateness: each fault turns its line."""

from __future__ import annotations

import pytest

from bela_module.checking.facts import (
    HeardVariable,
)
from bela_module.checking.verdicts import Verdict
from tests.support.check_facts import (
    Change,
    assert_turns,
    change_run,
    change_status,
    stream,
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
        lambda facts: with_streams(facts, stream(), stream("bela_check_pot2", samples=0)),
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
        change_run(delay_s=0.4),
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
