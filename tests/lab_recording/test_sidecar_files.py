"""What is written beside a recording."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RecordingError
from bela_module.lab_recording.file_proof import StreamProof
from bela_module.lab_recording.sidecar_files import RecordedFile, as_text, write_sidecars
from bela_module.reports.recording_report import report_on
from bela_module.reports.verdicts import ReportVerdict
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import MadeRecording, healthy, regular

STATUS: dict[str, Any] = {"board": {"url": "ws://here:5555", "project": "simulation"}}


def recorded(tmp_path: Path, made: MadeRecording, **more: Any) -> RecordedFile:
    path = made.write(tmp_path / "rest.xdf")
    given: dict[str, Any] = {
        "proofs": [StreamProof("bela_pot1", 10_000, 10_000)],
        "problems": [],
        "versions": {"dp-bela": "1.2.3"},
        "configuration": {"board": {"name": "bela"}},
        **more,
    }
    report = report_on(read_recording(path))
    return RecordedFile(
        path, "bela:bela:simulation:", report, status=STATUS, streamed_s=10.0, **given
    )


def test_both_files(tmp_path: Path) -> None:
    one = recorded(tmp_path, healthy())
    assert one.own_verdict is ReportVerdict.OK
    write_sidecars(one)
    told = json.loads((tmp_path / "rest.json").read_text("utf-8"))
    assert told["complete"] is True
    assert told["faults"] == []
    assert told["proof"] == [
        {
            "name": "bela_pot1",
            "in_file": 10_000,
            "streamed": 10_000,
            "earlier": 0,
            "later": 0,
            "complete": True,
        }
    ]
    assert told["report"]["verdict"] == "ok"
    assert told["report"]["clocks"][0]["max_uncertainty_s"] == pytest.approx(0.0004)
    assert told["versions"] == {"dp-bela": "1.2.3"}
    assert told["configuration"] == {"board": {"name": "bela"}}
    assert told["status"] == STATUS
    page = (tmp_path / "rest.md").read_text("utf-8")
    for words in (
        "# rest.xdf\n",
        "Complete: the file has every sample",
        "- board: simulation at ws://here:5555",
        "- dp-bela: 1.2.3",
        "| bela_pot1 | 10000 | 10000 |",
        "stamps are within 0.400 ms",
        '"name": "bela"',
    ):
        assert words in page


@pytest.mark.skipif(sys.platform != "linux", reason="names are texts there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff")
    folder.mkdir()
    write_sidecars(recorded(folder, healthy()))
    assert json.loads((folder / "rest.json").read_text("utf-8"))["complete"] is True
    assert "bad\\udcff" in (folder / "rest.md").read_text("utf-8")


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    one = recorded(
        tmp_path,
        healthy(),
        proofs=[StreamProof("a|b", None, 7)],
        problems=["LabRecorder has ended before its time: killed"],
    )
    assert one.faults == [
        "a|b is not in the file",
        "LabRecorder has ended before its time: killed",
    ]
    assert one.as_json()["complete"] is False
    page = as_text(one)
    assert "**Not complete:**\n- a|b is not in the file\n- LabRecorder has" in page
    assert "| a\\|b | - | 7 |" in page


def test_markers_of_before_and_after_are_told(tmp_path: Path) -> None:
    one = recorded(tmp_path, healthy(), proofs=[StreamProof("bela_events", 29, 33, 4, 1)])
    assert one.faults == []
    page = as_text(one)
    assert "| bela_events | 29 | 33, 4 of them before it recorded, and 1 while it ended |" in page


def test_streams_of_other_boards_are_not_judged(tmp_path: Path) -> None:
    made = healthy()
    backwards_s = regular(100)[::-1].copy()
    made.samples("bela_x", backwards_s, source_id="bela:other:simulation:bela_x")
    other = recorded(tmp_path, made)
    assert other.report.verdict is ReportVerdict.FAIL
    assert other.own_verdict is not ReportVerdict.FAIL
    assert replace(other, identity="bela:other:simulation:").own_verdict is ReportVerdict.FAIL


def test_numbers_that_json_has_not(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_pot1", np.empty(0))
    json.dumps(recorded(tmp_path, made).as_json(), allow_nan=False)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    one = recorded(tmp_path, healthy(100))
    (tmp_path / "rest.md").write_text("precious")
    with pytest.raises(RecordingError, match=r"rest.md cannot be written: .*rest.xdf"):
        write_sidecars(one)
    assert (tmp_path / "rest.md").read_text() == "precious"
