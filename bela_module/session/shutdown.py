"""The end of a session: the board is left as it was found if it lets us, and always in time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BoardError
from bela_module.session import recovery
from bela_module.session.jobs import board_jobs
from bela_module.session.jobs import control as control_jobs
from bela_module.session.status import SessionState

if TYPE_CHECKING:
    from bela_module.session.driver import Driver

logger = logging.getLogger(__name__)

END_S: Final = 4.2
"""For all of the end: whoever waits for it does so for 5 s."""

_ANSWER_S: Final = 1.0
_PATIENCE_S: Final = 2.0


async def until_served(serving: asyncio.Future[None], close_asked: asyncio.Event) -> None:
    """Wait until a connection has ended; after CLOSE not for a board that does not answer.

    Parameters
    ----------
    serving : Task
        What is done on the connection; it is done afterwards, or cancelled.
    close_asked : Event
        Set when the session is to end.
    """
    closing = asyncio.ensure_future(close_asked.wait())
    either: set[asyncio.Future[Any]] = {serving, closing}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await asyncio.wait({serving}, timeout=_ANSWER_S)
        if not serving.done():
            serving.cancel()
            await asyncio.wait({serving})
    finally:
        closing.cancel()


async def leave(driver: Driver, client: BoardClient) -> None:
    """End what runs and give control back, on the connection that is there."""
    driver.enter(SessionState.STOPPING)
    patience_s = min(_PATIENCE_S, driver.end_in_s)
    try:
        async with asyncio.timeout(patience_s):
            for delivery in driver.deliveries:
                await board_jobs.end(driver, client, delivery, hurried=True)
            await control_jobs.release(driver, client, None)
    except (BoardError, TimeoutError) as error:
        reason = str(error) or f"it took over {patience_s:.1f} s"
        logger.warning("the board could not be left clean: %s", reason)


async def tidy_up(driver: Driver) -> None:
    """Try once more on a connection of its own, when the one before was lost or did not serve."""
    if not driver.left and not driver.controlled:
        return
    client, patience_s = None, min(_PATIENCE_S, driver.end_in_s)
    try:
        async with asyncio.timeout(patience_s):
            client = await driver.open_client(patience_s)
            await recovery.end_what_is_left(driver, client)
            await control_jobs.release(driver, client, None)
    except Exception as error:  # noqa: BLE001 - a defect, too, must not keep what is next from its end
        names = ", ".join(sorted(driver.left | driver.controlled))
        reason = str(error) or f"it took over {patience_s:.1f} s"
        logger.warning("the board could not be left clean (%s): %s", names, reason)
        driver.note_shortfall(f"the board could not be left clean ({names}): {reason}")
    finally:
        if client is not None:
            await client.close()
