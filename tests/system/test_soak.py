"""The verdict of the soak: what is wrong fails it, whatever it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.soak import CheckedOutlets, Minute, report

FIRST = Minute(minute=1, rss_mib=90.0, n_threads=25, reconnects=0, lost=0)


def verdict(*, rss_mib: float = 94.0, n_threads: int = 25, lost: int = 40, wrong: int = 0) -> bool:
    """Judge two minutes, in which the sketch took 100 values and 60 were delivered."""
    taken = [FIRST, replace(FIRST, minute=2, rss_mib=rss_mib, n_threads=n_threads)]
    sink = CheckedOutlets.__new__(CheckedOutlets)  # without making outlets
    sink.delivered, sink.wrong = {"v0": 60}, wrong
    return report(taken, [{"lost": lost}], sink, {"v0": 1}, {"v0": 100}, 3)


def test_all_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict()
    assert "Verdict: all is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"rss_mib": 94.8}, "memory grows"),
        ({"n_threads": 26}, "threads grow"),
        ({"lost": 39}, "values are unaccounted for"),
        ({"wrong": 1}, "values are wrong"),
    ],
)
def test_each_fault_fails(
    fault: dict[str, float], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not verdict(**fault)  # type: ignore[arg-type]
    assert f"Verdict: {words}\n" in capsys.readouterr().out
