"""What Streamer and Monitor share: one run at a time, its arguments, its end, and a report."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module import Streamer
from bela_module.errors import ArgumentError, NoReplyError, RequestError
from bela_module.scripting.callback_dispatcher import Dispatcher
from bela_module.scripting.streaming_run import StreamingRun
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.signal_cases import AHEAD_TICKS
from tests.support.stopwatch import Stopwatch


def test_a_new_one_has_nothing_and_says_so() -> None:
    receiver = Streamer("127.0.0.1", 1)
    assert not receiver.is_streaming()
    assert receiver.streaming_buffers_queue == {}
    assert receiver.saved_files == {}
    receiver.disconnect()


def test_the_queue_keeps_the_newest_buffers(
    streamer: Streamer, wait_until: Callable[..., None]
) -> None:
    wrong: Any
    for wrong in (0, -1, 1.5, "x", None, True):
        with pytest.raises(RequestError, match="queue_length"):
            streamer.streaming_buffers_queue_length = wrong
    assert streamer.streaming_buffers_queue_length == 1000
    streamer.streaming_buffers_queue_length = 3
    streamer.start_streaming("ramp_d")
    wait_until(lambda: len(streamer.streaming_buffers_queue["ramp_d"]) == 3, "three buffers")
    first = streamer.streaming_buffers_queue["ramp_d"][0]["ref_timestamp"]
    wait_until(
        lambda: streamer.streaming_buffers_queue["ramp_d"][0]["ref_timestamp"] > first, "newer ones"
    )
    assert len(streamer.streaming_buffers_queue["ramp_d"]) == 3
    streamer.stop_streaming()
    assert not streamer.is_streaming()
    streamer.flush_queue()
    assert not streamer.streaming_buffers_queue["ramp_d"]


# ---- arguments -----------------------------------------------------------------------------------


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("variables", {"variables": 5}),
    ("variables", {"variables": None}),
    ("variables", {"variables": [5]}),
    ("n_values", {"n_values": 0}),
    ("n_values", {"n_values": 1.5}),
    ("n_values", {"n_values": "some"}),
    ("n_values", {"n_values": True}),
    ("n_values", {"n_values": None}),
    ("n_values", {"n_values": 10**400}),
    ("timeout_s", {"timeout_s": -1}),
    ("timeout_s", {"timeout_s": float("nan")}),
    ("timeout_s", {"timeout_s": "soon"}),
    ("saving_enabled", {"saving_enabled": "perhaps"}),
    ("saving_dir", {"saving_dir": None}),
    ("saving_dir", {"saving_dir": 5}),
    ("saving_dir", {"saving_dir": "~nobody_of_this_name"}),
    ("cannot save to", {"saving_dir": "a\0b"}),
    ("saving_filename", {"saving_filename": 5}),
    ("saving_filename", {"saving_filename": "a\0b"}),
    ("saving_filename", {"saving_filename": ""}),
    ("saving_format", {"saving_format": "wav"}),
    ("on_buffer_callback = 5: must be callable", {"on_buffer_callback": 5}),
    ("on_block_callback", {"on_block_callback": "print"}),
    ("exclude each other", {"on_buffer_callback": print, "on_block_callback": print}),
]


def test_what_cannot_be_is_refused_and_the_next_run_works(
    streamer: Streamer, board: SimulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, arguments in WRONG:
        asked = {"variables": "ramp_d", "n_values": 5, "saving_enabled": True, **arguments}
        with pytest.raises(RequestError, match=words):
            streamer.stream_n_values(**asked)
    assert board.watched_names() == []
    assert list(tmp_path.iterdir()) == []
    streamer.start_streaming("ramp_d")
    with pytest.raises(TypeError, match="foo"):
        streamer.start_streaming("ramp_d", foo=1)  # type: ignore[call-arg]
    for wrong in (None, -1, "soon"):
        with pytest.raises(RequestError, match="timeout_s"):
            streamer.wait_until_finished(wrong)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="variables"):
        streamer.stop_streaming(5)  # type: ignore[arg-type]
    assert streamer.is_streaming()  # what is refused changes nothing
    streamer.stop_streaming()


@pytest.mark.parametrize("timeout_s", [math.inf, 1e12, np.float32(20), None])
def test_numbers_of_numpy_and_endless_ones_are_numbers(streamer: Streamer, timeout_s: Any) -> None:
    queue = streamer.stream_n_values(
        np.array(["ramp_i"]), n_values=np.int64(100), timeout_s=timeout_s
    )
    assert queue["ramp_i"][0]["data"].size == 1024
    tick = np.int64(streamer.get_latest_timestamp() + AHEAD_TICKS)
    streamer.schedule_streaming("ramp_i", tick, np.array([np.int32(100)]), timeout_s=timeout_s)
    assert len(streamer.streaming_buffers_data["ramp_i"]) == 101
    streamer.send_buffer(np.int64(0), "f", np.int64(3), np.zeros(3, np.float32))
    streamer.streaming_buffers_queue_length = np.int64(7)
    assert streamer.streaming_buffers_queue_length == 7


def test_what_is_no_buffer_is_refused(streamer: Streamer) -> None:
    wrong: Any
    for wrong in (None, "ab", [None], object()):
        with pytest.raises(RequestError, match="data"):
            streamer.send_buffer(0, "f", 1, wrong)
    with pytest.raises(RequestError, match="must be"):
        streamer.send_buffer(0, "z", 1, [1])


# ---- Ctrl-C ------------------------------------------------------------------------------------


@pytest.mark.parametrize("interrupted", [{"watch"}, {"watch", "unwatch"}])
def test_an_interrupted_start_leaves_nothing_behind(
    streamer: Streamer,
    board: SimulatedBoard,
    interrupted: set[str],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    result = streamer._result

    def interrupt(future: Any, request: str) -> Any:
        if request in interrupted:  # when the board has been told already
            raise KeyboardInterrupt
        return result(future, request)

    monkeypatch.setattr(streamer, "_result", interrupt)
    with pytest.raises(KeyboardInterrupt):
        streamer.start_streaming("ramp_d")
    monkeypatch.undo()
    assert not streamer.is_streaming()
    wait_until(lambda: board.watched_names() == [], "the board's end")
    assert streamer.stream_n_values("ramp_i", n_values=512)["ramp_i"]
    assert streamer.last_error is None


def test_an_interrupted_stop_can_be_done_again(
    streamer: Streamer,
    board: SimulatedBoard,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    streamer.start_streaming("ramp_d")
    monkeypatch.setattr(streamer._open_session(), "stop", interrupt)
    with pytest.raises(KeyboardInterrupt):
        streamer.stop_streaming()
    monkeypatch.undo()
    wait_until(lambda: board.watched_names() == ["ramp_d"], "the watch")
    streamer.stop_streaming()
    assert board.watched_names() == []


def test_an_interrupted_stop_does_not_wait_for_a_callback(
    streamer: Streamer, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, go_on = threading.Event(), threading.Event()
    result, limits_s, close = streamer._result, list[float](), Dispatcher.close

    def noted(self: Dispatcher, call_s: float = 1.0) -> None:
        limits_s.append(call_s)
        close(self, call_s)

    def blocked(_buffer: Any) -> None:
        called.set()
        go_on.wait(20.0)

    def interrupt(future: Any, request: str) -> Any:
        if request == "unwatch":
            raise KeyboardInterrupt
        return result(future, request)

    streamer.start_streaming("ramp_d", on_buffer_callback=blocked)
    assert called.wait(20.0)
    monkeypatch.setattr(Dispatcher, "close", noted)
    monkeypatch.setattr(streamer, "_result", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            streamer.stop_streaming()
    finally:
        go_on.set()
        monkeypatch.undo()
    assert limits_s == [0.0]


@pytest.mark.parametrize("waiting", [False, True])
def test_an_error_does_not_wait_for_a_callback(
    streamer: Streamer, waiting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, go_on = threading.Event(), threading.Event()
    limits_s: list[float] = []
    close = Dispatcher.close

    def noted(self: Dispatcher, call_s: float = 1.0) -> None:
        limits_s.append(call_s)
        close(self, call_s)

    def blocked(_buffer: Any) -> None:
        called.set()
        go_on.wait(20.0)

    def interrupted(*_arguments: Any) -> bool:
        called.wait(20.0)
        raise KeyboardInterrupt

    def leave() -> None:
        with streamer:
            if waiting:
                streamer.stream_n_values("ramp_d", n_values=10**9, on_buffer_callback=blocked)
            streamer.start_streaming("ramp_d", on_buffer_callback=blocked)
            interrupted()

    monkeypatch.setattr(Dispatcher, "close", noted)
    monkeypatch.setattr(StreamingRun, "wait", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            leave()
    finally:
        go_on.set()
    assert limits_s == [0.0]
    assert streamer.dropped_calls > 0


def test_what_is_forgotten_in_its_own_callback_ends_at_once(
    board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    kept: list[Streamer] = [Streamer("127.0.0.1", board.port)]
    took_s: list[float] = []

    def forget(_buffer: Any, kept: list[Streamer]) -> None:
        if kept:
            watch = Stopwatch()
            kept.clear()
            gc.collect()
            took_s.append(watch.passed_s)

    kept[0].connect()
    kept[0].start_streaming("ramp_d", on_buffer_callback=forget, callback_args=(kept,))
    wait_until(lambda: took_s, "the end")
    assert took_s[0] < 4.0  # as long as two threads would wait for each other
    wait_until(lambda: board.watched_names() == [], "the board's end")


def test_waiting_in_vain_is_an_error_that_says_what_came(streamer: Streamer) -> None:
    with pytest.raises(NoReplyError, match="ramp_sparse"):
        streamer.stream_n_values("ramp_sparse", n_values=10**9, timeout_s=0.3)
    assert not streamer.is_streaming()


def test_a_plot_follows_what_streams_and_ends_with_the_connection(
    streamer: Streamer, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    pytest.importorskip("bokeh")
    shown: list[Any] = []
    ended: list[int] = []

    def show(plot: Any) -> Callable[[], None]:
        shown.append(plot)
        return lambda: ended.append(1)

    monkeypatch.setattr("bela_module.viewing.script_plot.show_plot", show)
    with pytest.raises(RequestError, match="'ramp_d' is not being streamed or monitored"):
        streamer.plot_data("ramp_d", ["ramp_d"])
    streamer.start_streaming(["ramp_d", "ramp_f"])
    streamer.plot_data("ramp_d", ["ramp_d", "ramp_f"], (0, 9), 50, 10)
    (plot,) = shown
    assert (plot.x_var, plot.y_vars) == ("ramp_d", ("ramp_d", "ramp_f"))
    assert (plot.y_range, plot.update_ms, plot.rollover) == ((0, 9), 50, 10)
    wait_until(lambda: plot.buffers()["ramp_d"], "values to plot")
    streamer.plot_data("ramp_d", ["ramp_d", "ramp_f"])
    assert (len(shown), ended) == (2, [1])  # the same again takes its place
    streamer.plot_data("ramp_d", ["ramp_d"], None, 50, None)
    assert (len(shown), ended) == (3, [1])
    streamer.stop_streaming()
    with pytest.raises(RequestError, match="'ramp_d' is not being streamed or monitored"):
        streamer.plot_data("ramp_d", ["ramp_d"])
    streamer.disconnect()
    assert ended == [1, 1, 1]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("y_range", (1, 0)),
        ("y_range", (0, 0)),
        ("y_range", (0, float("nan"))),
        ("y_range", (0, float("inf"))),
        ("y_range", 5),
        ("plot_update_delay", 0),
        ("plot_update_delay", "often"),
        ("rollover", 0),
        ("rollover", 2.5),
    ],
)
def test_options_of_a_plot_are_checked(streamer: Streamer, argument: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=argument):
        streamer.plot_data("ramp_d", ["ramp_d"], **{argument: value})
