"""What is done when a board comes back, or does not: what was left on it, and what runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bela_module import board_jobs, control_jobs
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
    _check_control(driver)
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
    driver.mark("board_restarted", driver.now())
    for delivery in driver.deliveries:
        delivery.begin_anew(driver.board.ended_tick)
        if delivery.kind is DeliveryKind.SCHEDULE:
            delivery.finish()
            driver.drop(delivery)
            driver.note_error("the schedule is void: the board restarted and counts anew")


def _check_control(driver: Driver) -> None:
    """Report what was controlled and is not any more: a board that restarted has forgotten it."""
    there = {variable.name for variable in driver.board.variables if variable.controlled}
    lost = driver.controlled - there
    if lost:
        driver.controlled -= lost
        driver.note_error(f"{', '.join(sorted(lost))}: no longer controlled; SET it again")


def give_up(driver: Driver) -> None:
    """End what runs without the board; what is left on it is to be tidied up."""
    for delivery in driver.deliveries:
        delivery.cut(driver.board.tick)
        delivery.finish()
        driver.note_left(delivery)
        driver.drop(delivery)


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
            await control_jobs.release(driver, client, None)
    except (BoardError, TimeoutError) as error:
        names = ", ".join(sorted(driver.left | driver.controlled))
        logger.warning("the board could not be left clean (%s): %s", names, error)
    finally:
        if client is not None:
            await client.close()
