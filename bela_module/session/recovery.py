"""What is done when a board comes back, or does not: what was left on it, and what runs."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Final

from bela_module.connection.board_client import BoardClient
from bela_module.session.delivery.delivery import DeliveryKind
from bela_module.session.jobs import board_jobs

if TYPE_CHECKING:
    from bela_module.session.driver import Driver

logger = logging.getLogger(__name__)

_TIDY_S: Final = 2.0


async def take_over(driver: Driver, client: BoardClient, *, fresh: bool = False) -> None:
    """End what is left on the board from before, and go on with what was interrupted.

    Parameters
    ----------
    driver : Driver
        What runs.
    client : BoardClient
        The connection, on which a list was just received.
    fresh : bool
        Whether the connection has just been made.

    Raises
    ------
    BoardError
        When the connection does not last.
    """
    restarted, driver.restarted = driver.restarted, False
    if restarted:
        _begin_anew(driver)
    if fresh:
        check_control(driver)
    waiting = [delivery for delivery in driver.deliveries if delivery.is_interrupted]
    if driver.exclusive and (fresh or restarted):
        left = frozenset(driver.left)
        await board_jobs.clear(client, driver.board, ours=left, others=True)
        driver.left -= left
    else:
        await end_what_is_left(driver, client)
    if waiting:
        await driver.measure(client)
    for delivery in waiting:
        if delivery in driver.deliveries:  # it may have been given up meanwhile
            await delivery.resume(client)


async def end_what_is_left(driver: Driver, client: BoardClient) -> None:
    """End what this session has left watched or monitored, and confirm that it has ended.

    Raises
    ------
    BoardError
        When the board does not answer.
    """
    running = {v.name for d in driver.deliveries for v in (*d.watched, *d.monitored)}
    names = driver.left - running
    if names:
        await driver.probe(client)
        await board_jobs.clear(client, driver.board, ours=names, others=False)
    driver.left -= names


async def clean_up_after(driver: Driver, client: BoardClient) -> None:
    """End what is left after a defect, at once if the connection still serves."""
    if client.lost.done():
        return
    try:
        async with asyncio.timeout(_TIDY_S):
            await end_what_is_left(driver, client)
    except Exception as error:  # noqa: BLE001 - the defect itself, perhaps
        logger.warning("the board is to be left clean later: %s", error or "no reply in time")


def _begin_anew(driver: Driver) -> None:
    """Account for what ran before a restart, of which the board knows nothing any more."""
    driver.notices.tell("the board restarted: its ticks began anew", event="board_restarted")
    for delivery in driver.deliveries:
        delivery.begin_anew(driver.board.ended_tick, driver.board.began_tick)
        if delivery.kind is DeliveryKind.SCHEDULE:
            text = "the schedule is void: the board restarted and counts anew"
            driver.note_shortfall(text)
            driver.note_error(text)
            delivery.finish()
            driver.drop(delivery)
    driver.board.forget_times()


def check_control(driver: Driver) -> None:
    """Report what was controlled and is not any more, as of a list that was just received.

    A board that restarted has forgotten it, and another client can end it.
    """
    there = {variable.name for variable in driver.board.variables if variable.controlled}
    lost = driver.controlled - there
    driver.controlled -= lost
    if unasked := lost - driver.releasing:
        driver.note_error(f"{', '.join(sorted(unasked))}: no longer controlled; SET again")
    driver.releasing -= lost


def give_up(driver: Driver, why: str = "the board was not there") -> None:
    """End what runs without the board; what is left on it is to be tidied up.

    Parameters
    ----------
    driver : Driver
        What runs.
    why : str
        The reason, in words.
    """
    for delivery in driver.deliveries:
        driver.note_left(delivery)
        text = f"{', '.join(stream.plan.name for stream in delivery.streams)}: {why}"
        if delivery.ending:
            text += " to confirm the end"
        elif not delivery.has_begun:
            text += " to cancel it"
        else:
            known_s = driver.now() - driver.board.time_at(driver.board.tick)
            since = "since it restarted" if math.isnan(known_s) else f"in the last {known_s:.1f} s"
            text += f"; what was taken {since} is not counted"
        driver.note_shortfall(text)
        driver.note_error(text)
        try:
            delivery.cut(driver.board.tick)
            delivery.finish()
        except Exception:  # a defect in one stream must not keep the others from their end
            logger.exception("what was held of %s is lost", delivery.kind)
        finally:
            driver.drop(delivery)
