"""A client's websocket says which channel it is by its path."""

from __future__ import annotations

import socket
import sys
import time

import pytest

from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.control_commands import list_command
from bela_module.simulator.network.board_connection import CHANNELS, ClientChannel
from bela_module.simulator.network.delays import NETWORKS, NO_DELAY, LinkDelay, Network
from bela_module.simulator.network.nagle import TCP_TIMINGS
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.raw_client import TIMEOUT_S as PATIENCE_S
from tests.support.raw_client import raw_client
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


@pytest.mark.parametrize(
    ("tcp", "network", "without_delay"),
    [
        ("real", NO_DELAY, {"control": 0, "data": 1}),
        ("real", NETWORKS["usb"], {"control": 1, "data": 1}),
        ("delayed-ack", NO_DELAY, {"control": 1, "data": 1}),
        ("no-delay", NO_DELAY, {"control": 1, "data": 1}),
    ],
)
def test_the_system_uses_nagle_s_algorithm_where_it_is_not_imitated(
    tcp: str, network: Network, without_delay: dict[str, int]
) -> None:
    with (
        SimulatedBoard("ramps", network=network, tcp=TCP_TIMINGS[tcp]) as board,
        raw_client(board.url),
    ):
        found = {
            connection.channel: connection.transport.get_extra_info("socket").getsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY
            )
            for connection in board.connections
        }
    assert {channel: int(bool(on)) for channel, on in found.items()} == without_delay


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is acknowledged")
def test_linux_tells_what_the_client_s_system_has_acknowledged(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.list()
        connections = list(board.connections)
        assert len(connections) == 2
        wait_until(lambda: all(connection.is_acknowledged() for connection in connections))
    assert not any(connection.is_acknowledged() for connection in connections)


@pytest.mark.parametrize("network", [NO_DELAY, Network.symmetric(LinkDelay(0.01))])
def test_a_pong_comes_in_its_turn(network: Network) -> None:
    """As at the board, which answers what it receives in order."""
    with SimulatedBoard("ramps", network=network) as board, raw_client(board.url) as client:
        for _ in range(5):
            client.tell(list_command(), list_command())
            pong = client.control.ping(b"in turn")
            began_s = time.monotonic()
            assert pong.wait(PATIENCE_S)
            assert time.monotonic() - began_s >= 2 * network.to_board.delay_s
            for _ in range(2):  # both replies have come before it
                assert isinstance(parse_control_message(client.control.recv(0)), VariableList)
            with pytest.raises(TimeoutError):
                client.control.recv(0.03)  # it is no message


def test_a_silent_connection_answers_no_ping() -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        assert client.data.ping().wait(PATIENCE_S)
        board.go_silent(True)
        assert not client.control.ping().wait(0.1)
        board.go_silent(False)
        assert client.control.ping().wait(PATIENCE_S)
