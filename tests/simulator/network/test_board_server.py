"""The simulated board's server: handshake, broadcast, pausing, endings and trouble on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from bela_module.errors import BoardError
from bela_module.protocol.control_commands import (
    CONNECTION_REPLY,
    encode_commands,
    list_command,
    watch_command,
)
from bela_module.simulator.faults.message_faults import OversizedPayload
from bela_module.simulator.network.delays import LinkDelay, Network
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.raw_client import open_channel, raw_client

WaitUntil = Callable[..., None]


def test_every_control_client_hears_of_every_new_one() -> None:
    with SimulatedBoard("ramps") as board, open_channel(board.url, "control") as first:
        event = {"event": "connection", "projectName": "ramps"}
        assert json.loads(first.recv(timeout=20)) == event
        with open_channel(board.url, "control") as second:
            assert json.loads(second.recv(timeout=20)) == event
            assert json.loads(first.recv(timeout=20)) == event


def test_a_list_is_answered_to_all_control_clients() -> None:
    with (
        SimulatedBoard("ramps") as board,
        raw_client(board.url) as asking,
        raw_client(board.url) as other,
    ):
        asking.tell(list_command())
        reply = other.hear()
        assert '"watchers"' in reply
        # The first client has also heard of the second one, and the reply to its list.
        assert [asking.hear() for _ in range(3)][-1] == reply


def test_other_paths_are_not_found() -> None:
    with SimulatedBoard() as board, pytest.raises(InvalidStatus, match="404"):
        open_channel(board.url, "nothing")


def test_it_answers_pings_and_offers_no_extension() -> None:
    with SimulatedBoard() as board, connect(f"{board.url}/gui_data") as client:
        assert client.ping().wait(20)
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers


def test_data_flows_only_while_a_client_that_answered_wants_it(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url, reply=False) as client:
        client.list()
        client.tell(watch_command(["ramp_d"]))
        wait_until(lambda: board.watched_names() == ["ramp_d"])
        with pytest.raises(TimeoutError):
            client.data.recv(timeout=0.1)
        assert board.account("ramp_d").written == 0
        client.control.send(CONNECTION_REPLY)
        assert client.block().values.size == 512
        client.control.send('{"event":"inactive"}')
        wait_until(lambda: not board.wants_data)
        before = board.account("ramp_d").written
        time.sleep(0.05)
        assert board.account("ramp_d").written - before <= board.sketch.burst_ticks
        client.control.send('{"event":"active"}')
        wait_until(lambda: board.account("ramp_d").written > before + 512)


def test_every_data_client_gets_what_any_client_watches() -> None:
    with (
        SimulatedBoard("ramps") as board,
        raw_client(board.url) as first,
        open_channel(board.url, "data") as second,
    ):
        first.tell(watch_command(["ramp_d"]))
        got = [second.recv(timeout=20) for _ in range(4)]
        assert got == [first.data.recv(timeout=20) for _ in range(4)]


def test_a_close_frame_is_not_answered(wait_until: WaitUntil) -> None:
    with SimulatedBoard() as board:
        with open_channel(board.url, "control") as client:
            client.recv(timeout=20)
        with pytest.raises(ConnectionClosedError) as ended:
            client.recv(timeout=20)
        assert ended.value.rcvd is None
        wait_until(lambda: board.n_clients == 0)


@pytest.mark.parametrize("clean", [False, True])
def test_disconnect_with_and_without_a_close_frame(clean: bool, wait_until: WaitUntil) -> None:
    with SimulatedBoard() as board, raw_client(board.url) as client:
        board.disconnect(clean=clean)
        with pytest.raises(ConnectionClosed) as ended:
            client.data.recv(timeout=20)
        assert (ended.value.rcvd is not None) is clean
        wait_until(lambda: board.n_clients == 0)


def test_refusing_leaves_old_connections_and_listens_again_on_the_same_port() -> None:
    with SimulatedBoard() as board, raw_client(board.url) as client:
        port = board.port
        board.refuse_connections(True)
        with pytest.raises(OSError, match="refused"):
            open_channel(board.url, "control")
        assert client.list().variables
        board.refuse_connections(False)
        assert board.port == port
        with raw_client(board.url):
            pass


def test_a_silent_board_takes_connections_and_says_nothing() -> None:
    with SimulatedBoard() as board, raw_client(board.url) as client:
        board.go_silent(True)
        with pytest.raises(TimeoutError):
            open_channel(board.url, "control", open_timeout=0.2)
        client.tell({"cmd": "list"})
        with pytest.raises(TimeoutError):
            client.control.recv(timeout=0.2)
        board.go_silent(False)
        assert client.list().variables


def test_delays_are_added_each_way() -> None:
    network = Network(to_board=LinkDelay(0.03), to_client=LinkDelay(0.05))
    with SimulatedBoard(network=network) as board, raw_client(board.url) as client:
        began_s = time.monotonic()
        client.list()
        assert time.monotonic() - began_s >= 0.08
        board.set_network(Network())
        board.stall_network(0.1)
        began_s = time.monotonic()
        client.list()
        assert time.monotonic() - began_s >= 0.09


def test_a_client_that_does_not_read_is_dropped_after_16_mib(wait_until: WaitUntil) -> None:
    with (
        SimulatedBoard("ramps") as board,
        open_channel(board.url, "data", max_queue=1, max_size=None),
        open_channel(board.url, "control") as control,
    ):
        control.send(CONNECTION_REPLY)
        board.inject(OversizedPayload())
        control.send(*encode_commands([watch_command(["ramp_d", "ramp_f", "ramp_i"])]))
        wait_until(lambda: board.n_clients == 1, "the end of the slow connection")
        assert len(board.losses) * 2 * 2**20 >= 16 * 2**20
        control.send(*encode_commands([list_command()]))
        assert '"connection"' in str(control.recv(timeout=20))
        assert '"watchers"' in str(control.recv(timeout=20))


def test_closing_twice_does_no_harm_and_the_port_is_free_again() -> None:
    board = SimulatedBoard()
    with board:
        port = board.port
    board.close()
    with SimulatedBoard(port=port) as again:
        assert again.port == port


def test_a_port_that_is_taken_is_an_error() -> None:
    with (
        SimulatedBoard() as board,
        pytest.raises(BoardError, match=f"cannot listen on 127.0.0.1:{board.port}"),
    ):
        SimulatedBoard(port=board.port).start()


def test_a_board_that_does_not_run_says_so() -> None:
    with pytest.raises(BoardError, match="not running"):
        SimulatedBoard().disconnect()
