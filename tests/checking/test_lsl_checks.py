"""LSL: found, received complete, unique: each fault turns its line."""

from __future__ import annotations

import pytest

from bela_module.checking.checker import judge
from bela_module.checking.facts import (
    ReceivedStream,
)
from bela_module.checking.verdicts import Verdict
from tests.support.check_facts import (
    Change,
    assert_turns,
    change_lsl,
    healthy_facts,
)

FAULTS: dict[str, tuple[Change, str, Verdict, str]] = {
    "streams that cannot be found": (
        change_lsl(found=(), found_in_s=None, received={}),
        "LSL found",
        Verdict.FAIL,
        "0 of 1",
    ),
    "streams that are found late": (
        change_lsl(found_in_s=2.5),
        "LSL found",
        Verdict.WARN,
        "2.50 s",
    ),
    "samples that are lost in LSL": (
        change_lsl(received={"bela_check_pot1": ReceivedStream("bela_check_pot1", 175_000, 0.03)}),
        "LSL received",
        Verdict.FAIL,
        "175000 of 176000",
    ),
    "samples that are old": (
        change_lsl(received={"bela_check_pot1": ReceivedStream("bela_check_pot1", 176_000, 0.9)}),
        "LSL received",
        Verdict.WARN,
        "900 ms old",
    ),
    "two boards of one name": (
        change_lsl(same_identity=("lab-pc-2",)),
        "LSL identity",
        Verdict.FAIL,
        "lab-pc-2",
    ),
    "LSL that does not work": (
        change_lsl(error="no liblsl"),
        "LSL",
        Verdict.FAIL,
        "no liblsl",
    ),
}


@pytest.mark.parametrize(("change", "line", "verdict", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_turns_its_line_alone(
    change: Change, line: str, verdict: Verdict, words: str
) -> None:
    assert_turns(change, line, verdict, words)


def test_events_and_clock_are_received_late_by_their_nature() -> None:
    received = {
        "bela_check_pot1": ReceivedStream("bela_check_pot1", 176_000, 0.03),
        "bela_check_clock": ReceivedStream("bela_check_clock", 8, 0.9),
    }
    facts = change_lsl(received=received)(healthy_facts())
    (line,) = [check for check in judge(facts) if check.name == "LSL received"]
    assert line.verdict is Verdict.OK
    assert "newest 30 ms old" in line.measured
