"""STOP: on the board, on the next connection to it when there is one soon, or without it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from bela_module import board_jobs, recovery
from bela_module.client import BoardClient
from bela_module.errors import BoardError

if TYPE_CHECKING:
    from bela_module.driver import Driver

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 0.8  # for a board that was just lost to come back


async def stop(driver: Driver) -> str:
    """End everything that runs or waits, with the board or without it.

    Returns
    -------
    str
        What became of it, in words.
    """
    client, running = driver.client, bool(driver.deliveries)
    if client is not None and not client.lost.done():
        try:
            result: str = await driver.submit(
                lambda client: board_jobs.stop(driver, client), only_on=client
            )
        except BoardError as error:
            logger.warning("the board was lost while it was to stop: %s", error)
        else:
            return result
    reason = f": {driver.last_error}" if driver.last_error else ""
    waited = driver.jobs.refuse(f"stopped before it began{reason}", all_jobs=False)
    if driver.deliveries and (late := await _stop_soon(driver)) is not None:
        return late
    recovery.give_up(driver)
    driver.publish_status()
    driver.wake()
    if running:
        return "stopped; the board is not connected"
    return "stopped waiting" if waited else "nothing was running"


async def _stop_soon(driver: Driver) -> str | None:
    """Stop on the next connection, if there is one soon: then the true end becomes known."""
    begun = asyncio.Event()

    async def stop_now(client: BoardClient) -> str | None:
        begun.set()
        try:
            return await board_jobs.stop(driver, client)
        except BoardError as error:
            logger.warning("the board was lost again while it was to stop: %s", error)
            return None

    pending = driver.jobs.add(stop_now, waits=True)
    driver.wake()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            await begun.wait()
    if not begun.is_set():
        pending.future.cancel()
        return None
    result: str | None = await pending.future
    return result
