"""A client's websocket says which channel it is by its path."""

from __future__ import annotations

from bela_module.simulator.network.board_connection import CHANNELS, ClientChannel
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import WaitUntil, session_at


def test_both_channels_have_a_path() -> None:
    assert CHANNELS == {"/gui_control": "control", "/gui_data": "data"}


def test_the_board_knows_its_connections(wait_until: WaitUntil) -> None:
    with SimulatedBoard("potentiometers") as board:
        with session_at(board.port) as one:
            one.list()
            assert {connection.channel for connection in board.connections} >= {"control"}
        wait_until(lambda: not board.connections, "no connection")


def test_a_client_wants_data_until_it_says_otherwise() -> None:
    assert ClientChannel.__dataclass_fields__["active"].default is True
