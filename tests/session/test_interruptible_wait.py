"""Waiting that ends early."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from bela_module.session.interruptible_wait import InterruptibleWait

LONG_S = 60.0


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run it, and let it leave no task behind."""

    async def whole() -> None:
        async with asyncio.timeout(LONG_S / 2):
            await coroutine
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


@pytest.mark.parametrize("timeout_s", [None, LONG_S])
def test_it_ends_when_it_is_interrupted(timeout_s: float | None) -> None:
    async def body() -> None:
        waiting = InterruptibleWait()
        asyncio.get_running_loop().call_later(0.01, waiting.interrupt)
        await waiting.wait(timeout_s=timeout_s)

    run(body())


def test_it_ends_with_the_first_future_and_leaves_the_others_alone() -> None:
    async def body() -> None:
        first, other = (asyncio.get_running_loop().create_future() for _ in range(2))
        asyncio.get_running_loop().call_later(0.01, first.set_result, None)
        await InterruptibleWait().wait(first, other, timeout_s=LONG_S)
        assert not other.done()

    run(body())


def test_it_ends_in_time_and_what_it_waited_for_goes_on() -> None:
    async def body() -> None:
        future = asyncio.get_running_loop().create_future()
        await InterruptibleWait().wait(future, timeout_s=0.01)
        assert not future.done()

    run(body())


def test_an_interruption_before_the_wait_does_not_end_it() -> None:
    async def body() -> None:
        waiting, loop = InterruptibleWait(), asyncio.get_running_loop()
        waiting.interrupt()
        begun_s = loop.time()
        await waiting.wait(timeout_s=0.05)
        assert loop.time() - begun_s > 0.04

    run(body())


def test_a_future_that_is_done_ends_it_at_once() -> None:
    async def body() -> None:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        await InterruptibleWait().wait(done, timeout_s=LONG_S)

    run(body())


def test_a_wait_that_is_cancelled_leaves_nothing_at_its_futures() -> None:
    async def body() -> None:
        waiting, loop = InterruptibleWait(), asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.ensure_future(waiting.wait(future, timeout_s=LONG_S))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        waiting.interrupt()
        assert not future._callbacks  # type: ignore[attr-defined]  # noqa: SLF001

    run(body())
