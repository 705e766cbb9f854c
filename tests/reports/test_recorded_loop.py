"""What ``bela_loop`` of a recording says of each input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bela_module.reports.recorded_loop import recorded_loops
from bela_module.reports.recorded_stream import StreamRole
from bela_module.reports.recording_report import as_json, report_on
from bela_module.reports.report_tables import report_tables
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import healthy, regular


def test_delays_and_losses_of_each_input(tmp_path: Path) -> None:
    made = healthy()
    stamps_s = 100.0 + 0.1 * np.arange(200)
    one_way_s = np.where(np.arange(200) % 2 == 0, 0.002, 0.010)
    one_way_s[50] = 0.5
    made.loop(stamps_s, one_way_s, np.arange(200.0) % 2, np.where(np.arange(200) < 100, 3, 7))
    recording = read_recording(made.write(tmp_path / "x.xdf"))
    (stream,) = [one for one in recording.streams if one.name == "bela_loop"]
    assert stream.role is StreamRole.LOOP
    report = report_on(recording)
    first, second = as_json(report)["loops"]
    assert (first["commands"], first["lost"], second["commands"]) == (100, 4, 100)
    assert first["one_way_s"]["p50"] == pytest.approx(0.002)
    assert first["one_way_s"]["max"] == pytest.approx(0.5)
    assert second["round_trip_s"]["p99"] == pytest.approx(0.020)
    assert first["max_uncertainty_s"] == pytest.approx(0.0004)
    (table,) = [one for one in report_tables(report) if one.title == "Closed loop"]
    assert [row[1:4] for row in table.rows] == [("100", "4", "2.00"), ("100", "4", "10.00")]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.numbers <= set(table.columns)
    assert all(account.title != "bela_loop" for account in report.streams)


def test_a_recording_without_commands_has_none(tmp_path: Path) -> None:
    made = healthy()
    made.loop(np.empty(0), np.empty(0), np.empty(0), np.empty(0))
    report = report_on(read_recording(made.write(tmp_path / "x.xdf")))
    assert as_json(report)["loops"] == []
    (table,) = [one for one in report_tables(report) if one.title == "Closed loop"]
    assert (table.rows, table.note) == ([], "")
    assert recorded_loops("b:p", []) == []


def test_commands_without_a_count_of_losses(tmp_path: Path) -> None:
    made = healthy()
    lost = np.array([3.0, np.nan, 5.0, np.nan])
    made.loop(regular(4), np.full(4, 0.002), np.array([0.0, 0.0, 0.0, 1.0]), lost)
    report = report_on(read_recording(made.write(tmp_path / "x.xdf")))
    assert [(one["commands"], one["lost"]) for one in as_json(report)["loops"]] == [(3, 2), (1, 0)]
