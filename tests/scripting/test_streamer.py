"""The Streamer against simulated boards: the tutorial's steps, and where they were wrong."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bela_module import Streamer
from bela_module.errors import NoReplyError, RequestError, UnknownVariableError
from bela_module.protocol.variables import ValueType
from bela_module.simulator.faults.fault_list import parse_fault
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from tests.support.ramps import check_values, ticks_of
from tests.support.signal_cases import AHEAD_TICKS

# Little to wait for: 44 100 ticks a second, and four formats of a ramp.
RAMPS = ("ramp_d", "ramp_j", "ramp_i", "ramp_c", "ramp_sparse")


def connected(board: SimulatedBoard) -> Streamer:
    return Streamer("127.0.0.1", board.port, arrays=True)


# ---- a number of values ------------------------------------------------------------------------


def test_at_least_n_values_of_each_type_and_mode(
    streamer: Streamer, board: SimulatedBoard, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "bela_module"):
        queue = streamer.stream_n_values(variables=list(RAMPS), n_values=1000)
    assert queue.keys() == set(RAMPS)
    for name, buffers in queue.items():
        check_values(name, buffers)
        assert len(ticks_of(buffers)) >= 1000
        step = 12 if name == "ramp_sparse" else 1
        assert set(np.diff(ticks_of(buffers))) == {step}
        stamps = np.concatenate([buffer["lsl_timestamps"] for buffer in buffers])
        np.testing.assert_allclose(stamps, board.true_time_s(ticks_of(buffers)), atol=0.02)
    assert len(ticks_of(queue["ramp_j"])) == 1024
    assert "ramp_j: 1024 values, 24 more than the 1000 asked for" in streamer.report
    assert "1024 at a time" in streamer.report
    assert streamer.report in caplog.text
    assert board.watched_names() == []
    assert {len(v) for v in streamer.streaming_buffers_data.values()} >= {1024}
    assert isinstance(streamer.streaming_buffers_data["ramp_j"], list)


def test_a_whole_number_of_blocks_has_no_surplus(streamer: Streamer) -> None:
    streamer.stream_n_values("ramp_i", n_values=2048)
    assert streamer.report == "ramp_i: 2048 values, none lost"


def test_values_that_do_not_come_end_in_an_error_that_says_how_many_came() -> None:
    never = SketchVariable("never", ValueType.INT, ramp, sparse=True)
    sketch = Sketch("still", "", (never,), burst_ticks=1, tick_rate_hz=0.5)
    with SimulatedBoard(sketch) as board, Streamer("127.0.0.1", board.port) as streamer:
        with pytest.raises(NoReplyError, match=r"50 values of never.*never: \d values"):
            streamer.stream_n_values("never", n_values=50, timeout_s=0.2)
        assert not streamer.is_streaming()


def test_what_a_sparse_block_holds_at_the_time_out_counts(streamer: Streamer) -> None:
    # The block of 341 takes 93 ms to fill: the time-out leaves it unfinished for ever.
    queue = streamer.stream_n_values("ramp_sparse", n_values=10, timeout_s=0.05)
    check_values("ramp_sparse", queue["ramp_sparse"])
    assert len(ticks_of(queue["ramp_sparse"])) >= 10


def test_it_can_be_stopped_from_another_thread(
    streamer: Streamer, wait_until: Callable[..., None]
) -> None:
    errors: list[Exception] = []

    def work() -> None:
        try:
            streamer.stream_n_values("ramp_d", n_values=10**9)
        except RequestError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: streamer.streaming_buffers_queue.get("ramp_d"), "the first buffer")
    streamer.stop_streaming()
    thread.join(20.0)
    assert "stopped before all had come" in str(errors[0])


# ---- until it is stopped -----------------------------------------------------------------------


def test_start_and_stop_without_a_hole(
    streamer: Streamer, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    streamer.start_streaming(["ramp_d", "ramp_c"])
    assert streamer.is_streaming()
    wait_until(lambda: len(streamer.streaming_buffers_queue["ramp_c"]) >= 2, "two buffers")
    assert {v["name"] for v in streamer.watched_vars} == {"ramp_d", "ramp_c"}
    newest = streamer.last_streamed_buffer["ramp_d"]
    np.testing.assert_array_equal(newest["data"], newest["timestamps"])
    assert newest["lsl_timestamps"].shape == newest["data"].shape
    streamer.stop_streaming()
    assert not streamer.is_streaming()
    for name in ("ramp_d", "ramp_c"):
        buffers = streamer.streaming_buffers_queue[name]
        check_values(name, buffers)
        ticks = ticks_of(buffers)
        assert set(np.diff(ticks)) == {1}
        (run,) = board.written(name)
        assert (ticks[0], ticks[-1]) == (run.first_tick, run.last_tick)  # the tail as well
        assert {buffer["lost"] for buffer in buffers} == {0}
    streamer.stop_streaming()


def test_a_new_run_stops_the_one_before_and_forgets_its_buffers(streamer: Streamer) -> None:
    streamer.start_streaming("ramp_d")
    streamer.start_streaming("ramp_j")
    assert [v["name"] for v in streamer.watched_vars if v["name"] == "ramp_d"] == []
    streamer.stop_streaming("ramp_j")
    assert list(streamer.streaming_buffers_queue) == ["ramp_j"]


def test_without_names_everything_streams(streamer: Streamer) -> None:
    streamer.start_streaming()
    assert len(streamer.streaming_buffers_queue) == len(streamer.watcher_vars) == 6
    streamer.stop_streaming([])
    assert not streamer.is_streaming()


def test_some_variables_are_stopped_with_their_tail_and_the_others_go_on(
    streamer: Streamer, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    streamer.start_streaming(["ramp_d", "ramp_j", "ramp_sparse"])
    wait_until(lambda: all(streamer.streaming_buffers_queue.values()), "the first buffers")
    streamer.stop_streaming(["ramp_j", "ramp_sparse"])
    assert streamer.is_streaming()
    assert board.watched_names() == ["ramp_d"]
    ended = ticks_of(streamer.streaming_buffers_queue["ramp_j"])
    (run,) = board.written("ramp_j")
    assert (ended[0], ended[-1]) == (run.first_tick, run.last_tick)
    n_values = streamer.report
    wait_until(lambda: streamer.report != n_values, "more values of the other")
    streamer.stop_streaming(["ramp_j"])  # again, which changes nothing
    with pytest.raises(ValueError, match="no variable 'typo'"):
        streamer.stop_streaming(["ramp_d", "typo"])
    assert streamer.is_streaming()
    streamer.stop_streaming(["ramp_d"])
    assert not streamer.is_streaming()
    assert board.watched_names() == []
    for name in ("ramp_d", "ramp_j", "ramp_sparse"):
        check_values(name, streamer.streaming_buffers_queue[name])
    assert ticks_of(streamer.streaming_buffers_queue["ramp_j"]).size == ended.size
    assert streamer.report.count("none lost") == 3
    assert streamer.status["shortfalls"] == []


def test_the_queue_keeps_the_newest(streamer: Streamer, wait_until: Callable[..., None]) -> None:
    assert streamer.streaming_buffers_queue_length == 1000
    streamer.streaming_buffers_queue_length = 2
    streamer.start_streaming("ramp_d")
    wait_until(lambda: int(streamer.report.split()[1]) >= 2560, "five buffers")
    assert len(streamer.streaming_buffers_queue["ramp_d"]) == 2
    streamer.stop_streaming()
    streamer.flush_queue()
    assert streamer.streaming_buffers_data["ramp_d"] == []


def test_more_than_a_hundred_variables() -> None:
    with SimulatedBoard("many", 8000.0) as board, connected(board) as streamer:
        queue = streamer.stream_n_values(n_values=1024)
        assert len(queue) == 130
        for k in (0, 9, 10, 99, 100, 129):
            ticks = ticks_of(queue[f"v{k}"])
            data = np.concatenate([buffer["data"] for buffer in queue[f"v{k}"]])
            np.testing.assert_array_equal(data, 4096 * k + ticks % 4096)


def test_lost_values_are_counted_where_they_are_missing(
    streamer: Streamer, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    streamer.start_streaming("ramp_d")
    wait_until(lambda: len(streamer.streaming_buffers_queue["ramp_d"]) >= 3, "three buffers")
    board.inject(parse_fault("drop-payload:p=1"))
    wait_until(lambda: len(board.losses) >= 2, "two losses")
    board.end_faults()
    wait_until(lambda: any(b["lost"] for b in streamer.streaming_buffers_queue["ramp_d"]), "a gap")
    streamer.stop_streaming()
    buffers = streamer.streaming_buffers_queue["ramp_d"]
    check_values("ramp_d", buffers)
    ticks = ticks_of(buffers)
    missing = int(np.sum(np.diff(ticks) - 1))
    assert missing == sum(buffer["lost"] for buffer in buffers) > 0
    assert f"and {missing} lost" in streamer.report


def test_a_lost_connection_is_found_again(
    streamer: Streamer, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    streamer.start_streaming("ramp_d")
    wait_until(lambda: streamer.streaming_buffers_queue["ramp_d"], "the first buffer")
    board.inject(parse_fault("disconnect:at_s=0"))
    wait_until(lambda: streamer.status["counters"]["reconnects"] == 1, "the reconnect")
    assert streamer.is_connected()
    before = len(streamer.streaming_buffers_queue["ramp_d"])
    wait_until(lambda: len(streamer.streaming_buffers_queue["ramp_d"]) > before + 1, "new buffers")
    streamer.stop_streaming()
    buffers = streamer.streaming_buffers_queue["ramp_d"]
    check_values("ramp_d", buffers)
    ticks = ticks_of(buffers)
    assert np.all(np.diff(ticks) > 0)
    assert int(np.sum(np.diff(ticks) - 1)) == sum(buffer["lost"] for buffer in buffers)


# ---- by the board's own clock ------------------------------------------------------------------


def test_a_schedule_begins_and_ends_at_its_ticks(streamer: Streamer, board: SimulatedBoard) -> None:
    start = streamer.get_latest_timestamp() + AHEAD_TICKS
    streamer.schedule_streaming(["ramp_d", "ramp_i"], [start, start + 500], [3000, 1000])
    assert not streamer.is_streaming()
    for name, first, last in (("ramp_d", 0, 3000), ("ramp_i", 500, 1500)):
        buffers = streamer.streaming_buffers_queue[name]
        check_values(name, buffers)
        np.testing.assert_array_equal(ticks_of(buffers), np.arange(start + first, start + last + 1))


def test_a_schedule_need_not_be_waited_for(streamer: Streamer) -> None:
    start = streamer.get_latest_timestamp() + AHEAD_TICKS
    begun_s = time.monotonic()
    streamer.schedule_streaming("ramp_d", start, 100, blocking=False)
    assert streamer.is_streaming()
    streamer.wait_until_finished(timeout_s=20.0)
    assert time.monotonic() - begun_s > 0.1
    assert ticks_of(streamer.streaming_buffers_queue["ramp_d"]).size == 101


def test_a_schedule_that_does_not_end_in_time_is_stopped(
    streamer: Streamer, board: SimulatedBoard
) -> None:
    start = streamer.get_latest_timestamp() + 10_000_000
    with pytest.raises(NoReplyError, match="scheduled ramp_d"):
        streamer.schedule_streaming(["ramp_d"], [start], [100], timeout_s=0.1)
    assert not streamer.is_streaming()
    assert not any(streamer.streaming_buffers_data.values())


def test_a_schedule_needs_a_time_for_each_variable(streamer: Streamer) -> None:
    with pytest.raises(RequestError, match="timestamps"):
        streamer.schedule_streaming(["ramp_d", "ramp_i"], [1, 2, 3], [100])
    with pytest.raises(RequestError, match="durations"):
        streamer.schedule_streaming(["ramp_d"], [1])


# ---- around it ---------------------------------------------------------------------------------


def test_two_streamers_on_two_boards_do_not_mix() -> None:
    def sketch(offset: int) -> Sketch:
        signal = lambda ticks, _times_s: ticks + offset  # noqa: E731
        return Sketch("two", "", (SketchVariable("x", ValueType.DOUBLE, signal),))

    with (
        SimulatedBoard(sketch(0)) as low,
        SimulatedBoard(sketch(10**9), 22_050.0) as high,
        connected(low) as first,
        connected(high) as second,
    ):
        seen: dict[str, list[Any]] = {"first": [], "second": []}
        first.start_streaming(on_buffer_callback=seen["first"].append)
        queue = second.stream_n_values(n_values=3000, on_buffer_callback=seen["second"].append)
        first.stop_streaming()
        assert first.sample_rate == 44100
        assert second.sample_rate == 22050
        for buffers, offset in ((first.streaming_buffers_queue["x"], 0), (queue["x"], 10**9)):
            ticks = ticks_of(buffers)
            data = np.concatenate([buffer["data"] for buffer in buffers])
            np.testing.assert_array_equal(data, ticks + offset)
            assert set(np.diff(ticks)) == {1}
        assert all(item["buffer"]["data"][0] < 10**8 for item in seen["first"])
        assert all(item["buffer"]["data"][0] >= 10**9 for item in seen["second"])


def test_it_works_where_an_event_loop_runs(streamer: Streamer) -> None:
    async def cell() -> tuple[dict[str, Any], int]:
        streamer.stream_n_values(
            "ramp_d", n_values=512
        )  # as in a notebook, whose loop waits meanwhile
        turns = 0
        task = asyncio.ensure_future(streamer.async_stream_n_values(["ramp_c"], n_values=8192))
        while not task.done():
            await asyncio.sleep(0.001)
            turns += 1
        return task.result(), turns

    queue, turns = asyncio.run(cell())
    check_values("ramp_c", queue["ramp_c"])
    assert turns > 5


def test_cancelling_ends_the_stream(streamer: Streamer, board: SimulatedBoard) -> None:
    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streamer.async_stream_n_values("ramp_d", n_values=10**9), 0.3)

    asyncio.run(cancelled())
    assert not streamer.is_streaming()
    assert board.watched_names() == []


def test_cancelling_before_it_has_begun_ends_the_stream(
    streamer: Streamer, board: SimulatedBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = streamer._prepare
    entered, go_on = threading.Event(), threading.Event()

    def late(*arguments: Any) -> Any:
        entered.set()
        go_on.wait(20.0)
        return prepare(*arguments)

    async def cancelled() -> None:
        task = asyncio.create_task(
            streamer.async_stream_n_values("ramp_d", n_values=10**9, timeout_s=20.0)
        )
        await asyncio.to_thread(entered.wait, 20.0)
        task.cancel()
        await asyncio.sleep(0.05)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.2)
        assert not streamer.is_streaming()
        assert board.watched_names() == []

    monkeypatch.setattr(streamer, "_prepare", late)
    asyncio.run(cancelled())


def test_buffers_reach_the_sketch(
    streamer: Streamer, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    streamer.send_buffer(3, "f", 4, [0.5, 1, -2, 3])
    wait_until(lambda: board.received_buffers, "the buffer")
    buffer = board.received_buffers[0]
    assert (buffer.buffer_id, buffer.values.tolist()) == (3, [0.5, 1.0, -2.0, 3.0])
    with pytest.raises(RequestError, match="buffer_length = 5"):
        streamer.send_buffer(3, "f", 5, [1.0])
    with pytest.raises(RequestError, match="whole numbers"):
        streamer.send_buffer(3, "j", 1, [-1])


def test_starting_in_two_threads_leaves_one_run_that_works(
    streamer: Streamer, wait_until: Callable[..., None]
) -> None:
    outcomes: list[str] = []

    def start(name: str) -> None:
        try:
            streamer.start_streaming(name)
            outcomes.append("started")
        except RequestError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=start, args=(name,)) for name in ("ramp_d", "ramp_i")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert "started" in outcomes
    assert streamer.is_streaming()
    wait_until(lambda: all(streamer.streaming_buffers_queue.values()), "the first buffer")
    streamer.stop_streaming()


def test_errors_say_what_to_do(streamer: Streamer) -> None:
    with pytest.raises(UnknownVariableError, match="'ramp_d'"):
        streamer.start_streaming("pot1")
    with pytest.raises(RequestError, match="connect"):
        Streamer("127.0.0.1", 1).start_streaming("pot1")
    assert not streamer.is_streaming()
