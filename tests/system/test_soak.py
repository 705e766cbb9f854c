"""The verdict of the soak: what is wrong fails it, whatever it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.soak import Found, Minute, Tally, report
from tests.support.accounts import Truth

FIRST = Minute(
    1, rss_mib=90.0, n_threads=25, n_descriptors=120, load=0.5, up_s=[0.001], reconnects=1
)
EXACT = Truth(100, 100)
SLOW_UP = {"up_s": [0.001, 0.08]}


def verdict(
    *,
    truth: Truth = EXACT,
    wrong: int = 0,
    not_rising: int = 0,
    **last: Any,
) -> bool:
    """Judge two minutes, in which 60 of 100 values were delivered and 40 counted as lost."""
    tally = Tally()
    tally.add(truth, 60, 40)
    found = Found(tally, wrong, 7, 1000, (5, 60, not_rising), is_real_time=True)
    return report([FIRST, replace(FIRST, minute=2, **last)], found)


@pytest.mark.parametrize(
    "fine",
    [
        {},
        {"rss_mib": 94.0},
        {"truth": Truth(90, 100)},  # after a restart, within bounds
        {**SLOW_UP, "slow_ups_s": [(0.08, 0.07)]},  # the module had no processor meanwhile
    ],
)
def test_all_is_right(fine: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict(**fine)
    assert "Verdict: all is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"rss_mib": 94.8}, "memory grows"),
        ({"n_threads": 26}, "threads grow"),
        ({"n_descriptors": 121}, "descriptors grow"),
        ({"truth": Truth(101, 101)}, "values are unaccounted for"),
        ({"truth": Truth(90, 99)}, "values are unaccounted for"),
        ({"wrong": 1}, "values are wrong"),
        ({"not_rising": 1}, "values are wrong"),
        ({**SLOW_UP, "slow_ups_s": [(0.08, 0.01)]}, "UP takes too long"),
    ],
)
def test_each_fault_fails(
    fault: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not verdict(**fault)
    assert f"Verdict: {words}\n" in capsys.readouterr().out
