"""The screen: JSON lines at their rate, plain lines without a terminal, a summary at the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bela_module.cli.screen import Screen

STATUS: dict[str, Any] = {
    "state": "streaming",
    "board": {"project": "simulation", "url": "ws://127.0.0.1:1", "tick_rate_hz": 22050.0},
    "clock": {"uncertainty_s": None, "drift_ppm": None, "rtt_s": None},
    "counters": dict.fromkeys(
        ("blocks", "reconnects", "restarts", "bad_frames", "orphan_headers", "orphan_payloads"), 0
    ),
    "streams": [],
    "problems": [],
    "notices": [],
    "last_error": None,
}


def test_json_lines_come_once_a_second_and_end_with_the_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen(json_lines=True)
    assert not screen.live
    with screen:
        for _ in range(3):
            screen.show(STATUS)
    screen.print_line("for people")
    screen.summary(STATUS)
    shown = capsys.readouterr()
    assert shown.err == "for people\n"
    first, last = (json.loads(line) for line in shown.out.splitlines())
    assert first == STATUS
    assert last == {**STATUS, "samples": 0, "lost": 0, "final": True}


def test_without_a_terminal_only_the_summary_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(json_lines=False)
    assert not screen.live
    screen.print_line("served")
    with screen:
        screen.show(STATUS)
    screen.summary(STATUS)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "served"
    assert shown[1].startswith("dp-bela streaming  simulation at ws://127.0.0.1:1")
    assert len(shown) == 3


def test_lines_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(json_lines=False).print_line("served at [::1]:8080 [/red]")
    assert capsys.readouterr().out == "served at [::1]:8080 [/red]\n"
