"""The proof of a recording: samples in the file against those that were streamed."""

from __future__ import annotations

from pathlib import Path

from bela_module.lab_recording.file_proof import StreamProof, mismatches, prove
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import healthy

IDENTITY = "bela:bela:simulation:"
STREAMED = {"bela_pot1": 800, "bela_touch": 1, "bela_clock": 0, "bela_events": 2}


def test_a_complete_file(tmp_path: Path) -> None:
    made = healthy(800)
    made.samples("bela_pot1", made.streams[0].stamps_s, source_id="bela:other:simulation:bela_pot1")
    recording = read_recording(made.write(tmp_path / "x.xdf"))
    proofs = prove(recording, IDENTITY, STREAMED)
    assert [(p.name, p.n_in_file, p.n_streamed) for p in proofs] == [
        (name, n, n) for name, n in STREAMED.items()
    ]
    assert mismatches(proofs) == []


def test_what_is_missing_or_too_much_is_told(tmp_path: Path) -> None:
    recording = read_recording(healthy(800).write(tmp_path / "x.xdf"))
    streamed = {**STREAMED, "bela_pot1": 801, "bela_touch": 0, "bela_pot2": 0}
    assert mismatches(prove(recording, IDENTITY, streamed)) == [
        "bela_pot1: 800 samples in the file, 801 were streamed",
        "bela_touch: 1 samples in the file, 0 were streamed",
        "bela_pot2 is not in the file",
    ]


def test_markers_after_the_count_may_be_there_or_not(tmp_path: Path) -> None:
    recording = read_recording(healthy(800).write(tmp_path / "x.xdf"))
    streamed = {"bela_events": 1}  # the file has two
    assert mismatches(prove(recording, IDENTITY, streamed)) != []
    assert mismatches(prove(recording, IDENTITY, streamed, later={"bela_events": 1})) == []
    assert (
        mismatches(prove(recording, IDENTITY, {"bela_events": 2}, later={"bela_events": 1})) == []
    )


def test_markers_from_before_the_recorder_may_be_there_or_not() -> None:
    complete = [StreamProof("e", n, 5, 2).is_complete for n in range(7)]
    assert complete == [False, False, False, True, True, True, False]
