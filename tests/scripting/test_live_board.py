"""Connecting to a board and asking it what it has: shared by the whole Python interface."""

from __future__ import annotations

import gc
import math
import pydoc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pylsl
import pytest

import bela_module
from bela_module import Controller, Monitor, Streamer
from bela_module.errors import (
    ArgumentError,
    ConfigError,
    ConnectError,
    NotConnectedError,
    UnknownVariableError,
)
from bela_module.interruptible import FinishingThread
from bela_module.scripting import live_board
from bela_module.scripting.live_board import LiveBoard
from bela_module.session import session
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.paths import ROOT


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard("simulation") as board:
        yield board


@pytest.fixture
def live(board: SimulatedBoard) -> Iterator[LiveBoard]:
    with LiveBoard("127.0.0.1", board.port) as live:
        yield live


# ---- the address -------------------------------------------------------------------------------


def test_the_address_is_the_argument_else_the_environment_else_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (LiveBoard().ip, LiveBoard().port) == ("bela.local", 5555)
    monkeypatch.setenv("BELA_HOST", "10.0.0.7")
    monkeypatch.setenv("BELA_PORT", "7777")
    assert (LiveBoard().ip, LiveBoard().port) == ("10.0.0.7", 7777)
    other = LiveBoard(ip="127.0.0.1", port=1234)
    assert (other.ip, other.port) == ("127.0.0.1", 1234)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"ip and port: .*port"):
        LiveBoard("127.0.0.1", 70_000)
    with pytest.raises(ConfigError, match="host"):
        LiveBoard("http://bela.local")
    LiveBoard("127.0.0.1", 1, data_add="gui_data", control_add="gui_control")
    with pytest.raises(ArgumentError, match="'gui_data' and 'gui_control'"):
        LiveBoard("127.0.0.1", 1, data_add="data")


# ---- the connection ----------------------------------------------------------------------------


def test_connecting_and_disconnecting(board: SimulatedBoard) -> None:
    live = LiveBoard("127.0.0.1", board.port)
    assert not live.is_connected()
    assert live.last_error is None
    with pytest.raises(NotConnectedError, match=r"call connect\(\) first"):
        live.list()
    for _twice in range(2):
        assert live.connect() is True
        assert live.connect() is True
        assert live.is_connected()
        live.disconnect()
        live.disconnect()
        assert not live.is_connected()
    with pytest.raises(ConnectionError, match=r"call connect\(\) first"):
        live.list()


def test_no_board_is_an_error_that_says_what_to_look_at(board: SimulatedBoard) -> None:
    port = board.port
    board.__exit__(None, None, None)
    live = LiveBoard("127.0.0.1", port)
    with pytest.raises(ConnectError, match="is the board on"):
        live.connect()
    with pytest.raises(ConnectionError):  # as scripts for pybela catch it
        live.connect()
    assert not live.is_connected()
    board.__enter__()


def test_a_lost_connection_is_found_again_when_it_is_needed(
    live: LiveBoard, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    board.restart()
    wait_until(lambda: not live.is_connected(), "the end of the connection")
    assert live.get_latest_timestamp() >= 0
    assert live.is_connected()
    board.restart()
    wait_until(lambda: not live.is_connected(), "the end of the connection")
    assert live.connect() is True
    assert live.is_connected()


def test_what_is_forgotten_ends_its_connection(
    board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    live = LiveBoard("127.0.0.1", board.port)
    live.connect()
    del live
    gc.collect()
    wait_until(
        lambda: all(t.name != "bela-session" for t in threading.enumerate()), "the thread's end"
    )


def test_an_interrupted_connect_leaves_no_connection(
    board: SimulatedBoard, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_arguments: Any) -> bool:
        raise KeyboardInterrupt

    live = LiveBoard("127.0.0.1", board.port)
    monkeypatch.setattr(session, "wait_for", interrupt)  # while the session begins
    with pytest.raises(KeyboardInterrupt):
        live.connect()
    monkeypatch.undo()
    assert all(thread.name != "bela-session" for thread in threading.enumerate())
    wait_until(lambda: board.n_clients == 0, "closed connections")
    assert live.connect()
    live.disconnect()


@pytest.mark.parametrize("n_interrupts", [1, 2])
def test_an_interrupted_disconnect_leaves_the_board_as_it_was(
    board: SimulatedBoard, n_interrupts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts: list[float] = []

    def interrupted(self: FinishingThread, timeout_s: float) -> bool:
        if len(interrupts) < n_interrupts:
            interrupts.append(timeout_s)
            raise KeyboardInterrupt
        return wait(self, timeout_s)

    controller = Controller("127.0.0.1", board.port)
    controller.connect()
    controller.start_controlling()
    wait = FinishingThread.wait
    monkeypatch.setattr(FinishingThread, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        controller.disconnect()
    assert len(interrupts) == n_interrupts
    assert controller._finalizer is not None
    controller._finalizer()  # as at the end of the program
    assert board.controlled_values() == {}
    assert all(thread.name != "bela-session" for thread in threading.enumerate())


def test_connecting_in_several_threads_makes_one_connection(board: SimulatedBoard) -> None:
    live = LiveBoard("127.0.0.1", board.port)
    together = threading.Barrier(4)

    def connect() -> None:
        together.wait(20.0)
        live.connect()

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(thread.name == "bela-session" for thread in threading.enumerate()) == 1
    live.disconnect()


@pytest.mark.parametrize("duration_s", [-1, float("nan"), "long", None])
def test_a_time_that_is_none_is_refused(duration_s: Any) -> None:
    with pytest.raises(ArgumentError, match="time_in_seconds"):
        LiveBoard("127.0.0.1", 1).wait(duration_s)
    with pytest.raises(ValueError, match="time_in_seconds"):  # as scripts for pybela catch it
        LiveBoard("127.0.0.1", 1).wait(time_in_seconds=duration_s)


@pytest.mark.parametrize("arguments", [(), (0,), (math.inf,)])
def test_for_ever_is_a_time(arguments: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(live_board, "sleep", slept.append)
    LiveBoard("127.0.0.1", 1).wait(*arguments)
    LiveBoard("127.0.0.1", 1).wait(0.25)
    monkeypatch.undo()
    assert slept[0] > 30 * 24 * 3600
    assert slept[0] < threading.TIMEOUT_MAX
    assert slept[1] == 0.25


def test_any_thread_may_ask(live: LiveBoard) -> None:
    ticks: list[int] = []
    threads = [
        threading.Thread(target=lambda: ticks.append(live.get_latest_timestamp())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ticks) == 8


# ---- what the board says -----------------------------------------------------------------------


def test_the_boards_variables(live: LiveBoard) -> None:
    by_name = {variable["name"]: variable for variable in live.watcher_vars}
    assert list(by_name) == ["pot1", "pot2", "touch", "counter", "sine", "noise", "temperature"]
    assert by_name["pot1"]["type"] == "f"
    assert by_name["pot1"]["timestamp_mode"] == "dense"
    assert by_name["pot1"]["data_length"] == 1024
    assert by_name["touch"]["timestamp_mode"] == "sparse"
    assert by_name["touch"]["data_length"] == 512
    assert by_name["counter"]["type"] == "j"
    assert not any(variable["watched"] or variable["monitor"] for variable in by_name.values())
    assert live.watched_vars == live.monitored_vars == []
    assert [variable["name"] for variable in live.unwatched_vars] == list(by_name)


def test_the_list_has_the_keys_of_the_boards_own(live: LiveBoard) -> None:
    listed = live.list()
    assert listed["sampleRate"] == 44100
    assert listed["projectName"] == live.project_name == "simulation"
    assert listed["timestamp"] <= live.get_latest_timestamp()
    assert len(listed["watchers"]) == 7
    pot1 = next(entry for entry in listed["watchers"] if entry["name"] == "pot1")
    assert (pot1["timestampMode"], pot1["logFileName"]) == (0, "")
    assert isinstance(pot1["valueInput"], float)


def test_the_declared_rate_is_a_number_of_ticks_and_the_measured_one_its_own(
    live: LiveBoard, wait_until: Callable[..., None]
) -> None:
    assert live.sample_rate == 44100
    assert isinstance(live.sample_rate, int)
    wait_until(lambda: live.tick_rate == pytest.approx(22050.0, rel=0.01), "the measured rate")


def test_one_property_of_a_variable(live: LiveBoard) -> None:
    assert live.get_prop_of_var("counter", "data_length") == 1024
    with pytest.raises(UnknownVariableError, match="'pot9'"):
        live.get_prop_of_var("pot9", "type")
    with pytest.raises(ArgumentError, match="timestamp_mode"):
        live.get_prop_of_var("pot1", "colour")
    nothing: Any = ["type"]
    with pytest.raises(ArgumentError, match="no property"):
        live.get_prop_of_var("pot1", nothing)


def test_the_clock_is_lsls() -> None:
    before = pylsl.local_clock()
    assert before <= local_clock() <= pylsl.local_clock()


# ---- the package -------------------------------------------------------------------------------


def test_the_package_is_light_until_a_class_is_used() -> None:
    script = (
        "import sys, bela_module; "
        "assert not {'numpy', 'pylsl', 'websockets', 'pydantic'} & sys.modules.keys(); "
        "from bela_module import Streamer, Monitor, Controller; "
        "print(Streamer.__module__, Monitor.__module__, Controller.__module__)"
    )
    output = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    assert output.split() == [
        f"bela_module.scripting.{n}" for n in ("streamer", "monitor", "controller")
    ]
    with pytest.raises(AttributeError, match="no attribute 'Scope'"):
        bela_module.Scope  # noqa: B018


@pytest.mark.parametrize("kind", [Streamer, Monitor, Controller])
def test_help_explains_the_constructor_of_each_class(kind: type) -> None:
    text = pydoc.plain(pydoc.render_doc(kind))
    # Python 3.13 gives each parameter a line of its own.
    words = " ".join(text.replace("|", " ").split()).replace("( ", "(")
    assert f"{kind.__name__}(ip: 'str None' = None, port: 'int None' = None" in words
    assert "ip : str, optional" in text
    assert "port : int, optional" in text
    assert (kind.__doc__ or "").strip()
