"""Run all of the tests of robustness, of which the suite has time for a part, and tabulate them.

Every fault at every moment, random walks over commands and faults, and mutated messages:

``python benchmarks/robustness.py [--walks 200] [--messages 300000] [--write docs/robustness.md]``
prints tables in Markdown and takes about eight minutes on two cores. The exit status is 1 when
anything has failed; the output of pytest then tells what.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.marked_text import write_between_marks  # noqa: E402

PROGRAM: Final = "benchmarks/robustness.py"
MATRIX: Final = "tests/system/test_fault_matrix.py"
WALKS: Final = "tests/system/test_walks.py"
FUZZ: Final = ("tests/connection/test_wire_fuzz.py", "tests/server/test_pcomm_fuzz.py")

MOMENTS: Final = ("streaming", "scheduled", "grouped", "connecting", "stopping")
TITLES: Final = {
    "drop-header": "lost headers",
    "drop-payload": "lost payloads",
    "drop-pair": "lost pairs",
    "corrupt-header": "corrupt headers",
    "corrupt-payload": "corrupt payloads and ticks",
    "oversized-payload": "an oversized frame (2 MiB)",
    "repeat-pair": "repeated pairs",
    "wrong-reply": "replies that are not JSON, or of another shape",
    "disconnect": "disconnect without a close frame",
    "disconnect-clean": "disconnect with a close frame",
    "disconnect-control": "disconnect of the control socket only",
    "disconnect-data": "disconnect of the data socket only",
    "refuse": "disconnect, then connections refused",
    "silence": "connections accepted, but no answer",
    "stall": "stalled network",
    "slow-asymmetric": "asymmetric, jittering delay",
    "restart": "restart, ticks at 0",
    "restart-renumbered": "restart, another project, other variables and numbers",
    "restart-renumbered-watched": "the same, and another client has its variables watched first",
    "pause": "a board whose ticks stand still (0.3 s)",
    "unassigned": "a variable that is not assigned (0.3 s)",
    "no-data": "a board that sends no data (0.3 s)",
    "other-watch": "another client's `watch`",
    "other-unwatch": "another client's `unwatch`",
    "other-log": "another client's `log`",
    "other-unlog": "another client's `unlog`",
    "step-forward": "clock step forward (0.1 s)",
    "step-back": "clock step back (0.1 s)",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test."""

    passed: bool
    seconds: float
    properties: Mapping[str, str] = field(default_factory=dict)


def outcomes(report: Path) -> dict[str, Outcome]:
    """Read what pytest has written as JUnit XML, by the names of the tests."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None
        properties = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
        found[case.get("name", "")] = Outcome(not failed, float(case.get("time", "0")), properties)
    return found


def run(files: Sequence[str], environment: Mapping[str, str]) -> dict[str, Outcome]:
    """Run test files with more of them than usual."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *files, f"--junitxml={report}"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=sys.stderr,
            check=False,
        )
        return outcomes(report)


def matrix_table(results: Mapping[str, Outcome]) -> str:
    """Tabulate every fault at every moment."""
    lines = [f"| fault | {' | '.join(MOMENTS)} |", "|---" * (len(MOMENTS) + 1) + "|"]
    for name, title in TITLES.items():
        cells = []
        for moment in MOMENTS:
            outcome = results.get(f"test_fault[{name}-{moment}]")
            if outcome is None:
                cells.append("not run")
            else:
                cells.append(outcome.properties["account"] if outcome.passed else "**failed**")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def summary_table(rows: Mapping[str, Mapping[str, Outcome]]) -> str:
    """Tabulate how many tests passed and what they counted."""
    lines = ["| what | tests | failed | counted |", "|---|---:|---:|---|"]
    for title, results in rows.items():
        failed = sum(not outcome.passed for outcome in results.values())
        counted = "; ".join(
            outcome.properties["counted"]
            for outcome in results.values()
            if "counted" in outcome.properties
        )
        lines.append(f"| {title} | {len(results)} | {failed} | {counted} |")
    return "\n".join(lines)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walks", type=int, default=200)
    parser.add_argument("--messages", type=int, default=300_000, help="mutated messages")
    parser.add_argument("--write", type=Path, help="put the tables between the marks of this file")
    options = parser.parse_args()
    matrix = run([MATRIX], {"BELA_MATRIX": "whole"})
    walks = run([WALKS], {"BELA_WALKS": str(options.walks)})
    fuzz = run(FUZZ, {"BELA_FUZZ_MESSAGES": str(options.messages)})
    results = {
        "faults at each moment, and faults that last": matrix,
        f"{options.walks} random walks": walks,
        f"{options.messages} mutated messages, and commands": fuzz,
    }
    text = f"{matrix_table(matrix)}\n\n{summary_table(results)}"
    print(text)
    if options.write is not None:
        write_between_marks(options.write, text, PROGRAM)
    return int(not all(o.passed for found in results.values() for o in found.values()))


if __name__ == "__main__":
    sys.exit(main())
