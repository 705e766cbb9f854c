"""What people see of a session: the table, and how it ended in a line."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from bela_module.cli.live_view import render, shortcoming, totals

STREAM = {
    "name": "bela_pot1",
    "variables": ["pot1"],
    "mode": "dense",
    "format": "float32",
    "nominal_rate_hz": 22050.0,
    "effective_rate_hz": 22049.8,
    "samples": 102400,
    "lost": 0,
    "gaps": 0,
    "last_lsl_s": 1234.5,
    "delay_s": 0.05,
}
COUNTERS = {
    "blocks": 100,
    "orphan_headers": 0,
    "orphan_payloads": 0,
    "foreign_blocks": 0,
    "bad_frames": 0,
    "reconnects": 0,
    "restarts": 0,
}


def status_of(*streams: dict[str, Any], **changes: Any) -> dict[str, Any]:
    status = {
        "module": "dp-bela",
        "version": "1.0",
        "state": "streaming",
        "board": {
            "url": "ws://127.0.0.1:5555",
            "connected": True,
            "project": "potentiometers",
            "sample_rate_hz": 44100.0,
            "tick_rate_hz": 22050.125,
            "tick": 123456,
        },
        "clock": {
            "uncertainty_s": 0.0004,
            "drift_ppm": 12.34,
            "rtt_s": 0.0011,
            "probes": 40,
            "generation": 1,
        },
        "streams": [STREAM | stream for stream in streams],
        "counters": COUNTERS,
        "controlled": [],
        "problems": [],
        "shortfalls": [],
        "notices": [],
        "last_error": None,
    }
    return status | changes


def shown(status: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(render(status))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words(line: str) -> str:
    """Give a line without its columns."""
    return " ".join(line.split())


# ---- the table ---------------------------------------------------------------------------------


def test_a_session_in_a_few_lines() -> None:
    lines = shown(status_of({}, {"name": "bela_touch", "mode": "sparse"})).splitlines()
    assert lines[0].strip() == (
        "dp-bela streaming  potentiometers at ws://127.0.0.1:5555  22050.12 ticks/s"
    )
    assert "times within 400 µs, drift +12.3 ppm, round trip 1.10 ms, 100 blocks" in lines[1]
    assert words(lines[2]) == "stream mode format nominal Hz measured Hz samples lost gaps delay s"
    assert words(lines[3]) == "bela_pot1 dense float32 22050.00 22049.80 102400 0 0 0.050"
    assert words(lines[4]).startswith("bela_touch sparse ")


def test_what_is_not_known_yet_is_left_open() -> None:
    nothing = dict.fromkeys(("uncertainty_s", "drift_ppm", "rtt_s")) | {"probes": 0}
    board = {"url": "ws://bela.local:5555", "project": None, "tick_rate_hz": None}
    text = shown(
        status_of(
            {"nominal_rate_hz": None, "effective_rate_hz": None, "delay_s": None},
            state="waiting",
            clock=nothing,
            board=board,
        )
    )
    assert "dp-bela waiting  no project yet at ws://bela.local:5555" in text
    assert "bela_pot1 dense float32 - - 102400 0 0 -" in map(words, text.splitlines())
    assert "None" not in text


def test_trouble_is_shown() -> None:
    text = shown(
        status_of(
            {"lost": 1024, "gaps": 2},
            counters=COUNTERS | {"reconnects": 3, "orphan_headers": 1},
            last_error="the board is gone",
        )
    )
    assert "3 reconnects, 1 orphan headers" in text
    assert " 1024 " in text
    assert "the board is gone" in text


def test_a_long_table_is_cut() -> None:
    text = shown(status_of(*({"name": f"bela_v{k}"} for k in range(130))))
    assert "bela_v39 " in text
    assert "bela_v40 " not in text
    assert "... and 90 more" in text


# ---- the end -----------------------------------------------------------------------------------


def test_totals() -> None:
    assert totals(status_of({"samples": 3, "lost": 1}, {"samples": 4})) == (7, 1)
    assert totals(status_of()) == (0, 0)


@pytest.mark.parametrize(
    ("streams", "error", "reason"),
    [
        ([{}], None, None),
        ([{}], "an error that was got over", None),
        ([{}, {"samples": 0, "mode": "sparse"}], None, None),  # nobody touched it
        ([{"samples": 0}, {}], None, "no samples in bela_pot1"),
        ([{"lost": 7}], None, "7 values were lost, 102400 samples were delivered"),
        ([], None, "no stream was begun"),
        ([], "cannot connect", "cannot connect"),
    ],
)
def test_what_was_not_delivered(
    streams: list[dict[str, Any]], error: str | None, reason: str | None
) -> None:
    assert shortcoming(status_of(*streams, last_error=error)) == reason


def test_a_problem_shows_once_even_when_it_is_the_last_error_too() -> None:
    problem = "a: asked for, but nothing comes: still assigned by the sketch?"
    assert shown(status_of(problems=[problem], last_error=problem)).count(problem) == 1
    both = shown(status_of(problems=[problem], last_error="something else"))
    assert problem in both
    assert "something else" in both
