"""The tables of ``benchmarks/robustness.py``: all faults are in them, and failures show."""

from __future__ import annotations

from pathlib import Path

from benchmarks.robustness import MOMENTS, TITLES, Outcome, matrix_table, outcomes, summary_table
from tests.support.fault_cases import CASES

REPORT = """<testsuites><testsuite name="pytest">
<testcase name="test_fault[stall-streaming]" time="1.5">
<properties><property name="account" value="=" /></properties></testcase>
<testcase name="test_fault[stall-stopping]" time="2.0"><failure>text</failure></testcase>
<testcase name="test_walks" time="9"><properties><property name="counted" value="3 gaps" />
</properties></testcase>
</testsuite></testsuites>"""


def test_every_fault_has_a_title() -> None:
    assert list(TITLES) == [case.name for case in CASES]


def test_a_report_becomes_tables(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(REPORT, encoding="utf-8")
    results = outcomes(path)
    assert results["test_fault[stall-streaming]"] == Outcome(True, 1.5, {"account": "="})
    line = next(x for x in matrix_table(results).splitlines() if "stalled" in x)
    cells = dict(zip(MOMENTS, [cell.strip() for cell in line.split("|")[2:-1]], strict=True))
    assert cells == dict.fromkeys(MOMENTS, "not run") | {
        "streaming": "=",
        "stopping": "**failed**",
    }
    assert "| all | 3 | 1 | 3 gaps |" in summary_table({"all": results})
