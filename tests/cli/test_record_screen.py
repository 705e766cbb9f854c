"""The progress of a recording: line, JSON, notices."""

from __future__ import annotations

import json
import threading

import pytest

from bela_module.cli.record_screen import RecordScreen, progress_line, shown_bytes
from bela_module.lab_recording.recording_order import RecordingProgress, RecordingStage

PROGRESS = RecordingProgress(RecordingStage.RECORDING, 3725.4, 12_345_678, 9, 308_224, 512)


def never() -> bool:
    return False


def test_a_line() -> None:
    assert progress_line("rest.xdf", PROGRESS) == (
        "recording rest.xdf  1:02:05  12.3 MB  9 streams  308224 samples  512 lost"
    )


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (2_500_000_000, "2.5 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes(n_bytes: int, text: str) -> None:
    assert shown_bytes(n_bytes) == text


def test_without_a_terminal_it_is_quiet_but_for_notices(capsys: pytest.CaptureFixture[str]) -> None:
    with RecordScreen("rest.xdf", json_lines=False, is_over=never) as screen:
        screen.progress(PROGRESS)
        screen.notice("the disk will be [full]")
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "the disk will be [full]\n")


def test_json_lines_are_at_most_one_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with RecordScreen("rest.xdf", json_lines=True, is_over=never) as screen:
        screen.progress(PROGRESS)
        screen.progress(PROGRESS)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "stage": "recording",
        "elapsed_s": 3725.4,
        "size_bytes": 12_345_678,
        "streams": 9,
        "samples": 308_224,
        "lost": 512,
    }


def test_a_terminal_shows_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with RecordScreen("rest.xdf", json_lines=False, is_over=never) as screen:
        screen.progress(PROGRESS)
        screen.notice("[red]worth knowing")
    shown = capsys.readouterr().err
    assert "308224 samples" in shown
    assert "[red]worth knowing" in shown


def test_it_ends_when_asked_to() -> None:
    ending = threading.Event()
    screen = RecordScreen("x", json_lines=True, is_over=ending.is_set)
    assert not screen.is_cancelled()
    ending.set()
    assert screen.is_cancelled()
