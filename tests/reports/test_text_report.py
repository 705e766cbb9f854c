"""The report as text: every part is there, and names are no markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from bela_module.reports.recording_report import report_on
from bela_module.reports.text_report import render_report
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import BEGIN_S, MadeRecording, healthy, regular


def shown(made: MadeRecording, folder: Path) -> str:
    console = Console(width=240)
    with console.capture() as capture:
        console.print(render_report(report_on(read_recording(made.write(folder / "x.xdf")))))
    return capture.get()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_healthy_one(tmp_path: Path) -> None:
    text = shown(healthy(), tmp_path)
    assert text.splitlines()[0].startswith("OK  ")
    assert text.splitlines()[0].endswith(" UTC")
    pot = ["ok", "bela_pot1", "dense", "10000", "1000.00", "1000.00"]
    assert any(row[:6] == pot and row[7:] == ["0", "0", "0.000", "0", "0"] for row in rows(text))
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


def test_of_many_gaps_the_longest_are_shown(tmp_path: Path) -> None:
    made = healthy()
    keep = np.ones(10_000, bool)
    for number in range(30):
        keep[300 * number + 100 : 300 * number + 102 + number] = False
    made.samples("bela_x", regular(10_000)[keep])
    made.events([(BEGIN_S, f"set x={number}") for number in range(99)])
    text = shown(made, tmp_path)
    lost = [row for row in rows(text) if row[3:] == ["loss", "bela_x"]]
    assert [int(row[2]) for row in lost] == list(range(22, 32))
    assert "the 10 longest of 30" in text
    assert "the first 30 of 101" in text
