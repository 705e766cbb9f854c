"""Callbacks of a Streamer: each buffer or block, slow ones, and ones that raise."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bela_module import Streamer
from bela_module.recording.buffers import BufferData
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.ramps import check_values, ticks_of

# Little to wait for: 44 100 ticks a second, and four formats of a ramp.
RAMPS = ("ramp_d", "ramp_j", "ramp_i", "ramp_c", "ramp_sparse")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("several", [False, True])
def test_each_buffer_is_given_to_the_callback(
    streamer: Streamer, asynchronous: bool, several: bool
) -> None:
    seen: dict[str, list[BufferData]] = {"ramp_d": [], "ramp_c": []}

    def plain(buffer: Any, *arguments: Any) -> None:
        (kept,) = arguments[:1]
        assert arguments[1:] == ((7,) if several else ())
        kept[buffer["name"]].append(buffer["buffer"])

    async def coroutine(buffer: Any, *arguments: Any) -> None:
        await asyncio.sleep(0)
        plain(buffer, *arguments)

    queue = streamer.stream_n_values(
        list(seen),
        n_values=5000,
        on_buffer_callback=coroutine if asynchronous else plain,
        callback_args=(seen, 7) if several else seen,
    )
    for name, buffers in seen.items():
        check_values(name, buffers)
        np.testing.assert_array_equal(ticks_of(buffers), ticks_of(queue[name]))
    assert streamer.last_error is None


def test_blocks_are_aligned_by_tick_whatever_the_rates(streamer: Streamer) -> None:
    blocks: list[Any] = []
    names = ["ramp_c", "ramp_j", "ramp_sparse"]
    queue = streamer.stream_n_values(names, n_values=9000, on_block_callback=blocks.append)
    assert len(blocks) > 3
    begin = blocks[0][0]["buffer"]["ref_timestamp"]
    for block in blocks[:-1]:
        assert [item["name"] for item in block] == names
        chars, ints, sparse = (ticks_of([item["buffer"]]) for item in block)
        np.testing.assert_array_equal(chars, ints)
        assert chars[0] == begin
        assert set(sparse) == {tick for tick in chars.tolist() if tick % 12 == 0}
        begin = chars[-1] + 1
    for position, name in enumerate(names):
        given = [block[position]["buffer"] for block in blocks]
        np.testing.assert_array_equal(ticks_of(given), ticks_of(queue[name]))


def test_a_callback_that_raises_is_reported_and_the_stream_goes_on(
    streamer: Streamer, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Any] = []

    def wrong(buffer: Any) -> None:
        calls.append(buffer)
        raise ZeroDivisionError("by a callback")

    streamer.stream_n_values("ramp_d", n_values=2048, on_buffer_callback=wrong)
    assert len(calls) == 4
    assert "ZeroDivisionError: by a callback" in caplog.text
    assert "ZeroDivisionError: by a callback" in (streamer.last_error or "")


def test_a_callback_that_sleeps_does_not_hold_the_stream_up(
    streamer: Streamer, board: SimulatedBoard
) -> None:
    go_on = threading.Event()
    calls: list[int] = []

    def slow(buffer: Any) -> None:
        go_on.wait(20.0)
        calls.append(buffer["buffer"]["ref_timestamp"])

    streamer.start_streaming("ramp_d", on_buffer_callback=slow)
    deadline_s = time.monotonic() + 20.0
    while len(streamer.streaming_buffers_queue["ramp_d"]) < 20 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert calls == []
    go_on.set()
    streamer.stop_streaming()
    buffers = streamer.streaming_buffers_queue["ramp_d"]
    assert len(buffers) >= 20
    assert calls == [buffer["ref_timestamp"] for buffer in buffers]
    assert "none lost" in streamer.report


def test_what_a_slow_callback_misses_is_counted(
    streamer: Streamer, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    go_on = threading.Event()
    calls: list[Any] = []

    def slow(buffer: Any) -> None:
        go_on.wait(20.0)
        calls.append(buffer)

    monkeypatch.setattr("bela_module.scripting.streamer.MAX_WAITING_CALLS", 5)
    streamer.start_streaming("ramp_d", on_buffer_callback=slow)
    wait_until(lambda: streamer.dropped_calls >= 3, "three calls that are left out")
    go_on.set()
    streamer.stop_streaming()
    n_buffers = len(streamer.streaming_buffers_queue["ramp_d"])
    assert len(calls) + streamer.dropped_calls == n_buffers
    assert "too slow" in (streamer.last_error or "")


def test_a_callback_may_stop_the_stream(
    streamer: Streamer, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    streamer.start_streaming("ramp_d", on_buffer_callback=lambda _buffer: streamer.stop_streaming())
    wait_until(lambda: not streamer.is_streaming(), "the end")
    wait_until(lambda: board.watched_names() == [], "the board's end")
    assert streamer.last_error is None
