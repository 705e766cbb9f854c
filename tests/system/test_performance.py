"""The benchmark of costs: a session can stream its prebuilt blocks, and tables are shortened."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.block_sender import BLOCK_VALUES, SERIAL_BASE
from benchmarks.measured_processes import Load, board
from benchmarks.performance import COSTS, GROWTH, SCALE, summary
from tests.support.session_helpers import WaitUntil, session_at


def test_prebuilt_blocks_stream_without_a_gap(wait_until: WaitUntil) -> None:
    load = Load("two", 22050, 2, slow=1, prebuilt=True)
    with board(load) as (port, outcome):
        with session_at(port) as one:
            one.start()
            wait_until(lambda: one.samples("bela_v1") >= 4 * BLOCK_VALUES, "four slow blocks")
            assert [stream["lost"] for stream in one.streams.values()] == [0, 0]
        for name, step in (("bela_v0", 1), ("bela_v1", 2)):
            kept = one.sink[name]
            np.testing.assert_array_equal(np.diff(kept.ticks), step)
            serials = kept.values[kept.values >= SERIAL_BASE] - SERIAL_BASE
            np.testing.assert_array_equal(np.diff(serials), step)  # of bursts
    assert outcome["dropped"] == 0


@pytest.mark.parametrize("load", [*COSTS, *SCALE, *GROWTH], ids=lambda load: f"{load.title}")
def test_the_columns_of_a_load_are_shared_by_its_streams(load: Load) -> None:
    streams, width = load.shape
    assert streams * width == load.columns


def test_the_summary_has_the_ratios_alone() -> None:
    table = [
        "| Cost | M values/s | push | module | floor / module | lost |",
        "|---|---:|---:|---:|---:|---:|",
        "| 6 streams | 0.265 | 0.2 | 0.4 | 0.50 | 0 |",
    ]
    assert summary(table).splitlines() == [
        "| streams | M values/s | floor / module |",
        "| --- | ---: | ---: |",
        "| 6 streams | 0.265 | 0.50 |",
    ]
