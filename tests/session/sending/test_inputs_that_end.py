"""What STOP, RELEASE, SET, a restart and the loss of the board leave of what an input drives."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.protocol.variables import ValueType
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.input_helpers import Decoder, driven, input_status
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    answer,
    board_of,
    lose,
    session_at,
    session_on,
    variable,
)


def restart(board: SimulatedBoard, one: Running, wait_until: WaitUntil) -> None:
    board.restart()
    wait_until(lambda: one.session.status()["counters"]["restarts"] == 1, "restart")
    wait_until(lambda: one.session.status()["board"]["connected"], "connection")
    one.list()  # a job, after which the inputs are attended to
    time.sleep(0.2)  # for what must not happen


def named_inputs(one: Running) -> list[str]:
    return [found["name"] for found in one.session.status()["inputs"]]


def test_a_stop_during_start_leaves_no_input_connected(
    board: ObservedBoard, unique: str, wait_until: WaitUntil
) -> None:
    table = {"stream": f"{unique}decoder", "channels": 0, "variables": "a"}
    stops: list[Future[str]] = []
    with session_on(board, inputs={"level": table}) as one, Decoder(f"{unique}decoder") as decoder:
        one.list()
        board.with_next("watch", lambda: stops.append(one.session.stop()))
        one.start("b")
        wait_until(lambda: stops, "STOP")
        assert answer(stops[0]) == "stopped"
        assert named_inputs(one) == []
        decoder.push(0.5, 0)
        time.sleep(0.2)
        assert board.controlled_values() == {}
        one.start("b")  # asked for afterwards
        assert named_inputs(one) == ["level"]
        one.stop()


def test_release_lasts_until_the_next_sample(unique: str, wait_until: WaitUntil) -> None:
    with driven(unique, wait_until) as (board, one, decoder):
        assert one.release("a") == "released a"
        one.list()
        time.sleep(0.3)  # the driver has looked after its inputs
        assert board.controlled_values() == {}
        decoder.push(0.75, 0)
        wait_until(lambda: board.controlled_values() == {"a": 0.75}, "value")
        one.stop()
        assert board.controlled_values() == {"a": 0.75}  # held
        assert one.release() == "released a"
        one.list()
        time.sleep(0.3)
        assert board.controlled_values() == {}


def test_a_default_is_not_set_after_release(unique: str, wait_until: WaitUntil) -> None:
    fields = {"on_end": "default", "default": 0.125}
    with driven(unique, wait_until, **fields) as (board, one, _):
        one.release("a")
        one.disconnect_input(name="level")
        time.sleep(0.2)
        assert board.controlled_values() == {}
        assert any("disconnected; its variables" in n for n in one.session.status()["notices"])


def test_a_stopped_input_leaves_a_restarted_board_alone(unique: str, wait_until: WaitUntil) -> None:
    with driven(unique, wait_until) as (board, one, _):
        one.stop()
        assert board.controlled_values() == {"a": 0.5}
        restart(board, one, wait_until)
        assert board.controlled_values() == {}
        assert "a: no longer controlled; SET again" in one.session.status()["notices"]
        assert input_status(one)["sent"] == 1


def test_a_stopped_input_does_not_undo_what_is_set_later(
    unique: str, wait_until: WaitUntil
) -> None:
    with driven(unique, wait_until) as (board, one, _):
        one.stop()
        one.release("a")
        one.list()
        time.sleep(0.3)
        one.set(a=7)
        board.disconnect()
        wait_until(lambda: one.session.status()["counters"]["reconnects"] == 1, "reconnected")
        assert board.controlled_values() == {"a": 7}
        restart(board, one, wait_until)
        assert board.controlled_values() == {}  # what it had set does not take the place of 7


@pytest.mark.parametrize(
    ("fields", "left"),
    [({"on_end": "release"}, {}), ({"on_end": "default", "default": 0.125}, {"a": 0.125})],
)
def test_what_an_input_leaves_waits_for_the_board(
    fields: dict[str, Any], left: dict[str, float], unique: str, wait_until: WaitUntil
) -> None:
    with driven(unique, wait_until, **fields) as (board, one, _):
        lose(board, one, wait_until)
        said = one.disconnect_input(name="level")
        assert said == (
            "disconnected level; what is configured for the end of level is sent once the board "
            "takes it"
        )
        assert named_inputs(one) == ["level"]
        told = one.session.status()["notices"]
        assert any(text.endswith("once the board is back") for text in told)
        board.refuse_connections(False)
        wait_until(lambda: board.controlled_values() == left, "the end")
        wait_until(lambda: named_inputs(one) == [], "gone")


def test_no_control_is_taken_before_the_first_value(unique: str, wait_until: WaitUntil) -> None:
    with (
        board_of(variable("a")) as board,
        session_on(board) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.list()
        one.connect_input(
            name="level", stream=decoder.name, variables="a", channels=0, on_end="release"
        )
        decoder.await_inlet(one)
        one.list()
        time.sleep(0.3)
        assert board.controlled_values() == {}
        decoder.push(0.5, 0)
        wait_until(lambda: board.controlled_values() == {"a": 0.5}, "value")
        one.disconnect_input(name="level")
        wait_until(lambda: board.controlled_values() == {}, "release")


@pytest.mark.parametrize(
    ("echo", "words"),
    [
        (variable("echo", ValueType.INT), "'echo' is dense and of type int"),
        (variable("echo", ValueType.FLOAT, sparse=True), "'echo' is sparse and of type float"),
    ],
)
def test_an_echo_must_be_sparse_and_of_whole_numbers(
    echo: Any, words: str, unique: str, wait_until: WaitUntil
) -> None:
    table = {"stream": f"{unique}x", "buffer_id": 0, "type": "d", "echo": "echo"}
    with board_of(echo) as board, session_on(board, inputs={"level": table}) as one:
        one.list()
        with pytest.raises(RequestError, match=words):
            one.connect_input(name="level")
        one.start()
        wait_until(lambda: input_status(one)["state"] == "stopped", "refusal")
        assert any(words in text for text in one.session.status()["notices"])
        wait_until(lambda: one.samples("bela_echo") > 10, "samples")  # its stream goes on


def test_echoes_that_are_no_numbers_are_left_out(unique: str, wait_until: WaitUntil) -> None:
    table = {"stream": f"{unique}x", "buffer_id": 0, "type": "d", "echo": "echo"}
    board = SimulatedBoard("closed-loop", clock=local_clock)
    with board, session_at(board.port, inputs={"level": table}) as one:
        one.start("echo")
        tap = one.session._driver.inputs._tap
        values, stamps_s = np.array([np.nan, 5.0, np.inf]), np.zeros(3)
        one.session._loop.call_soon_threadsafe(tap.on_echoes, "echo", values, stamps_s)
        wait_until(lambda: input_status(one)["loop"]["foreign"] == 3, "count")
        one.stop()
