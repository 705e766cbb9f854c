"""The survey of steps, carried out on a simulated board over real sockets."""

from __future__ import annotations

import asyncio
import math
import re
import time

import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.connection.client_records import ListReply
from bela_module.protocol.data_channel import Block
from bela_module.session.board.board_state import BoardState
from bela_module.session.delivery.step_surveyor import StepSurveyor
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import board_of, variable


async def survey(
    simulated: SimulatedBoard,
    board: BoardState,
    *,
    deaf: bool = False,
    by_blocks: bool = False,
    stops_after_s: float | None = None,
) -> None:
    """Connect, and find the steps of all variables; a deaf one does not hear the monitors.

    With ``stops_after_s`` there is no time to lose, and the computer stands still after so long.
    """

    def hear(message: bytes | str, arrived_s: float) -> None:
        block = board.decoder.receive(message)
        if isinstance(block, Block) and not deaf:
            assert surveyor.take(block, arrived_s)

    async def probe(client: BoardClient) -> None:
        board.take_reply(await client.list(), client.project)

    surveyor = StepSurveyor(board, local_clock, probe, by_blocks)
    client = await BoardClient.connect(
        "127.0.0.1", simulated.port, now=local_clock, reply_timeout_s=10.0, on_data=hear
    )
    try:
        await client.open_data()
        await probe(client)
        if stops_after_s is not None:
            asyncio.get_running_loop().call_later(stops_after_s, time.sleep, 1.0)
        await surveyor.find_steps(client, board.variables, hurried=stops_after_s is not None)
        await surveyor.find_fast(client, board.variables)
    finally:
        await client.close()


def test_steps_are_found_and_the_monitors_end() -> None:
    variables = (variable("every"), variable("fourth", step=4), variable("event", sparse=True))
    board = BoardState("test")
    with board_of(*variables) as simulated:
        asyncio.run(survey(simulated, board))
        assert simulated.monitored() == {}
    assert board.steps == {"every": 1, "fourth": 4}


@pytest.mark.parametrize("stops_after_s", [0.001, 0.01, 0.02, 0.03])
def test_a_computer_that_stands_still_proves_steps_all_the_same(stops_after_s: float) -> None:
    board = BoardState("test")
    with board_of(variable("every"), variable("fourth", step=4)) as simulated:
        asyncio.run(survey(simulated, board, stops_after_s=stops_after_s))
    assert board.proven == {"every", "fourth"}


def test_a_reply_to_another_client_that_is_older_shows_no_foreign_monitor() -> None:
    board = BoardState("test")

    async def survey_beside_another(simulated: SimulatedBoard) -> None:
        replies: list[ListReply] = []

        async def probe(client: BoardClient) -> None:
            replies.append(await client.list())
            board.take_reply(replies[max(len(replies) - 2, 0)], client.project)

        surveyor = StepSurveyor(board, local_clock, probe)
        client = await BoardClient.connect(
            "127.0.0.1",
            simulated.port,
            now=local_clock,
            reply_timeout_s=10.0,
            on_data=lambda _message, _arrived_s: None,
        )
        try:
            await client.open_data()
            await probe(client)
            await surveyor.find_fast(client, board.variables)
            assert board.monitor_period_of("event") > 0
            assert board.monitored_by_others(()) == ()
            await probe(client)
            assert board.monitor_period_of("event") == 0
        finally:
            await client.close()

    with board_of(variable("event", sparse=True)) as simulated:
        asyncio.run(survey_beside_another(simulated))


def test_what_is_known_is_not_asked_for_again() -> None:
    board = BoardState("test")
    with board_of(variable("every")) as simulated:
        asyncio.run(survey(simulated, board))
        simulated.control_messages.clear()
        asyncio.run(survey(simulated, board))
        assert not any('"monitor"' in text for text in simulated.control_messages)


def test_without_an_answer_the_survey_ends_by_itself() -> None:
    board = BoardState("test")
    with board_of(variable("every")) as simulated:
        asyncio.run(survey(simulated, board, deaf=True))
        assert simulated.monitored() == {}
    assert board.steps == {}


def test_values_that_come_slowly_are_waited_for() -> None:
    board = BoardState("test")
    with board_of(variable("every"), variable("slow", step=4410)) as simulated:
        asyncio.run(survey(simulated, board))
        assert simulated.monitored() == {}
    assert board.steps == {"every": 1, "slow": 4410}


def test_sparse_variables_that_are_too_fast_are_found_and_the_monitors_end() -> None:
    variables = (
        variable("event", step=4410, sparse=True),
        variable("flood", sparse=True),
        variable("every"),
    )
    board = BoardState("test")
    with board_of(*variables) as simulated:
        asyncio.run(survey(simulated, board))
        assert simulated.monitored() == {}
    assert board.rates_hz == {"flood": math.inf}


def test_a_survey_that_is_cut_short_leaves_no_monitor() -> None:
    board = BoardState("test")

    async def cut_short(simulated: SimulatedBoard) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await survey(simulated, board, deaf=True)

    with board_of(variable("every"), variable("touch", sparse=True)) as simulated:
        asyncio.run(cut_short(simulated))
        assert simulated.monitored() == {}


@pytest.mark.parametrize("by_blocks", [False, True])
def test_a_survey_that_is_cut_short_leaves_no_watch(by_blocks: bool) -> None:
    board = BoardState("test")

    def told(simulated: SimulatedBoard) -> list[str]:
        names = (re.search(r'"((un)?watch)"', text) for text in list(simulated.control_messages))
        return [found[1] for found in names if found is not None]

    async def cut_short(simulated: SimulatedBoard) -> None:
        surveying = asyncio.ensure_future(survey(simulated, board, by_blocks=by_blocks))
        while not told(simulated):
            assert not surveying.done()
            await asyncio.sleep(0)
        surveying.cancel()
        await asyncio.wait({surveying})

    # Watched for 58 ms, or until there are blocks enough: both are longer than the way here.
    with board_of(variable("fifth", step=5)) as simulated:
        asyncio.run(cut_short(simulated))
        # Told, not done: a computer that stalls may take longer than is waited for.
        assert told(simulated) == ["watch", "unwatch"]
