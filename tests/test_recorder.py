"""Recordings: both formats, while they grow, after a kill, on a disk that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module import recorder as recorder_module
from bela_module.buffers import BufferData, make_buffer
from bela_module.errors import RequestError
from bela_module.files import load_buffers
from bela_module.recorder import FileFormat, Recorder, Track

F4 = np.dtype("<f4")
FORMATS: list[FileFormat] = ["text", "compact"]


def numbered(first_tick: int, n_values: int, dtype: Any = F4) -> BufferData:
    ticks = np.arange(first_tick, first_tick + n_values)
    return make_buffer(ticks, (ticks % 600 / 3).astype(dtype), ticks / 7, lost=first_tick % 5)


def read(path: Path) -> tuple[list[int], list[float], list[float]]:
    """Give ticks, values and stamps of a recording."""
    ticks: list[int] = []
    values: list[float] = []
    stamps: list[float] = []
    for buffer in load_buffers(path):
        ticks += (np.asarray(buffer["rel_timestamps"]) + buffer["ref_timestamp"]).tolist()
        values += np.asarray(buffer["data"]).tolist()
        stamps += np.asarray(buffer["lsl_timestamps"]).tolist()
    return ticks, values, stamps


def never(text: str) -> None:
    pytest.fail(f"an error was reported: {text}")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("code", ["u1", "<u4", "<i4", "<f4", "<f8"])
def test_everything_is_read_again_to_the_last_digit(
    tmp_path: Path, file_format: FileFormat, code: str
) -> None:
    dtype = np.dtype(code)
    recorder = Recorder(tmp_path, "r", [Track("a", dtype), Track("b", dtype)], file_format, never)
    for first_tick in (0, 1000, 3000):
        recorder.take("a", numbered(first_tick, 1000, dtype))
    recorder.take("b", numbered(10**12, 1, dtype))
    recorder.close()
    ticks, values, stamps = read(recorder.paths["a"])
    expected = np.concatenate([np.arange(2000), np.arange(3000, 4000)])
    assert ticks == expected.tolist()
    assert values == (expected % 600 / 3).astype(dtype).tolist()
    assert stamps == (expected / 7).tolist()
    assert read(recorder.paths["b"])[0] == [10**12]


def test_text_has_a_line_for_each_buffer_with_its_losses(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "var_stream.txt", [Track("pot1", F4)], "text", never)
    recorder.take("pot1", numbered(0, 3))
    recorder.take("pot1", numbered(7, 2))
    recorder.close()
    assert recorder.paths == {"pot1": tmp_path / "pot1_var_stream.txt"}
    first, second = load_buffers(recorder.paths["pot1"])
    assert list(first) == ["ref_timestamp", "data", "rel_timestamps", "lsl_timestamps", "lost"]
    assert (first["lost"], second["lost"]) == (0, 2)


def test_compact_is_numpys_own_format(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "r", [Track("a", F4)], "compact", never)
    recorder.take("a", numbered(5, 4))
    recorder.close()
    records = np.load(recorder.paths["a"], mmap_mode="r", allow_pickle=False)
    assert records.dtype.names == ("tick", "lsl_s", "value")
    assert records["tick"].tolist() == [5, 6, 7, 8]
    assert records["value"].dtype == F4
    assert recorder.paths["a"].stat().st_size % 64 == 4 * 20 % 64  # a header of whole 64 bytes


def test_streams_of_several_channels(tmp_path: Path) -> None:
    track = Track("pots", F4, ("left", "tick", "left", "µ"))
    rows = np.arange(8, dtype=F4).reshape(2, 4)
    ticks = np.array([3, 4])
    for file_format in FORMATS:
        recorder = Recorder(tmp_path, "r", [track], file_format, never)
        recorder.take("pots", make_buffer(ticks, rows, ticks / 10))
        recorder.close()
        (buffer,) = load_buffers(recorder.paths["pots"])
        np.testing.assert_array_equal(buffer["data"], rows)
    assert np.load(recorder.paths["pots"]).dtype.names == (
        "tick",
        "lsl_s",
        "left",
        "tick_",
        "left_",
        "\\xb5",
    )


@pytest.mark.parametrize("file_format", FORMATS)
def test_no_file_is_ever_overwritten(tmp_path: Path, file_format: FileFormat) -> None:
    paths = []
    for first_tick in (1, 2, 3):
        recorder = Recorder(tmp_path, "r", [Track("a", F4)], file_format, never)
        recorder.take("a", numbered(first_tick, 1))
        recorder.close()
        paths.append(recorder.paths["a"])
    assert [read(path)[0] for path in paths] == [[1], [2], [3]]
    assert [path.stem for path in paths] == ["a_r", "a_r__1", "a_r__2"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_written_shows_while_it_grows(
    tmp_path: Path,
    file_format: FileFormat,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "_FLUSH_PERIOD_S", 0.02)
    recorder = Recorder(tmp_path, "r", [Track("a", F4)], file_format, never)
    try:
        for part in range(3):
            recorder.take("a", numbered(10 * part, 10))
            n_ticks = 10 * (part + 1)
            wait_until(lambda n=n_ticks: len(read(recorder.paths["a"])[0]) == n, "the file grows")
    finally:
        recorder.close()
    assert read(recorder.paths["a"])[0] == list(range(30))


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known there")
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_killed_process_has_lost_its_last_second_at_most(
    tmp_path: Path, file_format: FileFormat
) -> None:
    script = """
        import sys, time
        import numpy as np
        from bela_module.buffers import make_buffer
        from bela_module.recorder import Recorder, Track

        folder, file_format = sys.argv[1:]
        recorder = Recorder(folder, "r", [Track("a", np.dtype("<f4"))], file_format, print)
        tick = 0
        while True:
            ticks = np.arange(tick, tick + 100)
            stamps = np.full(100, time.monotonic())
            recorder.take("a", make_buffer(ticks, ticks.astype("<f4"), stamps))
            tick += 100
            print(tick, flush=True)
            time.sleep(0.01)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), file_format],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert process.stdout is not None
    with process, process.stdout as lines:
        for line in lines:
            if int(line) >= 15_000:
                break
        process.send_signal(signal.SIGKILL)
    ticks, values, stamps = read(tmp_path / f"a_r{'.txt' if file_format == 'text' else '.npy'}")
    assert ticks == list(range(len(ticks)))
    assert values == ticks
    # What was given more than a second (and a stall) before the last flush must be there.
    assert len(ticks) > 0
    assert stamps[-1] - stamps[0] > 0.3


def test_what_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot save"):
        Recorder(tmp_path / "file", "r", [Track("a", F4)], "text", never)
    unknown: Any = "wav"
    with pytest.raises(RequestError, match="text, compact"):
        Recorder(tmp_path, "r", [Track("a", F4)], unknown, never)


def test_a_disk_that_fails_is_reported_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    def full(self: Any, buffer: BufferData) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder_module.TextWriter, "write", full)
    errors: list[str] = []
    recorder = Recorder(tmp_path, "r", [Track("a", F4)], "text", errors.append)
    recorder.take("a", numbered(0, 1))
    wait_until(lambda: errors, "the report")
    recorder.take("a", numbered(1, 1))
    recorder.close()
    assert errors == ["the recording failed: [Errno 28] No space left on device"]
    assert recorder.dropped == 1


def test_a_slow_disk_costs_what_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_MAX_WAITING_BUFFERS", 0)
    errors: list[str] = []
    recorder = Recorder(tmp_path, "r", [Track("a", F4)], "text", errors.append)
    for tick in range(3):
        recorder.take("a", numbered(tick, 1))
    recorder.close()
    assert recorder.dropped == 3
    assert errors == ["the disk is too slow: the recording lacks buffers"]
    assert load_buffers(recorder.paths["a"]) == []
