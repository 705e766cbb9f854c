"""Connections to boards, for tests that run a scenario in an event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock

PATIENCE_S = 20.0


@asynccontextmanager
async def connected(
    board: SimulatedBoard, *, timeout_s: float = PATIENCE_S, **options: Any
) -> AsyncIterator[BoardClient]:
    client = await connect(board.port, timeout_s=timeout_s, **options)
    try:
        yield client
    finally:
        await client.close()


async def connect(port: int, *, timeout_s: float = PATIENCE_S, **options: Any) -> BoardClient:
    settings: dict[str, Any] = {"on_data": lambda _message, _arrived_s: None, **options}
    client = await BoardClient.connect(
        "127.0.0.1", port, now=local_clock, reply_timeout_s=timeout_s, **settings
    )
    try:
        await client.open_data()
    except BaseException:
        await client.close()
        raise
    return client


async def eventually(condition: Callable[[], Any], what: str) -> None:
    deadline_s = local_clock() + PATIENCE_S
    while not condition():
        if local_clock() > deadline_s:
            pytest.fail(f"{what} did not come true in {PATIENCE_S} s")
        await asyncio.sleep(0.005)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario and see that it leaves no task behind."""

    async def watched() -> None:
        await scenario
        others = asyncio.all_tasks() - {asyncio.current_task()}
        # A server's task of a connection that has just ended may take one more turn.
        await asyncio.wait(others, timeout=PATIENCE_S) if others else None
        left = [task for task in others if not task.done()]
        assert not left, f"tasks left: {left}"

    asyncio.run(watched())
