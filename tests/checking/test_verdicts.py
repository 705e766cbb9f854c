"""Verdicts: the worst counts, and each line can be read by people and programs."""

from __future__ import annotations

import json

from bela_module.checking.verdicts import Check, CheckReport, Verdict, worst

FINE = Check("clock", Verdict.OK, "stamps within 0.4 ms")
ODD = Check("ticks", Verdict.WARN, "paused for 0.0036 s", "lower the load")
BAD = Check("board", Verdict.FAIL, "no answer", "is it on?")


def test_the_worst_of_all_lines_is_the_verdict() -> None:
    assert worst([]) is Verdict.OK
    assert CheckReport((FINE,)).verdict is Verdict.OK
    assert CheckReport((FINE, ODD)).verdict is Verdict.WARN
    assert CheckReport((BAD, FINE, ODD)).verdict is Verdict.FAIL


def test_a_line_says_what_was_measured_and_what_to_do() -> None:
    assert FINE.as_line() == "OK   clock: stamps within 0.4 ms"
    assert BAD.as_line() == "FAIL board: no answer -> is it on?"


def test_the_summary_is_one_sentence() -> None:
    assert CheckReport((FINE,)).summary() == "ready: all 1 checks are fine"
    assert CheckReport((FINE, ODD)).summary() == "ready, with 1 of 2 checks to be looked at"
    assert CheckReport((BAD, ODD)).summary() == "not ready: 1 of 2 checks failed, 1 warned"


def test_programs_get_the_contracts_keys() -> None:
    assert json.loads(json.dumps(CheckReport((ODD,)).as_json())) == {
        "verdict": "warn",
        "checks": [
            {
                "name": "ticks",
                "verdict": "warn",
                "measured": "paused for 0.0036 s",
                "advice": "lower the load",
            }
        ],
    }
