"""What is left on a board is ended, our own or everybody's."""

from __future__ import annotations

import asyncio

import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_commands import monitor_command, watch_command
from bela_module.session.board.board_state import BoardState
from bela_module.session.board.clearing import clear
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import TIMEOUT_S, board_of, left_on, variable


@pytest.mark.parametrize(
    ("others", "expected"), [(True, ([], {}, {})), (False, (["b"], {"b": 100}, {}))]
)
def test_it_ends_ours_or_all(
    others: bool, expected: tuple[list[str], dict[str, int], dict[str, float]]
) -> None:
    async def body(simulated: SimulatedBoard) -> None:
        client = await BoardClient.connect(
            "127.0.0.1",
            simulated.port,
            now=local_clock,
            reply_timeout_s=TIMEOUT_S,
            on_data=lambda *_: None,
        )
        try:
            board = BoardState("board")
            await client.send(watch_command(["a", "b"]), monitor_command(["a", "b"], [100, 100]))
            await client.confirm(
                lambda listed: all(v.watched for v in listed.variables), "watch", TIMEOUT_S
            )
            board.take_reply(await client.list(), client.project)
            await clear(client, board, ours={"a"}, others=others)
            await client.list()  # its reply comes after the last command was read
        finally:
            await client.close()

    with board_of(variable("a"), variable("b")) as simulated:
        asyncio.run(body(simulated))
        assert left_on(simulated) == expected
