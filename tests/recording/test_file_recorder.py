"""Recording into files: while they grow, after a kill, on a disk that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.recording import file_recorder as recorder_module
from bela_module.recording import file_writers
from bela_module.recording.buffers import BufferData, make_buffer
from bela_module.recording.file_recorder import FileRecorder
from bela_module.recording.file_writers import FileFormat, Track
from bela_module.recording.recording_files import load_buffers
from tests.support.paths import ROOT
from tests.support.stopwatch import Stopwatch

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


def samples(first_tick: int, n_values: int) -> tuple[Any, Any, Any]:
    ticks = np.arange(first_tick, first_tick + n_values)
    return ticks, ticks.astype(F4), ticks / 7


@dataclass
class Disk:
    """What is wrong with a disk."""

    works: threading.Event = field(default_factory=threading.Event)
    error: OSError | None = None
    room: int | None = None

    def __post_init__(self) -> None:
        self.works.set()


def never(text: str) -> None:
    pytest.fail(f"an error was reported: {text}")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("code", ["u1", "<u4", "<i4", "<f4", "<f8"])
def test_everything_is_read_again_to_the_last_digit(
    tmp_path: Path, file_format: FileFormat, code: str
) -> None:
    dtype = np.dtype(code)
    recorder = FileRecorder(
        tmp_path, "r", [Track("a", dtype), Track("b", dtype)], file_format, never
    )
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


@pytest.mark.parametrize("file_format", FORMATS)
def test_no_file_is_ever_overwritten(tmp_path: Path, file_format: FileFormat) -> None:
    paths = []
    for first_tick in (1, 2, 3):
        recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], file_format, never)
        recorder.take("a", numbered(first_tick, 1))
        recorder.close()
        paths.append(recorder.paths["a"])
    assert [read(path)[0] for path in paths] == [[1], [2], [3]]
    assert [path.stem for path in paths] == ["a_r", "a_r__1", "a_r__2"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_of_what_is_discarded_only_empty_files_are_removed(
    tmp_path: Path, file_format: FileFormat
) -> None:
    empty, used = (
        FileRecorder(tmp_path, name, [Track("v", F4)], file_format, never)
        for name in ("empty", "used")
    )
    used.take("v", numbered(5, 10))
    for recorder in (empty, used):
        recorder.discard()
        assert recorder.close()
    assert [path.stem for path in tmp_path.iterdir()] == ["v_used"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_written_shows_while_it_grows(
    tmp_path: Path,
    file_format: FileFormat,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_PERIOD_S", 0.02)
    recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], file_format, never)
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
        from bela_module.recording.buffers import make_buffer
        from bela_module.recording.file_recorder import FileRecorder
        from bela_module.recording.file_writers import Track

        folder, file_format = sys.argv[1:]
        recorder = FileRecorder(folder, "r", [Track("a", np.dtype("<f4"))], file_format, print)
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
        cwd=ROOT,
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
        FileRecorder(tmp_path / "file", "r", [Track("a", F4)], "text", never)
    with pytest.raises(RequestError, match="cannot save"):
        FileRecorder(tmp_path / "a\0b", "r", [Track("a", F4)], "text", never)
    unknown: Any = "wav"
    with pytest.raises(RequestError, match="text, compact"):
        FileRecorder(tmp_path, "r", [Track("a", F4)], unknown, never)


@contextmanager
def on_a_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Let all files of this test be on a disk with faults; in the end it works again."""
    disk = Disk()
    write = file_writers.FileIO.write

    class FaultyFile(file_writers.FileIO):
        def write(self, data: Any) -> int:
            assert disk.works.wait(20.0)
            if disk.error is not None:
                raise disk.error
            room = len(data) if disk.room is None else disk.room
            if disk.room is not None:
                if not room:
                    raise OSError(28, "No space left on device")
                disk.room -= min(room, len(data))
            return write(self, data[:room])

    def opened(self: Path, _mode: str, buffering: int) -> FaultyFile:
        return FaultyFile(self, "xb")

    monkeypatch.setattr(Path, "open", opened)
    try:
        yield disk
    finally:
        monkeypatch.undo()
        disk.works.set()


@pytest.mark.parametrize("file_format", FORMATS)
def test_of_a_full_disk_the_file_is_whole_and_what_it_lacks_is_counted(
    tmp_path: Path, file_format: FileFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_writers, "_BATCH_BYTES", 1)
    errors: list[str] = []
    with on_a_disk(monkeypatch) as disk:
        tracks = [Track("a", F4), Track("b", F4)]
        recorder = FileRecorder(tmp_path, "r", tracks, file_format, errors.append)
        disk.room = 25_000
        for first_tick in range(0, 2000, 100):
            recorder.take("a", numbered(first_tick, 100))
        recorder.take("b", numbered(0, 10))
        assert recorder.close()
    ticks, values, _ = read(recorder.paths["a"])
    assert 0 < len(ticks) < 2000
    assert len(ticks) % 100 == 0  # no buffer is there in part
    assert ticks == list(range(len(ticks)))
    assert values == (np.array(ticks) % 600 / 3).astype(F4).tolist()
    assert recorder.missing == {"a": 2000 - len(ticks), "b": 10}
    cause = "OSError: [Errno 28] No space left on device"
    assert errors == [
        f"the recording failed: {cause}",
        f"the recording lacks {2000 - len(ticks)} values of a, 10 values of b: {cause}",
    ]


@pytest.mark.parametrize("error", [MemoryError("no memory"), TypeError("a defect")])
def test_whatever_ends_the_writing_is_reported_and_the_files_are_closed(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = file_writers.TextWriter._encode

    def failing(self: Any, buffer: BufferData) -> bytes:
        if buffer["ref_timestamp"] >= 20:
            raise error
        return encode(self, buffer)

    monkeypatch.setattr(file_writers.TextWriter, "_encode", failing)
    errors: list[str] = []
    recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], "text", errors.append)
    for first_tick in range(0, 50, 10):
        recorder.take("a", numbered(first_tick, 10))
    assert recorder.close()
    assert read(recorder.paths["a"])[0] == list(range(20))
    assert recorder._writers["a"]._file.closed
    cause = f"{type(error).__name__}: {error}"
    assert errors == [
        f"the recording failed: {cause}",
        f"the recording lacks 30 values of a: {cause}",
    ]


def test_a_slow_disk_costs_what_does_not_fit_and_the_next_buffer_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setattr(recorder_module, "_MAX_WAITING_VALUES", 2000)
    monkeypatch.setattr(file_writers, "_BATCH_BYTES", 1)
    errors: list[str] = []
    with on_a_disk(monkeypatch) as disk:
        recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], "text", errors.append)
        disk.works.clear()
        for first_tick in range(0, 6000, 1000):
            recorder.take("a", make_buffer(*samples(first_tick, 900), lost=100))
        n_missing = recorder.missing["a"]
        assert 1800 <= n_missing <= 3600  # two wait, and up to two are in the writer's hands
        disk.works.set()
        wait_until(lambda: recorder._waiting.qsize() == 0, "room")
        recorder.take("a", make_buffer(*samples(6000, 900), lost=100))
        assert recorder.close()
    buffers = load_buffers(recorder.paths["a"])
    ticks = np.array(read(recorder.paths["a"])[0])
    assert ticks.size == 7 * 900 - n_missing
    # The first buffer says what is missing before it, of which there are no ticks here.
    assert sum(buffer["lost"] for buffer in buffers[1:]) == int(np.sum(np.diff(ticks) - 1))
    assert recorder.missing == {"a": n_missing}
    assert errors == [
        "the disk is too slow: the recording lacks values",
        f"the recording lacks {n_missing} values of a: the disk was too slow",
    ]


def test_what_waits_is_bounded_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_MAX_WAITING_VALUES", 100_000)
    with on_a_disk(monkeypatch) as disk:
        recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], "compact", lambda _text: None)
        disk.works.clear()
        for first_tick in range(0, 10**6, 20_000):
            recorder.take("a", numbered(first_tick, 20_000))
        n_missing = recorder.missing["a"]
        assert n_missing >= 43 * 20_000  # five wait, and up to two are in the writer's hands
        for tick in range(5000):
            recorder.take("a", numbered(10**6 + tick, 1))
        assert recorder.missing["a"] - n_missing > 4000  # a buffer of one value has its size, too
        disk.works.set()
        assert recorder.close()


def test_a_disk_that_hangs_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    errors: list[str] = []
    with on_a_disk(monkeypatch) as disk:
        recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], "text", errors.append)
        assert recorder._thread.daemon
        disk.works.clear()
        recorder.take("a", numbered(0, 10))
        watch = Stopwatch()
        assert not recorder.close()
        assert watch.passed_s < 2.0  # the limit is half a second
        assert errors == ["the recording is not complete yet: 10 values wait for the disk"]
        assert not recorder.finished
        disk.works.set()
        wait_until(lambda: recorder.finished, "the end of the writing")
    assert read(recorder.paths["a"])[0] == list(range(10))
    assert recorder.missing == {"a": 0}


def test_a_session_that_has_ended_need_not_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def closed(text: str) -> None:
        raise RuntimeError("Event loop is closed")

    with on_a_disk(monkeypatch) as disk:
        recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], "text", closed)
        disk.error = OSError(5, "Input/output error")
        recorder.take("a", numbered(0, 10))
        assert recorder.close()
    assert "the recording lacks 10 values of a: OSError: [Errno 5]" in caplog.text
