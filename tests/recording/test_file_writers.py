"""The formats of recordings: lines of JSON, and NumPy's records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bela_module.recording.buffers import BufferData, make_buffer
from bela_module.recording.file_writers import (
    SUFFIXES,
    FileFormat,
    FileWriter,
    Track,
    open_writers,
)
from bela_module.recording.recording_files import load_buffers

F4 = np.dtype("<f4")
FORMATS: list[FileFormat] = ["text", "compact"]


def numbered(first_tick: int, n_values: int) -> BufferData:
    ticks = np.arange(first_tick, first_tick + n_values)
    return make_buffer(ticks, (ticks / 3).astype(F4), ticks / 7, lost=first_tick % 5)


def open_one(path: Path, track: Track, file_format: FileFormat) -> FileWriter:
    return open_writers({track.name: path}, [track], file_format)[track.name]


def test_each_format_has_a_suffix() -> None:
    assert SUFFIXES == {"text": ".txt", "compact": ".npy"}


def test_text_has_a_line_for_each_buffer_with_its_losses(tmp_path: Path) -> None:
    path = tmp_path / "pot1.txt"
    writer = open_one(path, Track("pot1", F4), "text")
    writer.write(numbered(0, 3))
    writer.write(numbered(7, 2))
    writer.close()
    first, second = load_buffers(path)
    assert list(first) == ["ref_timestamp", "data", "rel_timestamps", "lsl_timestamps", "lost"]
    assert (first["lost"], second["lost"]) == (0, 2)


def test_compact_is_numpys_own_format(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    writer = open_one(path, Track("a", F4), "compact")
    writer.write(numbered(5, 4))
    writer.close()
    records = np.load(path, mmap_mode="r", allow_pickle=False)
    assert records.dtype.names == ("tick", "lsl_s", "value")
    assert records["tick"].tolist() == [5, 6, 7, 8]
    assert records["value"].dtype == F4
    assert path.stat().st_size % 64 == 4 * 20 % 64  # a header of whole 64 bytes


def test_streams_of_several_channels(tmp_path: Path) -> None:
    track = Track("pots", F4, ("left", "tick", "left", "µ"))
    rows = np.arange(8, dtype=F4).reshape(2, 4)
    ticks = np.array([3, 4])
    for file_format in FORMATS:
        path = tmp_path / f"pots{SUFFIXES[file_format]}"
        writer = open_one(path, track, file_format)
        writer.write(make_buffer(ticks, rows, ticks / 10))
        writer.close()
        (buffer,) = load_buffers(path)
        np.testing.assert_array_equal(buffer["data"], rows)
    assert np.load(path).dtype.names == (
        "tick",
        "lsl_s",
        "left",
        "tick_",
        "left_",
        "\\xb5",
    )


@pytest.mark.parametrize("file_format", FORMATS)
def test_values_are_pending_until_they_are_flushed(tmp_path: Path, file_format: FileFormat) -> None:
    path = tmp_path / "a"
    writer = open_one(path, Track("a", F4), file_format)
    size_before = path.stat().st_size
    writer.write(numbered(0, 5))
    assert (writer.n_pending, path.stat().st_size) == (5, size_before)
    writer.flush()
    assert writer.n_pending == 0
    assert path.stat().st_size > size_before
    writer.close()


def test_when_one_file_exists_the_others_are_closed(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("a", "b")}
    paths["b"].touch()
    with pytest.raises(FileExistsError):
        open_writers(paths, [Track("a", F4), Track("b", F4)], "text")  # no ResourceWarning either


def read_ticks(path: Path) -> list[int]:
    found: list[int] = []
    for buffer in load_buffers(path):
        ticks = np.asarray(buffer["rel_timestamps"]) + buffer["ref_timestamp"]
        np.testing.assert_array_equal(np.asarray(buffer["data"], F4), (ticks / 3).astype(F4))
        np.testing.assert_array_equal(buffer["lsl_timestamps"], ticks / 7)
        found += ticks.tolist()
    return found


def at_ticks(*ticks: int) -> BufferData:
    known = np.array(ticks)
    return make_buffer(known, (known / 3).astype(F4), known / 7)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("is_flushed", [True, False])
@pytest.mark.parametrize("n_before", [0, 3, 20_000])
def test_late_values_are_read_in_order(
    tmp_path: Path, file_format: FileFormat, *, is_flushed: bool, n_before: int
) -> None:
    path = tmp_path / f"a{SUFFIXES[file_format]}"
    writer = open_one(path, Track("a", F4), file_format)
    if n_before:
        writer.write(at_ticks(*range(n_before)))
    for tick in (30_000, 30_010, 30_020):
        writer.write(at_ticks(tick))
        if is_flushed:
            writer.flush()
    writer.write(at_ticks(30_001, 30_011))
    writer.write(at_ticks(30_030, 30_031))
    writer.close()
    late = [30_000, 30_001, 30_010, 30_011, 30_020, 30_030, 30_031]
    assert read_ticks(path) == [*range(n_before), *late]
    if file_format == "compact":
        assert np.load(path)["tick"].tolist() == [*range(n_before), *late]


def test_late_values_far_back_in_a_compact_file_are_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    writer = open_one(path, Track("a", F4), "compact")
    writer.write(at_ticks(*range(0, 60_000, 2)))
    writer.flush()
    writer.write(at_ticks(*range(1, 60_000, 2)))
    writer.close()
    assert read_ticks(path) == list(range(60_000))


def test_a_file_that_cannot_be_put_in_order_has_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npy"
    writer = open_one(path, Track("a", F4), "compact")

    def fail(*_arguments: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(writer, "_sort_end", fail)
    for tick in (30, 10, 40):
        writer.write(at_ticks(tick))
        writer.flush()
    writer.close()
    assert read_ticks(path) == [30, 10, 40]


def test_ticks_that_begin_anew_stay_where_they_are(tmp_path: Path) -> None:
    for file_format in FORMATS:
        path = tmp_path / f"a{SUFFIXES[file_format]}"
        writer = open_one(path, Track("a", F4), file_format)
        for ticks, stamps_s in (([100, 101], [1.0, 1.1]), ([5, 6], [2.0, 2.1])):
            values = np.array(ticks, F4)
            writer.write(make_buffer(np.array(ticks), values, np.array(stamps_s)))
        writer.close()
        read = [t for b in load_buffers(path) for t in np.asarray(b["data"]).tolist()]
        assert read == [100, 101, 5, 6]
