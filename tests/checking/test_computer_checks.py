"""This computer: disk, ports, open files: each fault turns its line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bela_module.checking.checker import judge
from bela_module.checking.verdicts import Verdict
from tests.support.check_facts import (
    Change,
    assert_turns,
    change_computer,
    healthy_facts,
)

FAULTS: dict[str, tuple[Change, str, Verdict, str]] = {
    "a folder that cannot be written": (
        change_computer(folder_error="Permission denied"),
        "disk",
        Verdict.FAIL,
        "Permission denied",
    ),
    "a disk that is nearly full": (
        change_computer(free_bytes=10**8),
        "disk",
        Verdict.FAIL,
        "0.1 GiB",
    ),
    "a port that is taken": (
        change_computer(pcomm_port="taken"),
        "PCOMM port",
        Verdict.FAIL,
        "127.0.0.1:8080 is taken",
    ),
    "a port that needs more rights": (
        change_computer(pcomm_port="Permission denied"),
        "PCOMM port",
        Verdict.FAIL,
        "Permission denied",
    ),
    "too few open files": (
        change_computer(open_file_limit=90),
        "open files",
        Verdict.WARN,
        "20 of 90",
    ),
}


@pytest.mark.parametrize(("change", "line", "verdict", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_turns_its_line_alone(
    change: Change, line: str, verdict: Verdict, words: str
) -> None:
    assert_turns(change, line, verdict, words)


def test_room_is_told_in_hours_or_minutes() -> None:
    def disk(free_bytes: int) -> str:
        facts = change_computer(free_bytes=free_bytes, bytes_per_hour=1e9)(healthy_facts())
        return next(check.measured for check in judge(facts) if check.name == "disk")

    assert "59 min at this rate" in disk(999_000_000)
    assert "2.5 h" in disk(2_500_000_000)
    assert "weeks" in disk(10**13)


def test_a_healthy_board_is_fine_on_every_line() -> None:
    assert [check for check in judge(healthy_facts()) if check.verdict is not Verdict.OK] == []


@pytest.mark.parametrize(("n_found", "verdict"), [(1, Verdict.OK), (0, Verdict.WARN)])
def test_too_few_ports_for_lsl_matter_where_streams_are_not_found(
    n_found: int, verdict: Verdict
) -> None:
    """Beyond its range LSL takes any port, unless it is told not to."""
    facts = change_computer(free_lsl_ports=1)(healthy_facts())
    facts = replace(facts, lsl=replace(facts.lsl, found=facts.lsl.found[:n_found]))
    (check,) = [check for check in judge(facts) if check.name == "LSL ports"]
    assert check.verdict is verdict
    assert "1 of 32 are free, 2 needed" in check.measured
