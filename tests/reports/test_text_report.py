"""The report as text: every part is there, and names are no markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from bela_module.reports.recording_report import RecordingReport, report_on
from bela_module.reports.text_report import plain_report, render_report
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import (
    BEGIN_S,
    MadeRecording,
    healthy,
    pulses_of,
    regular,
    with_pulses,
)


def report_text(report: RecordingReport, width: int = 240) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(render_report(report))
    return capture.get()


def shown(made: MadeRecording, folder: Path) -> str:
    return report_text(report_on(read_recording(made.write(folder / "x.xdf"))))


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_healthy_one(tmp_path: Path) -> None:
    text = shown(healthy(), tmp_path)
    assert text.splitlines()[0].startswith("OK  ")
    assert "begins: 2001-09-09 03:09:59 UTC" in text
    pot = ["ok", "bela_pot1", "10000", "1000.00"]
    assert any(row[:4] == pot and row[5:] == ["0", "0", "0.000", "0"] for row in rows(text))
    assert "stamps are within 0.400 ms" in text
    assert "started" in text


def test_losses_and_others(tmp_path: Path) -> None:
    made = healthy()
    made.samples("bela_[/red]", np.delete(regular(10_000), np.arange(3000, 3500)), labels=("x",))
    made.samples("eeg", regular(10), source_id="eeg-1")
    text = shown(made, tmp_path)
    assert text.startswith("FAIL")
    assert ["3.0100", "0.5000", "500", "loss", "bela_[/red]"] in rows(text)
    assert "other streams: eeg (10)" in text


def test_pulses_are_shown(tmp_path: Path) -> None:
    path = with_pulses().write(tmp_path / "x.xdf")
    text = report_text(pulses_of(path))
    assert "Pulses of bela_sync/sync against EEG/TRIG" in text
    assert any(
        row[0] == "lag" and row[2:6] == ["ms", "in", "the", "median:"] for row in rows(text) if row
    )


def test_plain_lines_end_with_their_words(tmp_path: Path) -> None:
    report = report_on(read_recording(healthy().write(tmp_path / "x.xdf")))
    lines = plain_report(report, 240).splitlines()
    assert lines[0] == f"OK  {tmp_path / 'x.xdf'}"
    assert lines == [line.rstrip() for line in lines]
    assert [line.split() for line in lines] == rows(report_text(report))


def test_notes_stand_below_their_tables(tmp_path: Path) -> None:
    made = healthy()
    made.events([(BEGIN_S, f"set x={number}") for number in range(99)])
    assert "the first 30 of 101; --json has all" in shown(made, tmp_path)


def test_on_a_narrow_terminal_no_number_is_cut(tmp_path: Path) -> None:
    made = healthy()
    made.samples("bela_x", np.delete(regular(10_000), np.arange(3000, 3500)), labels=("x",))
    text = report_text(report_on(read_recording(made.write(tmp_path / "x.xdf"))), 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    row = ["fail", "bela_x", "9500", "1000.00"]
    assert any(one[:4] == row and one[5:] == ["1", "500", "0.500", "0"] for one in rows(text))
