"""What is done when a board comes back: end what was left on it, go on with what runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bela_module import board_jobs
from bela_module.board import BoardNews
from bela_module.client import BoardClient
from bela_module.delivery import DeliveryKind
from bela_module.errors import BoardError

if TYPE_CHECKING:
    from bela_module.driver import Driver

logger = logging.getLogger(__name__)

_TIDY_S: Final = 2.0


async def take_over(driver: Driver, client: BoardClient, news: BoardNews) -> None:
    """End what is left on the board from before, and go on with what runs.

    Parameters
    ----------
    driver : Driver
        What runs.
    client : BoardClient
        The connection, on which a list was just received.
    news : BoardNews
        What that list said.

    Raises
    ------
    BoardError
        When the connection does not last.
    """
    restarted = news is BoardNews.RESTARTED
    if restarted:
        _begin_anew(driver)
    if driver.exclusive or driver.left:
        names = None if driver.exclusive else driver.left
        await board_jobs.clear(client, driver.board, names)
    if driver.deliveries:
        await driver.measure(client)
        await board_jobs.resume(driver, client, anew=restarted)
    driver.left.clear()


def _begin_anew(driver: Driver) -> None:
    """Account for what ran before a restart, of which the board knows nothing any more."""
    logger.warning("the board restarted: its ticks began anew")
    driver.restarted_s = driver.now()
    driver.mark("board_restarted", driver.restarted_s)
    if driver.controlled:
        names = ", ".join(sorted(driver.controlled))
        driver.note_error(f"{names}: no longer controlled, since the board restarted")
        driver.controlled.clear()
    for delivery in driver.deliveries:
        delivery.begin_anew(driver.board.ended_tick)
        if delivery.kind is DeliveryKind.SCHEDULE:
            delivery.finish()
            driver.drop(delivery)
            driver.note_error("the schedule is void: the board restarted and counts anew")


async def tidy_up(driver: Driver) -> None:
    """Try once to leave the board as it was found, when the connection was lost before."""
    if not driver.left and not driver.controlled:
        return
    client = None
    try:
        async with asyncio.timeout(_TIDY_S):
            client = await driver.open_client(_TIDY_S)
            await driver.probe(client)
            await board_jobs.clear(client, driver.board, frozenset(driver.left))
            await board_jobs.release(driver, client, None)
    except (BoardError, TimeoutError) as error:
        names = ", ".join(sorted(driver.left | driver.controlled))
        logger.warning("the board could not be left clean (%s): %s", names, error)
    finally:
        if client is not None:
            await client.close()
