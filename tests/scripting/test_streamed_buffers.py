"""What a Streamer gives of what has come: lists in whole blocks, or arrays of everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module import Streamer
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.signal_cases import AHEAD_TICKS

SIZES = {"ramp_d": 512, "ramp_sparse": 341}


@pytest.fixture
def listing(board: SimulatedBoard) -> Iterator[Streamer]:
    """Connect a Streamer whose buffers have lists."""
    with Streamer("127.0.0.1", board.port) as streamer:
        yield streamer


def test_before_anything_streams_there_is_a_key_for_each_variable(listing: Streamer) -> None:
    known = {variable["name"] for variable in listing.watcher_vars}
    assert len(known) == 6
    assert listing.streaming_buffers_queue == listing.streaming_buffers_data
    assert listing.streaming_buffers_data == {name: [] for name in known}
    assert listing.last_streamed_buffer == {n: {"data": [], "timestamps": []} for n in known}
    assert listing.partial_buffers == {}


def test_after_a_stop_buffers_are_whole_blocks_and_the_rest_is_apart(
    listing: Streamer, board: SimulatedBoard, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    listing.start_streaming(list(SIZES), saving_enabled=True, saving_dir=tmp_path)
    wait_until(
        lambda: all(len(listing.streaming_buffers_queue[name]) > 1 for name in SIZES), "two blocks"
    )
    assert listing.streaming_mode == "FOREVER"
    listing.stop_streaming()
    assert listing.streaming_mode == "OFF"
    for name, size in SIZES.items():
        queue = listing.streaming_buffers_queue[name]
        assert {len(buffer["data"]) for buffer in queue} == {size}
        assert all(type(buffer["data"]) is list for buffer in queue)
        assert ("rel_timestamps" in queue[0]) is (name == "ramp_sparse")
        values = [value for buffer in queue for value in buffer["data"]]
        partial: Any = listing.partial_buffers.get(name, {"data": []})
        assert values + partial["data"] == listing.streaming_buffers_data[name]
        (run,) = board.written(name)
        assert (values[0], (values + partial["data"])[-1]) == (run.first_tick, run.last_tick)
        path = listing.saved_files[name]
        assert [b["data"] for b in listing.load_data_from_file(path)] == [b["data"] for b in queue]
        everything = listing.load_data_from_file(path, partial=True)
        assert sum(len(buffer["data"]) for buffer in everything) == len(
            listing.streaming_buffers_data[name]
        )
    newest: Any = listing.last_streamed_buffer["ramp_d"]
    assert newest["timestamps"] == newest["data"]
    assert newest["lsl_timestamps"].size == len(newest["data"])


def test_a_schedule_shorter_than_a_block_ends_and_gives_its_values(listing: Streamer) -> None:
    start = listing.get_latest_timestamp() + AHEAD_TICKS
    listing.schedule_streaming(["ramp_d"], [start], [100])
    (buffer,) = listing.streaming_buffers_queue["ramp_d"]
    assert buffer["ref_timestamp"] == start
    assert buffer["data"] == [float(tick) for tick in range(start, start + 101)]


def test_arrays_have_everything_in_the_queue(streamer: Streamer) -> None:
    start = streamer.get_latest_timestamp() + AHEAD_TICKS
    streamer.schedule_streaming(["ramp_d"], [start], [600])
    queue = streamer.streaming_buffers_queue
    assert list(queue) == ["ramp_d"]
    assert [buffer["data"].size for buffer in queue["ramp_d"]] == [512, 89]
    assert list(streamer.partial_buffers) == ["ramp_d"]
    assert isinstance(streamer.last_streamed_buffer["ramp_d"]["timestamps"], np.ndarray)


def test_readers_in_many_threads_see_the_same_buffers(
    listing: Streamer, wait_until: Callable[..., None]
) -> None:
    seen: list[bool] = []

    def read() -> None:
        for _ in range(20):
            before = listing.streaming_buffers_queue["ramp_d"]
            after = listing.streaming_buffers_queue["ramp_d"]
            seen.append(all(a is b for a, b in zip(before, after, strict=False)))

    listing.start_streaming(["ramp_d"])
    wait_until(lambda: listing.streaming_buffers_queue["ramp_d"], "the first buffer")
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    listing.stop_streaming()
    assert seen == [True] * 80
