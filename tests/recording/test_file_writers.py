"""The formats of recordings: lines of JSON, NumPy's records, and tables."""

from __future__ import annotations

import csv
import time
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
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.unix_time import unix_at_lsl_zero_s

F4 = np.dtype("<f4")
FORMATS: list[FileFormat] = ["text", "compact", "csv"]


def numbered(first_tick: int, n_values: int) -> BufferData:
    ticks = np.arange(first_tick, first_tick + n_values)
    return make_buffer(ticks, (ticks / 3).astype(F4), ticks / 7, lost=first_tick % 5)


def open_one(path: Path, track: Track, file_format: FileFormat) -> FileWriter:
    return open_writers({track.name: path}, [track], file_format)[track.name]


def test_each_format_has_a_suffix() -> None:
    assert SUFFIXES == {"text": ".txt", "compact": ".npy", "csv": ".csv"}


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


def test_a_table_has_both_times_the_tick_and_the_value(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    before_s = unix_at_lsl_zero_s(local_clock, time.time)
    writer = open_one(path, Track("a", F4), "csv")
    writer.write(numbered(5, 4))
    writer.close()
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["lsl_s", "unix_s", "tick", "value"]
    assert [int(row[2]) for row in rows] == [5, 6, 7, 8]
    for row, tick in zip(rows, range(5, 9), strict=True):
        assert float(row[0]) == tick / 7
        assert float(row[1]) - float(row[0]) == pytest.approx(before_s, abs=0.5)
        assert np.float32(row[3]) == np.float32(tick / 3)


def test_a_table_of_several_channels_has_a_column_for_each(tmp_path: Path) -> None:
    path = tmp_path / "pots.csv"
    writer = open_one(path, Track("pots", np.dtype("<f8"), ("left, hand", "π")), "csv")
    values = np.array([[0.1, np.nan], [1e300, -2.5]])
    writer.write(make_buffer(np.array([7, 9]), values, np.array([1.5, 2.5])))
    writer.close()
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["lsl_s", "unix_s", "tick", "left, hand", "π"]
    np.testing.assert_array_equal([[float(cell) for cell in row[3:]] for row in rows], values)
    (buffer,) = load_buffers(path)
    np.testing.assert_array_equal(buffer["data"], values)


def test_no_column_of_a_table_has_the_name_of_another(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    writer = open_one(path, Track("odd", np.dtype("<f8"), ("tick", "lsl_s", "tick")), "csv")
    writer.close()
    (header,) = csv.reader(path.read_text(encoding="utf-8").splitlines())
    assert header == ["lsl_s", "unix_s", "tick", "tick_", "lsl_s_", "tick__"]


def test_monitored_values_have_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    writer = open_one(path, Track("a", np.dtype("<i4"), singly=True), "text")
    writer.write(make_buffer(np.array([7, 9]), np.array([-1, 2]), np.array([1.5, 2.5])))
    writer.close()
    assert load_buffers(path) == [
        {"timestamp": 7, "value": -1, "lsl_timestamp": 1.5},
        {"timestamp": 9, "value": 2, "lsl_timestamp": 2.5},
    ]


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
    assert np.load(tmp_path / "pots.npy").dtype.names == (
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
