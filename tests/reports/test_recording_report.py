"""Reports of whole recordings: several boards, other streams, JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bela_module.errors import RecordingError
from bela_module.reports.recording_report import (
    RecordingReport,
    as_json,
    report_on,
    require_ours,
    without_nan,
)
from bela_module.reports.verdicts import ReportVerdict
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import BEGIN_S, MadeRecording, healthy, regular


def report(made: MadeRecording, folder: Path) -> RecordingReport:
    return report_on(read_recording(made.write(folder / "x.xdf")))


def test_a_healthy_recording_is_ok(tmp_path: Path) -> None:
    made = report(healthy(), tmp_path)
    assert made.verdict is ReportVerdict.OK
    assert [account.title for account in made.streams] == ["bela_pot1", "bela_touch"]
    assert made.unix_begin_s == pytest.approx(1e9 + BEGIN_S - 0.01)
    require_ours(made)


def test_json_is_json(tmp_path: Path) -> None:
    made = healthy()
    made.samples("eeg", regular(10), source_id="eeg-1")
    whole = json.loads(json.dumps(without_nan(as_json(report(made, tmp_path))), allow_nan=False))
    assert whole["verdict"] == "ok"
    assert [stream["name"] for stream in whole["streams"]] == ["bela_pot1", "bela_touch"]
    assert whole["streams"][0]["samples"] == 10_000
    assert whole["streams"][1]["rate_error_ppm"] is None
    assert whole["clocks"][0]["max_uncertainty_s"] == 0.0004
    assert [event["text"] for event in whole["events"]] == ["started", "stopped"]
    assert whole["events"][0]["board"] == "bela:simulation"
    assert whole["other_streams"] == [{"name": "eeg", "source_id": "eeg-1", "samples": 10}]
    assert whole["duration_s"] == pytest.approx(10.019)


def test_events_count_for_the_board_that_they_are_of(tmp_path: Path) -> None:
    made = MadeRecording()
    stamps_s = np.delete(regular(10_000), np.arange(3000, 3020))
    for board in ("left", "right"):
        made.samples("bela_pot1", stamps_s, labels=("pot1",), source_id=f"bela:{board}:p:bela_pot1")
    markers = [(BEGIN_S + 3.0, "gap pot1 20")]
    made.events(markers, source_id="bela:left:p:bela_events")
    left, right = report(made, tmp_path).streams
    assert (left.title, right.title) == ("bela_pot1 (left:p, 1)", "bela_pot1 (right:p, 2)")
    assert left.disagreements == ()
    assert "events tell of 0" in right.disagreements[0]


def test_a_recording_without_clock_and_events_is_worth_a_warning(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_pot1", regular(100))
    one = report(made, tmp_path)
    assert one.verdict is ReportVerdict.WARN
    assert math.isnan(one.unix_begin_s)
    assert [f.text.split(" in this")[0] for f in one.findings[1:]] == [
        "no bela_clock",
        "no bela_events",
    ]


def test_streams_of_others_only(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("eeg", regular(10), source_id="eeg-1")
    with pytest.raises(RecordingError, match="no stream of dp-bela .*, only eeg; was the recorder"):
        require_ours(report(made, tmp_path))
