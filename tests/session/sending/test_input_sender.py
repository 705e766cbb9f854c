"""What inputs receive reaches the board at once, or is counted: buffers and variables."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.errors import DisconnectedError
from bela_module.protocol.variables import ValueType, Variable
from bela_module.session.sending.input_sender import settable
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.input_helpers import Decoder, input_status
from tests.support.session_helpers import Running, WaitUntil, board_of, lose, session_on, variable


@contextmanager
def driving(unique: str, board: SimulatedBoard, **fields: Any) -> Iterator[tuple[Running, Decoder]]:
    """Run a session on a board, with an input that receives."""
    with session_on(board) as one, Decoder(f"{unique}decoder") as decoder:
        one.list()  # from now on the board is there
        one.connect_input(name="level", stream=decoder.name, **fields)
        decoder.await_inlet(one)
        yield one, decoder


def values_of(board: SimulatedBoard) -> list[list[float]]:
    return [buffer.values.tolist() for buffer in list(board.received_buffers)]


def test_each_sample_goes_to_its_buffer(unique: str, wait_until: WaitUntil) -> None:
    with (
        board_of(variable("a")) as board,
        driving(unique, board, buffer_id=3, type="i", channels=[1], scale=2) as (one, decoder),
    ):
        for k in range(5):
            decoder.push(0, k)
            wait_until(lambda n=k: input_status(one)["sent"] == n + 1, "sent")
        wait_until(lambda: len(board.received_buffers) == 5, "buffers")
        assert values_of(board) == [[0], [2], [4], [6], [8]]
        assert {buffer.buffer_id for buffer in board.received_buffers} == {3}
        assert board.received_buffers[0].value_type is ValueType.INT
        status = input_status(one)
        assert (status["samples"], status["sent"], status["dropped"]) == (5, 5, 0)
        # Nothing streams: for the inputs alone the data websocket stays open.
        assert one.state == "idle"


def test_variables_are_controlled_and_given_back_at_the_end(
    unique: str, wait_until: WaitUntil
) -> None:
    with (
        board_of(variable("a"), variable("n", ValueType.INT)) as board,
        driving(unique, board, variables=["a", "n"]) as (one, decoder),
    ):
        decoder.push(float("nan"), 0)
        wait_until(lambda: input_status(one)["refused"] == 1, "refused")
        assert board.controlled_values() == {}  # without a value nothing is controlled
        decoder.push(0.25, 2.6)
        wait_until(lambda: board.controlled_values() == {"a": 0.25, "n": 3}, "values")
        decoder.push(1e300, 1e300)
        wait_until(lambda: board.controlled_values()["n"] == 2**31 - 1, "limits")
        one.session.close()
        assert board.controlled_values() == {}


def test_while_the_board_is_away_nothing_grows_and_the_rest_goes_on(
    unique: str, wait_until: WaitUntil
) -> None:
    with (
        board_of(variable("a"), variable("b")) as board,
        driving(unique, board, buffer_id=0, channels=[0]) as (one, decoder),
    ):
        decoder.push(1, 0)
        wait_until(lambda: len(board.received_buffers) == 1, "buffer")
        one.start("a")
        lose(board, one, wait_until)
        for _ in range(20):
            decoder.push(2, 0)
            time.sleep(0.002)
        wait_until(lambda: input_status(one)["dropped"] == 20, "dropped")
        board.refuse_connections(False)
        wait_until(lambda: one.state == "streaming", "reconnected")
        words = "samples were not sent while the board was away"
        wait_until(lambda: any(words in text for text in told(one)), "told")
        decoder.push(3, 0)
        wait_until(lambda: len(board.received_buffers) == 2, "buffer")
        assert values_of(board) == [[1], [3]]
        wait_until(lambda: input_status(one)["sent"] == 2, "count")
        status = input_status(one)
        assert status["samples"] == status["sent"] + status["dropped"] == 22


def told(one: Running) -> list[str]:
    return list(one.session.status()["notices"])


def test_variables_get_their_latest_value_after_a_restart(
    unique: str, wait_until: WaitUntil
) -> None:
    with (
        board_of(variable("a")) as board,
        driving(unique, board, variables="a", channels=[0]) as (one, decoder),
    ):
        decoder.push(0.5, 0)
        wait_until(lambda: board.controlled_values() == {"a": 0.5}, "value")
        board.restart()
        wait_until(lambda: board.controlled_values() == {"a": 0.5}, "value again")
        assert not any("SET again" in text for text in told(one))


def test_a_value_that_was_lost_with_the_connection_is_set_again(
    unique: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        board_of(variable("a")) as board,
        driving(unique, board, variables="a", channels=[0]) as (one, decoder),
    ):
        decoder.push(0.5, 0)
        wait_until(lambda: board.controlled_values() == {"a": 0.5}, "value")
        send = BoardClient.send

        async def lose_values(client: BoardClient, *commands: Any) -> None:
            await send(client, *(c for c in commands if c["cmd"] != "set"))

        with monkeypatch.context() as patch:
            patch.setattr(BoardClient, "send", lose_values)
            before = input_status(one)["sent"]  # 2 if control was taken after the first value
            decoder.push(0.75, 0)
            wait_until(lambda: input_status(one)["sent"] > before, "sent")
        board.disconnect()
        wait_until(lambda: board.controlled_values() == {"a": 0.75}, "value again")


def test_a_slow_network_delays_nothing_but_itself(unique: str, wait_until: WaitUntil) -> None:
    with (
        board_of(variable("a"), delay_s=0.05) as board,
        driving(unique, board, buffer_id=0, channels=[0]) as (one, decoder),
    ):
        for k in range(30):  # five of them are under way at a time
            decoder.push(k, 0)
            time.sleep(0.01)
        wait_until(lambda: input_status(one)["sent"] + input_status(one)["dropped"] == 30)
        wait_until(lambda: len(board.received_buffers) == input_status(one)["sent"], "buffers")
        assert values_of(board)[-1] == [29]


@pytest.mark.parametrize(
    ("value_type", "value", "expected"),
    [
        (ValueType.DOUBLE, 1e300, 1e300),
        (ValueType.FLOAT, -1e300, -float(np.finfo(np.float32).max)),
        (ValueType.INT, 2.5, 2),
        (ValueType.INT, -1e12, -(2**31)),
        (ValueType.UNSIGNED_INT, -5, 0),
        (ValueType.CHAR, 300, 255),
    ],
)
def test_values_are_fitted_into_their_type(
    value_type: ValueType, value: float, expected: float
) -> None:
    assert settable(Variable(0, "x", value_type), value) == expected


def test_a_sample_whose_sending_fails_is_counted_and_told(
    unique: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise DisconnectedError("gone")

    with (
        board_of(variable("a")) as board,
        driving(unique, board, buffer_id=0, channels=[0]) as (one, decoder),
    ):
        decoder.push(1, 0)
        wait_until(lambda: len(board.received_buffers) == 1, "buffer")
        with monkeypatch.context() as patched:
            patched.setattr(BoardClient, "send_buffer", fail)
            decoder.push(2, 0)
            wait_until(lambda: input_status(one)["dropped"] == 1, "count")
        board.disconnect()
        words = "input level: 1 samples were not sent while the board was away"
        wait_until(lambda: words in told(one), "told")
        status = input_status(one)
        assert (status["samples"], status["sent"], status["dropped"]) == (2, 1, 1)
