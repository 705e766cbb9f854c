"""What pybela's public tests and notebooks do, in our own words, on the sketches of its tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module import Controller, Monitor, Streamer, Watcher
from bela_module.protocol.variables import ValueType
from bela_module.requests import SendRequest, StartRequest
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from tests.support.session_helpers import answer, session_at
from tests.support.signal_cases import AHEAD_TICKS

SIZES = {"myvar": 512, "myvar2": 1024, "myvar3": 512, "myvar4": 341}
SPARSE = ("myvar3", "myvar4")
KNOWN = {*SIZES, "myvar5"}
WaitUntil = Callable[..., None]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedBoard]:
    """Run the sketch of pybela's tests; every variable holds its tick."""
    with SimulatedBoard("bela-test") as board:
        monkeypatch.setenv("BELA_HOST", "127.0.0.1")
        monkeypatch.setenv("BELA_PORT", str(board.port))
        yield board
        assert board.watched_names() == []
        assert board.monitored() == {}


@pytest.fixture
def streamer(board: SimulatedBoard) -> Iterator[Streamer]:
    streamer = Streamer()
    assert streamer.connect()
    yield streamer
    streamer.cleanup()


@pytest.fixture
def monitor(board: SimulatedBoard) -> Iterator[Monitor]:
    monitor = Monitor()
    monitor.connect()
    yield monitor
    monitor.cleanup()


@pytest.fixture
def controller(board: SimulatedBoard) -> Iterator[Controller]:
    controller = Controller()
    controller.connect()
    yield controller
    controller.cleanup()


def file_of(name: str, filename: str) -> str:
    return os.path.join("./test", f"{name}_{filename}")


def loaded_when_written(
    streamer: Streamer, path: str, n_buffers: int, wait_until: WaitUntil
) -> list[dict[str, Any]]:
    """Load a file, which a computer without time may still be writing."""
    wait_until(lambda: len(streamer.load_data_from_file(path)) == n_buffers, "the file")
    return streamer.load_data_from_file(path)


def check_saved_blocks(streamer: Streamer, filename: str, wait_until: WaitUntil) -> None:
    """Check that queue and files have whole blocks, and the same."""
    for name, size in SIZES.items():
        queue = streamer.streaming_buffers_queue[name]
        loaded = loaded_when_written(streamer, file_of(name, filename), len(queue), wait_until)
        assert len(loaded) > 0
        for kept, read in zip(queue, loaded, strict=True):
            assert len(kept["data"]) == size
            assert kept["data"] == read["data"]
            assert kept["ref_timestamp"] == read["ref_timestamp"]


# ---- Watcher -----------------------------------------------------------------------------------


def test_the_watcher_lists_what_it_watches(board: SimulatedBoard) -> None:
    watcher = Watcher()
    watcher.connect()
    listed = watcher.list()["watchers"]
    assert {entry["name"] for entry in listed} == KNOWN
    assert len(listed) == len(watcher.watcher_vars)
    assert {"timestampMode", "logFileName", "valueInput"} <= listed[0].keys()
    watcher.disconnect()
    assert watcher.ws_ctrl.state == 3


# ---- Streamer ----------------------------------------------------------------------------------


def test_a_number_of_values_by_keyword_and_by_position(streamer: Streamer) -> None:
    names = ["myvar", "myvar2"]
    for buffers in (
        streamer.stream_n_values(variables=names, n_values=40),
        streamer.stream_n_values(names, [], 40, False, None, "./"),
    ):
        assert buffers.keys() == KNOWN
        for name in names:
            (buffer,) = buffers[name]
            size = streamer.get_data_length(streamer.get_prop_of_var(name, "type"), "dense")
            assert len(buffer["data"]) == size == SIZES[name]
            assert len(streamer.streaming_buffers_data[name]) >= 40
        assert streamer.streaming_buffers_data["myvar5"] == []


def test_until_it_is_stopped_with_files(streamer: Streamer, wait_until: WaitUntil) -> None:
    streamer.streaming_buffers_queue_length = 1000
    streamer.start_streaming(
        variables=list(SIZES), saving_enabled=True, saving_filename="a.txt", saving_dir="./test"
    )
    assert streamer.streaming_mode == "FOREVER"
    wait_until(
        lambda: all(streamer.streaming_buffers_queue[name] for name in SIZES), "a block each"
    )
    streamer.stop_streaming(variables=list(SIZES))
    assert streamer.streaming_mode == "OFF"
    check_saved_blocks(streamer, "a.txt", wait_until)
    for name in ("myvar", "myvar2"):
        for buffer in streamer.streaming_buffers_queue[name]:
            assert "rel_timestamps" not in buffer
            first = buffer["ref_timestamp"]
            assert buffer["data"] == list(range(first, first + SIZES[name]))
    for name in SPARSE:
        for buffer in streamer.streaming_buffers_queue[name]:
            ticks = [buffer["ref_timestamp"] + i for i in buffer["rel_timestamps"]]
            assert ticks == buffer["data"]


def test_a_schedule_with_files(streamer: Streamer, wait_until: WaitUntil) -> None:
    start, n_ticks = streamer.get_latest_timestamp() + AHEAD_TICKS, 30_000
    streamer.schedule_streaming(
        variables=list(SIZES),
        timestamps=[start] * 4,
        durations=[n_ticks] * 4,
        saving_enabled=True,
        saving_dir="./test",
        saving_filename="b.txt",
    )
    check_saved_blocks(streamer, "b.txt", wait_until)
    for name in ("myvar", "myvar2"):
        assert streamer.streaming_buffers_data[name] == list(range(start, start + n_ticks + 1))
    for name in SPARSE:
        assert set(np.diff(streamer.streaming_buffers_data[name])) == {12}


@pytest.mark.parametrize("by_block", [False, True])
def test_callbacks_miss_no_buffer(
    streamer: Streamer, by_block: bool, wait_until: WaitUntil
) -> None:
    seen: dict[str, list[int]] = {"myvar": [], "myvar5": []}
    sizes: set[int] = set()

    def on_buffer(buffer: Any) -> None:
        seen[buffer["name"]].append(buffer["buffer"]["ref_timestamp"])
        assert type(buffer["buffer"]["data"]) is list
        sizes.add(len(buffer["buffer"]["data"]))

    def on_block(block: Any) -> None:
        assert [buffer["name"] for buffer in block] == list(seen)
        for buffer in block:
            on_buffer(buffer)

    callback = {"on_block_callback": on_block} if by_block else {"on_buffer_callback": on_buffer}
    streamer.start_streaming(list(seen), saving_enabled=False, **callback)  # type: ignore[arg-type]
    wait_until(lambda: all(len(ticks) > 5 for ticks in seen.values()), "calls")
    streamer.stop_streaming(list(seen))
    assert streamer.last_error is None
    for ticks in seen.values():
        assert set(np.diff(ticks)) == {512}
    assert sizes == {512}  # so that they can be sent back as buffers of this size


def test_some_variables_are_stopped_before_the_others(
    streamer: Streamer, wait_until: WaitUntil
) -> None:
    streamer.start_streaming(["myvar", "myvar5"])
    wait_until(lambda: streamer.streaming_buffers_data["myvar5"], "values")
    streamer.stop_streaming(["myvar5"])
    n_values = len(streamer.streaming_buffers_data["myvar"])
    assert [variable["name"] for variable in streamer.watched_vars] == ["myvar"]
    wait_until(lambda: len(streamer.streaming_buffers_data["myvar"]) > n_values, "more values")
    streamer.stop_streaming()
    assert streamer.report.count("none lost") == 2


def test_a_variable_that_is_not_there_is_a_value_error(streamer: Streamer) -> None:
    with pytest.raises(ValueError, match="'myvar9'"):
        streamer.start_streaming(["myvar9"])


def test_blocks_that_end_in_zeros_are_whole_buffers(wait_until: WaitUntil) -> None:
    pulses = SketchVariable("pulses", ValueType.INT, lambda ticks, _s: (ticks % 700 < 9) * 1)
    with (
        SimulatedBoard(Sketch("pulses", "", (pulses,))) as board,
        Streamer("127.0.0.1", board.port) as streamer,
    ):
        sizes: list[int] = []
        keep = lambda buffer: sizes.append(len(buffer["buffer"]["data"]))  # noqa: E731
        streamer.start_streaming(["pulses"], on_buffer_callback=keep)
        wait_until(lambda: len(streamer.streaming_buffers_queue["pulses"]) > 9, "ten blocks")
        streamer.stop_streaming()
        queue = streamer.streaming_buffers_queue["pulses"]
        assert set(sizes) == {len(buffer["data"]) for buffer in queue} == {1024}
        assert len(sizes) == len(queue)
        first = queue[0]["ref_timestamp"]
        values = streamer.streaming_buffers_data["pulses"]
        assert values == [int(tick % 700 < 9) for tick in range(first, first + len(values))]
        assert "none lost" in streamer.report


def test_periods_are_ignored_with_a_warning(streamer: Streamer) -> None:
    with pytest.warns(UserWarning, match="periods"):
        buffers = streamer.stream_n_values(["myvar"], [1000], 100)
    assert len(buffers["myvar"]) == 1


# ---- to the board ------------------------------------------------------------------------------


def test_what_is_sent_comes_back_though_no_clock_can_be_known(
    monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    # The sketch ticks once for each buffer that it receives, not by time.
    with SimulatedBoard("bela-test-send") as board:
        streamer = Streamer("127.0.0.1", board.port)
        streamer.connect()
        names = ["myvar1", "myvar2"]
        streamer.start_streaming(names)
        numbers = np.arange(1, 1025, 1)
        for round_ in range(3):
            for buffer_id in (0, 1):
                streamer.send_buffer(buffer_id, "f", 1024, numbers + 2000 * round_)
        wait_until(
            lambda: all(len(streamer.streaming_buffers_queue[n]) == 3 for n in names), "all of it"
        )
        for number, name in enumerate(names):
            queue = streamer.streaming_buffers_queue[name]
            assert [buffer["ref_timestamp"] for buffer in queue] == [
                1 + number + 2 * k for k in range(3)
            ]
            sent = np.concatenate([numbers + 2000 * round_ for round_ in range(3)])
            assert np.array_equal(streamer.streaming_buffers_data[name], sent)
            assert all(np.isnan(buffer["lsl_timestamps"]).all() for buffer in queue)
        streamer.stop_streaming()
        assert "none lost" in streamer.report
        streamer.cleanup()


def test_to_lsl_such_values_are_not_given_and_that_is_told(wait_until: WaitUntil) -> None:
    with SimulatedBoard("bela-test-send") as board, session_at(board.port) as one:
        answer(one.session.start(StartRequest(variables=("myvar1",))))
        numbers = tuple(float(k) for k in range(1, 1025))
        answer(one.session.send(SendRequest(buffer_id=0, type="f", data=numbers)))
        wait_until(lambda: one.session.status()["counters"]["blocks"] == 1, "the block")
        answer(one.session.stop())
        assert one.samples("bela_myvar1") == 0
        told = [text for text in one.session.status()["shortfalls"] if "1024 values" in text]
        assert [text.partition(":")[0] for text in told] == ["myvar1"]
        assert "ticks do not follow time" in told[0]


# ---- Monitor -----------------------------------------------------------------------------------


def test_peeking_gives_each_value_with_its_own_tick(monitor: Monitor) -> None:
    seen = monitor.peek()
    assert seen.keys() == KNOWN
    for look in seen.values():
        assert look["timestamp"] == look["value"]
    assert monitor.values == {
        n: {"timestamps": [], "values": [], "lsl_timestamps": []} for n in KNOWN
    }


def test_values_at_a_period(monitor: Monitor, wait_until: WaitUntil) -> None:
    monitor.start_monitoring(["myvar", "myvar2"], [1000] * 2)
    wait_until(lambda: len(monitor.values["myvar2"]["values"]) > 5, "values")
    newest = monitor.last_streamed_buffer
    assert newest["myvar"]["timestamp"] == newest["myvar"]["value"]
    assert newest["myvar5"] == {"data": [], "timestamps": []}
    kept = monitor.stop_monitoring()
    assert kept.keys() == {"myvar", "myvar2"}
    for name, values in kept.items():
        assert values["timestamps"] == values["values"] == monitor.streaming_buffers_data[name]
        assert np.diff(values["timestamps"]).min() >= 1000
        queue = monitor.streaming_buffers_queue[name]
        assert [entry["timestamp"] for entry in queue] == values["timestamps"]


@pytest.mark.parametrize("in_a_loop", [False, True])
def test_just_as_many_values_as_asked_for(monitor: Monitor, in_a_loop: bool) -> None:
    if in_a_loop:
        kept = asyncio.run(monitor.async_monitor_n_values(["myvar", "myvar2"], [700, 900], 25))
    else:
        kept = monitor.monitor_n_values(
            variables=["myvar", "myvar2"], periods=[700, 900], n_values=25
        )
    assert kept.keys() == KNOWN
    for name in ("myvar", "myvar2"):
        assert len(kept[name]["values"]) == len(monitor.streaming_buffers_data[name]) == 25
    assert kept["myvar5"]["values"] == []


def test_monitored_values_in_files(monitor: Monitor, wait_until: WaitUntil) -> None:
    monitor.start_monitoring(list(SIZES), 1000, True, "m.txt", "./test")
    wait_until(lambda: all(monitor.values[name]["values"] for name in SIZES), "values")
    kept = monitor.stop_monitoring()
    for name in SIZES:
        loaded: Any = monitor.load_data_from_file(file_of(name, "m.txt"))
        assert loaded == kept[name]
        lines: Any = monitor.load_data_from_file(file_of(name, "m.txt"), flatten=False)
        assert [line["value"] for line in lines] == kept[name]["values"]


def test_a_function_is_called_with_each_monitored_value(
    monitor: Monitor, wait_until: WaitUntil
) -> None:
    seen: list[Any] = []
    monitor.start_streaming(["myvar"], [700], on_buffer_callback=seen.append)
    wait_until(lambda: len(seen) > 3, "calls")
    monitor.stop_streaming()
    queue = monitor.streaming_buffers_queue["myvar"]
    assert [(call["name"], call["buffer"]) for call in seen] == [("myvar", e) for e in queue]
    with pytest.raises(ValueError, match="on_block_callback"):
        monitor.start_streaming(["myvar"], 700, on_block_callback=print)  # type: ignore[arg-type]


def test_a_look_leaves_the_monitor_of_another_as_it_is(
    monitor: Monitor, board: SimulatedBoard
) -> None:
    with Monitor() as other:
        other.start_monitoring(["myvar"], 1000)
        seen = monitor.peek(["myvar", "myvar4"])
        assert board.monitored() == {"myvar": 1000}
        assert seen["myvar4"]["timestamp"] == seen["myvar4"]["value"]
        assert seen["myvar"]["value"] > 0


def test_a_monitor_sends_buffers_too(
    monitor: Monitor, board: SimulatedBoard, wait_until: WaitUntil
) -> None:
    monitor.send_buffer(0, "f", 2, [1, 2])
    wait_until(lambda: board.received_buffers, "the buffer")


# ---- Controller, and all of them at once -------------------------------------------------------


def test_values_are_set_as_far_as_the_type_holds_them(controller: Controller) -> None:
    controller.start_controlling(variables=list(SIZES))
    assert controller.get_controlled_status(list(SIZES)) == dict.fromkeys(SIZES, True)
    controller.send_value(variables=list(SIZES), values=[4.6] * 4)
    assert controller.get_value(list(SIZES)) == {
        "myvar": 4.6,
        "myvar2": 4,
        "myvar3": 4,
        "myvar4": 4.6,
    }
    controller.stop_controlling(variables=list(SIZES))
    assert controller.get_controlled_status(list(SIZES)) == dict.fromkeys(SIZES, False)


def test_all_three_at_once_on_one_board(
    streamer: Streamer,
    monitor: Monitor,
    controller: Controller,
    board: SimulatedBoard,
    wait_until: WaitUntil,
) -> None:
    monitor.start_monitoring(["myvar", "myvar3"], [1000, 1200])
    wait_until(lambda: monitor.values["myvar"]["values"], "the first value")
    streamer.start_streaming(["myvar", "myvar2", "myvar3"])
    controller.start_controlling(["myvar5"])
    controller.send_value(["myvar5"], [3.5])
    assert board.monitored() == {"myvar": 1000, "myvar3": 1200}
    n_before = len(monitor.values["myvar3"]["values"])
    wait_until(lambda: all(streamer.streaming_buffers_queue[n] for n in list(SIZES)[:3]), "blocks")
    assert controller.get_value(["myvar5"]) == {"myvar5": 3.5}
    streamer.stop_streaming()
    wait_until(lambda: len(monitor.values["myvar3"]["values"]) > n_before + 2, "values after it")
    for name, step in (("myvar", 1), ("myvar2", 1), ("myvar3", 12)):
        assert set(np.diff(streamer.streaming_buffers_data[name])) == {step}
    assert streamer.report.count("none lost") == 3
    monitored = monitor.stop_monitoring()
    for values in monitored.values():
        assert values["timestamps"] == values["values"]
        assert np.diff(values["timestamps"]).min() >= 1000
    assert controller.get_controlled_status(["myvar5"]) == {"myvar5": True}
    controller.cleanup()
    assert board.controlled_values() == {}
