"""The tables of a report: each row has as many words as there are columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bela_module.reports.recording_report import RecordingReport, report_on
from bela_module.reports.report_tables import ReportTable, recording_facts, report_tables
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import BEGIN_S, MadeRecording, healthy, regular


def report(made: MadeRecording, folder: Path) -> RecordingReport:
    return report_on(read_recording(made.write(folder / "x.xdf")))


def tables(made: MadeRecording, folder: Path) -> dict[str, ReportTable]:
    found = {table.title: table for table in report_tables(report(made, folder))}
    for table in found.values():
        assert {len(row) for row in table.rows} <= {len(table.columns)}
        assert table.numbers <= set(table.columns)
    return found


def test_the_worst_finding_is_first(tmp_path: Path) -> None:
    made = healthy()
    made.samples("bela_x", np.delete(regular(10_000), np.arange(3000, 3500)), labels=("x",))
    rows = tables(made, tmp_path)["Verdict"].rows
    assert [row[0] for row in rows] == ["fail", "warn", "ok", "ok", "ok", "ok"]
    assert rows[0][1] == "bela_x"


def test_a_stream_in_a_row(tmp_path: Path) -> None:
    rows = tables(healthy(), tmp_path)["Streams"].rows
    assert rows[0][:4] == ("ok", "bela_pot1", "10000", "1000.00")
    assert rows[0][5:] == ("0", "0", "0.000", "0")
    assert rows[1] == ("ok", "bela_touch", "10", "1.00", *"----", "0")


def test_of_many_gaps_and_events_some_are_shown(tmp_path: Path) -> None:
    made = healthy()
    keep = np.ones(10_000, bool)
    for number in range(30):
        keep[300 * number + 100 : 300 * number + 102 + number] = False
    made.samples("bela_x", regular(10_000)[keep])
    made.events([(BEGIN_S, f"set x={number}") for number in range(99)])
    found = tables(made, tmp_path)
    breaks, events = found["Gaps and pauses"], found["Events"]
    assert [int(row[2]) for row in breaks.rows] == list(range(22, 32))
    assert breaks.note == "the 10 longest of 30; --json has all"
    assert len(events.rows) == 30
    assert events.note == "the first 30 of 101; --json has all"


def test_events_of_several_boards_tell_of_which(tmp_path: Path) -> None:
    made = healthy()
    made.events([(BEGIN_S + 1, "started")], source_id="bela:left:p:bela_events")
    events = tables(made, tmp_path)["Events"]
    assert events.columns == ("at s", "event", "board")
    assert [row[1:] for row in events.rows] == [
        ("started", "bela:simulation"),
        ("started", "left:p"),
        ("stopped", "bela:simulation"),
    ]


def test_facts(tmp_path: Path) -> None:
    made = healthy()
    made.samples("eeg", regular(10), source_id="eeg-1")
    facts = dict(recording_facts(report(made, tmp_path)))
    assert facts == {
        "length": "10.0 s",
        "begins": "2001-09-09 03:09:59 UTC",
        "clock of bela:simulation": "drift +12.5 ppm, 10 statements, 0 restarts",
        "other streams": "eeg (10)",
    }


def test_a_wall_clock_that_is_none_is_left_out(tmp_path: Path) -> None:
    for unix_s in (1e300, -1e15, np.nan):
        made = MadeRecording()
        made.clock(regular(3, 1.0), np.full(3, 0.001), unix_s)
        assert [name for name, _ in recording_facts(report(made, tmp_path))][:1] == ["length"]
        assert "begins" not in dict(recording_facts(report(made, tmp_path)))


def test_an_empty_recording(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_x", regular(0))
    found = tables(made, tmp_path)
    assert found["Recording"].rows == found["Events"].rows == found["Gaps and pauses"].rows == []
