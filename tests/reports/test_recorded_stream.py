"""Recorded streams: whose they are, what they are, and their columns."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.reports.recorded_stream import LoadedRecording, RecordedStream, StreamRole


def stream(
    source_id: str, content_type: str = "Bela", text: bool = False, labels: tuple[str, ...] = ("x",)
) -> RecordedStream:
    kind = "string" if text else "float32"
    return RecordedStream(1, "s", content_type, kind, source_id, labels, 0.0, np.arange(3.0))


@pytest.mark.parametrize(
    ("made", "role"),
    [
        (stream("bela:b:p:s"), StreamRole.SAMPLES),
        (stream("bela:b:p:e", "Markers", text=True), StreamRole.EVENTS),
        (stream("bela:b:p:c", "Clock", labels=("tick", "uncertainty_s")), StreamRole.CLOCK),
        (stream("bela:b:p:c", "Clock", labels=("mine",)), StreamRole.SAMPLES),
        (stream("eeg-1", "EEG"), StreamRole.OTHER),
        (stream("", "Markers", text=True), StreamRole.OTHER),
    ],
)
def test_roles(made: RecordedStream, role: StreamRole) -> None:
    assert made.role is role


def test_the_board_is_in_the_identity() -> None:
    assert stream("bela:left:potentiometers:bela_pot1").board == "left:potentiometers"
    assert stream("eeg-1").board == ""


def test_a_column_that_was_not_kept_is_unknown() -> None:
    whole = stream("bela:b:p:s", labels=("a", "b"))
    values = np.array([[1.0], [2.0], [3.0]])
    made = RecordedStream(
        1, "s", "Bela", "float32", whole.source_id, ("a", "b"), 0.0, np.arange(3.0), (1,), values
    )
    assert made.column(1).tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(made.column(0)).all()


def test_a_recording_spans_all_streams() -> None:
    early, late = stream("a"), stream("b")
    recording = LoadedRecording("x.xdf", (early, late))
    assert (recording.begins_s, recording.ends_s) == (0.0, 2.0)
    assert np.isnan(LoadedRecording("x.xdf", ()).begins_s)
