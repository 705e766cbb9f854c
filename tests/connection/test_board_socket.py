"""One websocket: opened in time or told, and stamped when its bytes arrive."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bela_module.connection.board_socket import (
    ACKNOWLEDGES_QUICKLY,
    close_socket,
    open_socket,
)
from bela_module.errors import ConnectError
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock

MAX_BYTES = 2**16


def test_a_message_has_the_time_of_its_arrival() -> None:
    async def scenario(port: int) -> tuple[float, float, float]:
        before_s = local_clock()
        control = await open_socket(f"ws://127.0.0.1:{port}/gui_control", MAX_BYTES, local_clock, 9)
        try:
            async with asyncio.timeout(9):
                await control.recv()
            return before_s, control.received_s, local_clock()
        finally:
            await close_socket(control)
            await close_socket(control)

    with SimulatedBoard("potentiometers") as board:
        before_s, received_s, after_s = asyncio.run(scenario(board.port))
    assert before_s < received_s < after_s


def test_a_server_that_says_nothing_is_not_waited_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}/gui_data"
        with pytest.raises(ConnectError, match=f"{url}.*no answer in 0.1 s"):
            asyncio.run(open_socket(url, MAX_BYTES, local_clock, 0.1))


@pytest.mark.skipif(not ACKNOWLEDGES_QUICKLY, reason="only Linux acknowledges on demand")
def test_what_arrives_is_acknowledged_at_once() -> None:
    async def scenario(port: int) -> int:
        control = await open_socket(f"ws://127.0.0.1:{port}/gui_control", MAX_BYTES, local_clock, 9)
        try:
            async with asyncio.timeout(9):
                await control.recv()
            connected = control.transport.get_extra_info("socket")
            return int(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))
        finally:
            await close_socket(control)

    with SimulatedBoard("potentiometers") as board:
        assert asyncio.run(scenario(board.port)) == 1
