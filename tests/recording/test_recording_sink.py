"""Recording what a sink receives."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.protocol.variables import ValueType, Variable
from bela_module.recording import file_recorder as recorder
from bela_module.recording import file_writers
from bela_module.recording.file_writers import FileFormat
from bela_module.recording.recording_files import load_buffers
from bela_module.recording.recording_sink import RecordingSink
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.sink import Origin, StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.tracking.runs import Gap, GapReason
from tests.support.stopwatch import Stopwatch

COUNT = Variable(0, "count", ValueType.UNSIGNED_INT)
POT1, POT2 = Variable(1, "pot1", ValueType.FLOAT), Variable(2, "pot2", ValueType.FLOAT)
SINGLE = StreamPlan("bela_count", (COUNT,), StreamMode.DENSE, SampleFormat.DOUBLE64)
GROUP = StreamPlan("bela_pots", (POT1, POT2), StreamMode.DENSE, SampleFormat.FLOAT32)
OTHER = StreamPlan("bela_pot1_monitor", (POT1,), StreamMode.MONITOR, SampleFormat.FLOAT32)
ORIGIN = Origin("bela", "test", 44100.0, 44100.0, 0.001, 0.0)


def never(text: str) -> None:
    pytest.fail(f"an error was reported: {text}")


def push(sink: RecordingSink, plan: StreamPlan, first_tick: int) -> None:
    ticks = np.arange(first_tick, first_tick + 3)
    rows = np.column_stack([ticks + column / 4 for column in range(len(plan.variables))])
    sink.push(plan, ticks, rows.astype(plan.sample_format.dtype), ticks / 10)


def start(
    sink: RecordingSink,
    plans: list[StreamPlan],
    folder: Path,
    file_format: FileFormat = "text",
    on_error: Callable[[str], None] = never,
) -> dict[str, Path]:
    made = sink.make(plans, folder, "run", file_format, on_error)
    sink.start(made)
    return made.paths


def test_files_that_were_discarded_are_gone_before_others_take_their_names(tmp_path: Path) -> None:
    sink = RecordingSink()
    discarded = start(sink, [SINGLE], tmp_path)
    sink.stop()  # when a START fails it ends, too
    sink.discard()
    assert start(sink, [SINGLE], tmp_path) == discarded
    push(sink, SINGLE, 0)
    sink.close()
    assert list(tmp_path.iterdir()) == list(discarded.values())


def test_it_makes_no_files_of_its_own(tmp_path: Path) -> None:
    sink = RecordingSink()
    sink.identify(ORIGIN)
    sink.open(SINGLE, StreamFacts(ORIGIN, 44100.0))
    assert sink.is_open(SINGLE)
    sink.keep(SINGLE.variables)
    sink.search_identities()
    push(sink, SINGLE, 0)
    sink.gap(SINGLE, COUNT, Gap(3, 5, 3, GapReason.LOST))
    sink.mark("stopped", 1.0)
    sink.stop()
    sink.close()
    assert sink.missing == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file_format", ["text", "compact"])
def test_what_passes_between_start_and_stop_is_recorded(tmp_path: Path, file_format: Any) -> None:
    sink = RecordingSink()
    push(sink, SINGLE, 0)
    paths = start(sink, [SINGLE, GROUP], tmp_path, file_format)
    assert list(paths) == ["bela_count", "bela_pots"]
    push(sink, SINGLE, 3)
    sink.gap(SINGLE, COUNT, Gap(6, 7, 2, GapReason.LOST))
    sink.gap(SINGLE, COUNT, Gap(8, 8, 1, GapReason.UNKNOWN_END))
    push(sink, SINGLE, 8)
    push(sink, GROUP, 3)
    push(sink, OTHER, 3)
    sink.stop()
    push(sink, SINGLE, 11)
    sink.close()
    count = load_buffers(paths["bela_count"])
    assert np.concatenate([buffer["data"] for buffer in count]).tolist() == [3, 4, 5, 8, 9, 10]
    if file_format == "text":
        assert [buffer["lost"] for buffer in count] == [0, 2]
    else:
        assert count[0]["data"].dtype == np.uint32
        assert np.load(paths["bela_pots"]).dtype.names == ("tick", "lsl_s", "pot1", "pot2")
    (pots,) = load_buffers(paths["bela_pots"])
    np.testing.assert_array_equal(pots["data"], [[3, 3.25], [4, 4.25], [5, 5.25]])


def test_a_new_recording_ends_the_one_before(tmp_path: Path) -> None:
    sink = RecordingSink()
    first = start(sink, [SINGLE], tmp_path)
    push(sink, SINGLE, 0)
    second = start(sink, [SINGLE], tmp_path)
    push(sink, SINGLE, 3)
    sink.close()
    assert [load_buffers(paths["bela_count"])[0]["ref_timestamp"] for paths in (first, second)] == [
        0,
        3,
    ]


def test_what_the_disk_did_not_take_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RecordingSink()
    assert sink.missing == {}
    start(sink, [SINGLE, GROUP], tmp_path, on_error=lambda _text: None)
    monkeypatch.setattr(recorder, "_MAX_WAITING_VALUES", 0)
    push(sink, SINGLE, 0)
    sink.close()
    assert sink.missing == {"bela_count": 3, "bela_pots": 0}


def test_earlier_recordings_are_waited_for_but_not_on_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    works, n_writing = threading.Event(), itertools.count(1)
    write = file_writers.TextWriter.write
    begun: list[int] = []

    def hanging(self: Any, buffer: Any) -> None:
        begun.append(next(n_writing))
        assert works.wait(20.0)
        write(self, buffer)

    monkeypatch.setattr(file_writers.TextWriter, "write", hanging)
    sink = RecordingSink()
    errors: list[str] = []
    folders = [tmp_path / str(number) for number in range(6)]
    for folder in folders:
        start(sink, [SINGLE], folder, on_error=errors.append)
        push(sink, SINGLE, 0)
    wait_until(lambda: len(begun) == len(folders), "all of them to hang")
    watch = Stopwatch()
    sink.complete()
    assert watch.passed_s < 2.0  # the limit is half a second for all six
    assert errors == ["the recording is not complete yet: 3 values wait for the disk"] * 6
    works.set()
    sink.close()
    for folder in folders:
        (buffer,) = load_buffers(folder / "bela_count_run.txt")
        assert buffer["data"] == [0, 1, 2]


def test_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    sink = RecordingSink()
    with pytest.raises(RequestError, match="saving_filename"):
        sink.make([SINGLE], tmp_path, "a/b", "text", never)
    push(sink, SINGLE, 0)
    sink.close()
    assert list(tmp_path.iterdir()) == []


SPARSE = StreamPlan("bela_count", (COUNT,), StreamMode.SPARSE, SampleFormat.DOUBLE64)
SPARSE_GROUP = StreamPlan("bela_pots", (POT1, POT2), StreamMode.SPARSE, SampleFormat.FLOAT32)


@pytest.mark.parametrize("file_format", ["text", "compact"])
def test_values_that_became_known_late_are_kept_and_not_lost(
    tmp_path: Path, file_format: FileFormat
) -> None:
    sink = RecordingSink()
    paths = start(sink, [SPARSE, SPARSE_GROUP], tmp_path, file_format)
    for plan in (SPARSE, SPARSE_GROUP):
        push(sink, plan, 10)
        ticks = np.array([11, 12])
        sink.gap(plan, plan.variables[-1], Gap(11, 12, 2, GapReason.TOO_CLOSE))
        late = ticks.astype(plan.sample_format.dtype)
        sink.late(plan, plan.variables[-1], ticks, late, ticks / 10 - 0.05)
        push(sink, plan, 20)
    sink.close()
    (whole,) = load_buffers(paths["bela_count"])[:1]
    assert sum(buffer.get("lost", 0) for buffer in load_buffers(paths["bela_count"])) == 0
    assert np.asarray(whole["data"]).tolist()[:5] == [10, 11, 11, 12, 12]
    rows = np.array(load_buffers(paths["bela_pots"])[0]["data"])
    assert rows[:3].tolist()[0] == [10, 10.25]
    assert np.isnan(rows[[1, 3], 0]).all()
    assert rows[[1, 3], 1].tolist() == [11, 12]
    sink.late(SPARSE, COUNT, np.array([1]), np.array([1.0]), np.array([0.1]))  # of no recording
