"""``report``: text, JSON, exit status, and one line for what is no recording of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bela_module.cli.command_line import main
from tests.support.paths import ROOT
from tests.support.pulse_signals import ONSETS_S
from tests.support.recordings import MadeRecording, healthy, regular, with_pulses


def test_text_of_a_healthy_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(healthy().write(tmp_path / "x.xdf"))]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("OK")
    assert "bela_pot1" in shown.out
    assert shown.err == ""


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(healthy().write(tmp_path / "x.xdf")), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["verdict"] == "ok"


def test_a_recording_that_fails_has_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = MadeRecording()
    made.samples("bela_pot1", np.delete(regular(10_000), np.arange(3000, 3500)))
    assert main(["report", str(made.write(tmp_path / "x.xdf"))]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("FAIL")
    assert shown.err == ""


@pytest.mark.parametrize("content", [None, b"", b"text", b"XDF:", b"XDF:\x04"])
def test_what_is_no_recording_is_told_in_one_line(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.xdf"
    if content is not None:
        path.write_bytes(content)
    assert main(["report", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith(f"dp-bela: {path}")


def test_a_recording_without_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = MadeRecording()
    made.samples("eeg", regular(10), source_id="eeg-1")
    assert main(["report", str(made.write(tmp_path / "x.xdf"))]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no stream of dp-bela" in line


def test_a_file_that_was_cut_short_is_no_traceback(tmp_path: Path) -> None:
    path = healthy().write(tmp_path / "x.xdf")
    path.write_bytes(path.read_bytes()[:-1000])
    done = subprocess.run(
        [sys.executable, "main.py", "report", str(path)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        timeout=50,
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.startswith(b"WARN")
    assert b"the file is cut short" in done.stdout


def test_wrong_arguments_have_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report"])
    assert ended.value.code == 2
    assert "FILE.xdf" in capsys.readouterr().err


# ---- pulses and pictures -----------------------------------------------------------------------

PULSES = ["--pulse", "bela_sync/0", "--against", "EEG/TRIG"]


def test_the_lag_between_two_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = with_pulses(lag_s=0.03)
    pulses = ["--pulse", "bela_sync/1", "--against", "EEG/TRIG"]
    assert main(["report", str(made.write(tmp_path / "x.xdf")), "--json", *pulses]) == 0
    whole = json.loads(capsys.readouterr().out)["pulses"]
    assert whole["matched"] == ONSETS_S.size
    assert whole["lag_s"] == pytest.approx(0.03, abs=0.002)
    assert whole["pulse"]["channel"] == "bela_sync/sync"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (PULSES, "bela_sync/ramp: no pulses are in its"),
        (["--pulse", "bela_sync/7", "--against", "EEG/1"], "bela_sync has no such channel; it has"),
        (["--pulse", "x/7", "--against", "EEG/1"], "is no channel of this recording"),
    ],
)
def test_channels_without_pulses_are_told_in_one_line(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(with_pulses().write(tmp_path / "x.xdf")), *words]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert told in line


def test_the_edge_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(with_pulses(lag_s=0.0).write(tmp_path / "x.xdf"))
    words = ["--pulse", "bela_sync/1", "--against", "EEG/1", "--against-edge", "falling", "--json"]
    assert main(["report", path, *words]) == 0
    whole = json.loads(capsys.readouterr().out)["pulses"]
    assert whole["lag_s"] == pytest.approx(0.02, abs=0.002)
    assert whole["against"]["edges"] == "falling"


def test_pulses_of_others_need_no_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = with_pulses()
    for stream in made.streams:
        stream.source_id = stream.name
    path = str(made.write(tmp_path / "x.xdf"))
    assert main(["report", path, "--pulse", "bela_sync/1", "--against", "EEG/1"]) == 0
    assert "neither channel is a board's" in capsys.readouterr().out


def test_one_channel_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", "x.xdf", "--pulse", "bela_sync/0"])
    assert ended.value.code == 2
    assert "--pulse and --against belong together" in capsys.readouterr().err


def test_a_page_with_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "x.html"
    path = healthy(1000).write(tmp_path / "x.xdf")
    assert main(["report", str(path), "--html", str(page)]) == 0
    assert "<svg" in page.read_text(encoding="utf-8")
    assert main(["report", str(path), "--html", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is the recording itself" in line
