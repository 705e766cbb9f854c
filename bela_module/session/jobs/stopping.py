"""STOP: on the board, on the next connection to it when there is one soon, or without it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BoardError
from bela_module.session import recovery
from bela_module.session.jobs import board_jobs

if TYPE_CHECKING:
    from bela_module.session.driver import Driver

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 0.8  # for a board that was just lost to come back
_POLL_S: Final = 0.02


async def stop(driver: Driver) -> str:
    """End everything that runs or waits, with the board or without it.

    What is asked for after it is not touched.

    Returns
    -------
    str
        What became of it, in words.
    """
    driver.n_stops += 1
    try:
        return await _stop(driver)
    finally:
        driver.n_stops -= 1
        driver.wake()


async def _stop(driver: Driver) -> str:
    client, running, newest = driver.client, bool(driver.deliveries), driver.jobs.newest
    if client is not None and not client.lost.done():
        try:
            result: str = await driver.submit(
                lambda client: board_jobs.stop(driver, client), only_on=client
            )
        except BoardError as error:
            logger.warning("the board was lost while it was to stop: %s", error)
        else:
            return result
    waited = _refuse_earlier(driver, newest)
    if driver.deliveries:
        late = await _stop_soon(driver)
        waited |= _refuse_earlier(driver, newest)  # a START that was under way waits again
        if late is not None:
            return late
    if running:
        return "stopped; the board is not connected"
    return "stopped waiting" if waited else "nothing was running"


def _refuse_earlier(driver: Driver, newest: int) -> bool:
    """Refuse what waits for the board and was asked for before; tell whether there was any."""
    reason = f": {driver.last_error}" if driver.last_error else ""
    return driver.jobs.refuse_waiting(f"stopped before it began{reason}", newest)


async def _stop_soon(driver: Driver) -> str | None:
    """Stop on the next connection, if there is one soon: then the true end becomes known.

    Only one does so at a time; whoever asks meanwhile has the same answer.
    """
    if driver.stopping is None:
        driver.stopping = asyncio.ensure_future(_stop_next(driver))
        driver.stopping.add_done_callback(lambda _: setattr(driver, "stopping", None))
    return await asyncio.shield(driver.stopping)


async def _stop_next(driver: Driver) -> str | None:
    begun = asyncio.Event()

    async def stop_now(client: BoardClient) -> str | None:
        begun.set()
        try:
            return await board_jobs.stop(driver, client)
        except BoardError as error:
            logger.warning("the board was lost again while it was to stop: %s", error)
            return None

    pending = driver.jobs.add(stop_now, waits=True, internal=True)
    driver.wake()
    deadline_s = driver.now() + _PATIENCE_S
    while not (begun.is_set() or pending.future.done()):
        # A connection that was made in time is to be taken over first.
        if driver.client is None and driver.now() > deadline_s:
            break
        await asyncio.sleep(_POLL_S)
    driver.jobs.withdraw(pending)
    result: str | None = None
    if begun.is_set():
        result = await pending.future
    elif not pending.future.cancel() and not pending.future.cancelled():
        pending.future.exception()  # the session closed meanwhile, and says so itself
    if result is None:
        recovery.give_up(driver)
        driver.publish_status()
        driver.wake()
    return result
