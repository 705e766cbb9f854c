"""Samples of a file are counted while it grows, chunk by chunk."""

from __future__ import annotations

from pathlib import Path

from bela_module.lab_recording.growing_file import GrowingXdf
from tests.support.recordings import healthy


def test_a_file_that_grows_byte_by_byte_is_counted_as_far_as_chunks_are_whole(
    tmp_path: Path,
) -> None:
    whole = healthy(800).write(tmp_path / "whole.xdf").read_bytes()
    path = tmp_path / "growing.xdf"
    growing = GrowingXdf(path)
    growing.look()
    assert (growing.n_bytes, growing.n_samples, growing.streams) == (0, 0, {})
    counts = []
    with path.open("wb") as file:
        for begin in range(0, len(whole), 97):
            file.write(whole[begin : begin + 97])
            file.flush()
            growing.look()
            counts.append(growing.n_samples)
    assert counts == sorted(counts)
    assert len(set(counts)) > 6
    named = {stream.name: stream for stream in growing.streams.values()}
    assert {name: one.n_samples for name, one in named.items()} == {
        "bela_pot1": 800,
        "bela_touch": 1,
        "bela_clock": 0,
        "bela_events": 2,
    }
    assert growing.n_bytes == len(whole)
    assert named["bela_pot1"].source_id == "bela:bela:simulation:bela_pot1"
    assert 13 <= named["bela_pot1"].sample_bytes < 14  # a stamp, its length, a float
    assert named["bela_clock"].sample_bytes == 0


def test_what_is_missing_is_estimated_in_bytes(tmp_path: Path) -> None:
    file = GrowingXdf(healthy(1000).write(tmp_path / "x.xdf"))
    file.look()
    streamed = {"bela_pot1": 1100, "bela_touch": 0, "bela_clock": 0, "not there": 5}
    assert 1300 <= file.missing_bytes(streamed, "bela:bela:simulation:") < 1500
    assert file.missing_bytes(streamed, "bela:other:") == 0


def test_samples_of_a_board(tmp_path: Path) -> None:
    made = healthy(1000)
    made.samples("EEG", made.streams[0].stamps_s, source_id="eeg")
    file = GrowingXdf(made.write(tmp_path / "x.xdf"))
    file.look()
    assert file.n_samples_of("bela:bela:simulation:") == file.n_samples - 1000
