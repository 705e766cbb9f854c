"""A recording goes on when a full disk has room again, and when its files are removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.recording import file_recorder as recorder_module
from bela_module.recording import file_writers
from bela_module.recording.buffers import make_buffer
from bela_module.recording.file_recorder import FileRecorder
from bela_module.recording.file_writers import FileFormat, Track
from bela_module.recording.recording_files import load_buffers
from tests.recording.test_file_recorder import F4, FORMATS, numbered, on_a_disk, read, samples


@pytest.mark.parametrize("file_format", FORMATS)
def test_when_a_full_disk_has_room_again_nothing_is_missing(
    tmp_path: Path,
    file_format: FileFormat,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_PERIOD_S", 0.02)
    monkeypatch.setattr(file_writers, "_BATCH_BYTES", 1)
    errors: list[str] = []
    with on_a_disk(monkeypatch) as disk:
        recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], file_format, errors.append)
        disk.room = 10_000
        for first_tick in range(0, 2000, 100):
            recorder.take("a", numbered(first_tick, 100))
        cause = "OSError: [Errno 28] No space left on device"
        wait_until(lambda: recorder.problem == f"the recording failed: {cause}", "a full disk")
        disk.room = None
        wait_until(lambda: recorder.problem is None, "room")
        recorder.take("a", numbered(2000, 100))
        assert recorder.close()
    assert read(recorder.paths["a"])[0] == list(range(2100))
    assert recorder.missing == {"a": 0}
    assert errors == ["the recording failed: OSError: [Errno 28] No space left on device"]


def test_a_disk_that_is_full_for_long_costs_values_and_the_next_buffer_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_PERIOD_S", 0.02)
    monkeypatch.setattr(file_writers, "_BATCH_BYTES", 1)
    monkeypatch.setattr(recorder_module, "_MAX_KEPT_BYTES", 20_000)
    errors: list[str] = []
    with on_a_disk(monkeypatch) as disk:
        recorder = FileRecorder(tmp_path, "r", [Track("a", F4)], "text", errors.append)
        disk.error = OSError(28, "No space left on device")
        for first_tick in range(0, 5000, 100):
            recorder.take("a", make_buffer(*samples(first_tick, 90), lost=10))
        wait_until(lambda: recorder._done == 4500, "all are looked at")
        disk.error = None
        wait_until(lambda: not recorder._failing, "room")
        recorder.take("a", make_buffer(*samples(5000, 90), lost=10))
        assert recorder.close()
    ticks = np.array(read(recorder.paths["a"])[0])
    n_missing = 51 * 90 - ticks.size
    assert n_missing > 0
    assert ticks[0] == 0
    assert ticks[-1] == 5089
    buffers = load_buffers(recorder.paths["a"])
    assert sum(buffer["lost"] for buffer in buffers[1:]) == int(np.sum(np.diff(ticks) - 1))
    assert recorder.missing == {"a": n_missing}
    cause = "OSError: [Errno 28] No space left on device"
    assert errors == [
        f"the recording failed: {cause}",
        f"the recording lacks {n_missing} values of a: {cause}",
    ]


def has(path: Path, n_ticks: int) -> bool:
    """Tell whether a file has so many ticks; one that is just being created cannot be read yet."""
    try:
        return path.exists() and len(read(path)[0]) == n_ticks
    except RequestError:
        return False


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
@pytest.mark.parametrize("file_format", FORMATS)
def test_files_that_are_removed_meanwhile_are_written_anew_and_that_is_told(
    tmp_path: Path,
    file_format: FileFormat,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_PERIOD_S", 0.02)
    folder = tmp_path / "sub" / "ses"
    errors: list[str] = []
    tracks = [Track("a", F4), Track("b", F4)]
    recorder = FileRecorder(folder, "r", tracks, file_format, errors.append)
    a, b = recorder.paths["a"], recorder.paths["b"]
    for part in range(3):
        recorder.take("a", numbered(100 * part, 100))
        recorder.take("b", numbered(100 * part, 100))
        n_ticks = 100 * (part + 1)
        wait_until(lambda n=n_ticks: has(a, n), "a grows")
        wait_until(lambda n=n_ticks: has(b, n), "b grows")
        if part == 0:
            a.unlink()
        elif part == 1:
            shutil.rmtree(tmp_path / "sub")
    assert recorder.close()
    assert read(a) == read(b) == (list(range(300)), *read(b)[1:])
    assert recorder.missing == {"a": 0, "b": 0}
    told = "was removed, and is written again with all that it had"
    assert sorted(errors) == [f"{a} {told}", f"{a} {told}", f"{b} {told}"]
