"""Values that single values do not carry: none is lost from files, and LSL tells how many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType
from bela_module.recording.file_writers import SUFFIXES, FileFormat
from bela_module.recording.recording_files import load_buffers
from bela_module.simulator.sketches.assignments import GatedAssignments
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.session_helpers import (
    WaitUntil,
    assert_received,
    board_of,
    listening,
    published_on,
    variable,
)

# Assigned twice, one tick apart, 110 times a second: every other value does not come singly.
PAIRS = SketchVariable("pairs", ValueType.DOUBLE, ramp, True, GatedAssignments(2, 400))


@pytest.mark.parametrize("file_format", ["text", "compact", "csv"])
def test_files_have_what_lsl_lacks(
    tmp_path: Path, unique: str, wait_until: WaitUntil, file_format: FileFormat
) -> None:
    name = f"{unique}pairs"
    recording = {"dir": str(tmp_path), "format": file_format}
    with (
        board_of(PAIRS, variable("fast")) as board,
        published_on(board, unique, recording=recording) as one,
    ):
        one.prepare("pairs", "fast")
        with listening(unique, 3) as listeners:
            one.start("pairs", "fast", saving_enabled=True, saving_filename="run")
            wait_until(lambda: one.streams[name]["lost"] > 100, "values that came too close")
            wait_until(lambda: one.streams[name]["delivery"] == "block", "blocks")
            there = one.samples(name)
            wait_until(lambda: one.samples(name) > there + 341, "another block")
            stopped_at = board.tick_now()
            one.stop()
            kept = one.sink[name]
            listeners[name].pull(float(kept.stamps_s[-1]))
            assert_received(listeners[name], kept)
        status = one.streams[name]
        events = [text.split() for text in one.sink.events if text.startswith("gap pairs")]
        assert sum(int(words[2]) for words in events) == status["lost"]
        one.session.close()  # completes the files

        path = tmp_path / f"{name}_run{SUFFIXES[file_format]}"
        buffers = load_buffers(path)
        ticks = np.concatenate(
            [np.asarray(b["rel_timestamps"]) + b["ref_timestamp"] for b in buffers]
        )
        values = np.concatenate([b["data"] for b in buffers])
        stamps_s = np.concatenate([b["lsl_timestamps"] for b in buffers])
        pattern, written = PAIRS.assignments, board.written("pairs")
        first = pattern.first_at_or_after(written[0].first_tick)
        last = pattern.first_at_or_after(int(ticks[-1]))
        assert stopped_at - 800 <= ticks[-1] <= written[-1].last_tick
        expected = pattern.ticks(np.arange(first, last + 1))
        assert kept.n_samples + status["lost"] == expected.size
        np.testing.assert_array_equal(ticks, expected)
        np.testing.assert_array_equal(values, expected)
        assert np.all(np.diff(stamps_s) > 0)
        assert np.abs(stamps_s - board.true_time_s(ticks)).max() < 0.005
        assert sum(b.get("lost", 0) for b in buffers) == 0
        if file_format == "compact":  # also for those who read it with NumPy alone
            np.testing.assert_array_equal(np.load(path)["tick"], expected)
