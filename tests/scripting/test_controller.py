"""The Controller: setting variables of the sketch, alone and beside a running Streamer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bela_module import Controller, Streamer
from bela_module.errors import ArgumentError, RequestError, UnknownVariableError
from bela_module.simulator.simulated_board import SimulatedBoard


@pytest.fixture
def controller(board: SimulatedBoard) -> Iterator[Controller]:
    with Controller("127.0.0.1", board.port) as controller:
        yield controller


def test_taking_and_giving_back_control(controller: Controller, board: SimulatedBoard) -> None:
    assert set(controller.get_controlled_status().values()) == {False}
    controller.start_controlling(["ramp_i", "ramp_d"])
    assert board.controlled_values().keys() == {"ramp_i", "ramp_d"}
    assert controller.get_controlled_status(["ramp_i", "ramp_f"]) == {
        "ramp_i": True,
        "ramp_f": False,
    }
    controller.stop_controlling("ramp_i")
    assert board.controlled_values().keys() == {"ramp_d"}
    controller.stop_controlling()
    assert board.controlled_values() == {}


def test_values_are_set_when_it_returns(controller: Controller, board: SimulatedBoard) -> None:
    controller.start_controlling(["ramp_d", "ramp_i"])
    controller.send_value(["ramp_d", "ramp_i"], [0.25, -3])
    assert board.controlled_values() == {"ramp_d": 0.25, "ramp_i": -3}
    assert controller.get_value(["ramp_d", "ramp_i"]) == {"ramp_d": 0.25, "ramp_i": -3}
    controller.send_value("ramp_d", 1.5)
    assert controller.get_value("ramp_d") == {"ramp_d": 1.5}


@pytest.mark.parametrize(("name", "value"), [("ramp_i", 1e12), ("ramp_j", -2.7), ("ramp_f", 1e39)])
def test_a_value_that_its_type_does_not_hold_is_a_value_error(
    controller: Controller, board: SimulatedBoard, name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        controller.send_value(name, value)
    assert isinstance(caught.value, ArgumentError)
    assert board.controlled_values() == {}


def test_control_is_taken_when_a_value_is_sent(
    controller: Controller, board: SimulatedBoard
) -> None:
    controller.send_value(["ramp_j"], [2**32 - 1])
    assert board.controlled_values() == {"ramp_j": 2**32 - 1}


def test_control_ends_with_the_connection(board: SimulatedBoard) -> None:
    with Controller("127.0.0.1", board.port) as controller:
        controller.start_controlling()
        assert len(board.controlled_values()) == 6
    assert board.controlled_values() == {}


def test_beside_a_streamer_which_streams_the_sketchs_own_values(
    board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    with Streamer("127.0.0.1", board.port) as streamer:
        streamer.start_streaming("ramp_d")
        wait_until(lambda: streamer.streaming_buffers_data["ramp_d"], "the first buffer")
        with Controller("127.0.0.1", board.port) as controller:
            controller.send_value("ramp_d", -1)
            assert [variable["name"] for variable in streamer.watched_vars] == ["ramp_d"]
            assert streamer.list()["watchers"][0]["value"] == -1
        streamer.stop_streaming()
        data = streamer.streaming_buffers_data["ramp_d"]
        assert set(np.diff(data)) == {1}
        assert min(data) >= 0


def test_numbers_of_numpy_are_numbers(controller: Controller, board: SimulatedBoard) -> None:
    controller.send_value("ramp_d", np.float32(0.5))
    controller.send_value(np.array(["ramp_i"]), np.int64(-7))
    controller.send_value(["ramp_f", "ramp_j"], np.array([1, 2]))
    assert board.controlled_values() == {"ramp_d": 0.5, "ramp_i": -7, "ramp_f": 1, "ramp_j": 2}


@pytest.mark.parametrize("value", [None, "x", float("nan"), float("inf"), 10**400, [], [[1]]])
def test_what_is_no_number_is_refused(controller: Controller, value: Any) -> None:
    with pytest.raises(RequestError, match="values"):
        controller.send_value("ramp_d", value)


@pytest.mark.parametrize("names", [None, 5, [5], [["ramp_d"]]])
def test_what_is_no_name_is_refused(controller: Controller, names: Any) -> None:
    for call in (controller.start_controlling, controller.get_value, controller.stop_controlling):
        with pytest.raises(RequestError, match="variables"):
            call(names)
    with pytest.raises(RequestError, match="variables"):
        controller.send_value(names, 1)


def test_errors_say_what_to_do(controller: Controller) -> None:
    with pytest.raises(RequestError, match="1 values for 2 different variables"):
        controller.send_value(["ramp_d", "ramp_i"], [1])
    with pytest.raises(RequestError, match="2 values for 1 different variables"):
        controller.send_value(["ramp_d", "ramp_d"], [1, 2])
    with pytest.raises(RequestError, match="whole numbers from 0 to 255"):
        controller.send_value("ramp_c", 256)
    with pytest.raises(UnknownVariableError, match="'gain'"):
        controller.send_value("gain", 1)
    with pytest.raises(UnknownVariableError, match="'gain'"):
        controller.start_controlling("gain")
    with pytest.raises(ValueError, match="'gain'"):  # as scripts for pybela catch it
        controller.get_value(["gain"])


def test_of_a_whole_number_variable_the_integer_part_is_sent(
    controller: Controller, board: SimulatedBoard, caplog: pytest.LogCaptureFixture
) -> None:
    controller.send_value(["ramp_d", "ramp_j", "ramp_i", "ramp_c"], [4.6, 4.6, -4.6, 3.9])
    assert board.controlled_values() == {"ramp_d": 4.6, "ramp_j": 4, "ramp_i": -4, "ramp_c": 3}
    warned = [record.getMessage() for record in caplog.records if "integer part" in record.message]
    assert warned[0] == "ramp_j = 4.6: it is unsigned int; only the integer part is sent"
    assert len(warned) == 3
