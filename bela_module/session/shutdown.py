"""Session shutdown: stop streams and release control on the board within a deadline."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BoardError
from bela_module.session import recovery
from bela_module.session.jobs import control, ending
from bela_module.session.runtime import Runtime
from bela_module.session.states import SessionState
from bela_module.session.time_limits import (
    SHUTDOWN_ANSWER_S,
    SHUTDOWN_CONNECT_S,
    SHUTDOWN_PAUSE_S,
    SHUTDOWN_S,
    SHUTDOWN_STEP_S,
)
from bela_module.validation import named

logger = logging.getLogger(__name__)


class Shutdown:
    """The request to end a session, and the time that is left for it.

    Parameters
    ----------
    now : callable
        LSL seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._asked = asyncio.Event()
        self._end_by_s = math.inf

    @property
    def is_asked(self) -> bool:
        """Whether the session is to end."""
        return self._asked.is_set()

    @property
    def step_s(self) -> float:
        """How long the next step of it may take."""
        return max(0.0, min(SHUTDOWN_STEP_S, self._end_by_s - self._now()))

    def ask(self) -> None:
        """Ask for the end; the time begins to run."""
        if not self.is_asked:
            self._end_by_s = self._now() + SHUTDOWN_S
            self._asked.set()

    async def wait_for_task(
        self, serving: asyncio.Future[None], must_leave: Callable[[], bool]
    ) -> None:
        """Wait for the task that serves a connection; after the request, only for a short time.

        The task is done afterwards, or cancelled: at once when there is nothing to be left clean.

        Parameters
        ----------
        serving : Future
            The task.
        must_leave : callable
            Tells whether something has to be ended on the board.
        """
        asking = asyncio.ensure_future(self._asked.wait())
        either: set[asyncio.Future[Any]] = {serving, asking}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done() and must_leave():
                await asyncio.wait({serving}, timeout=SHUTDOWN_ANSWER_S)
            if not serving.done():
                serving.cancel()
                await asyncio.wait({serving})
        finally:
            asking.cancel()


async def leave_board(
    runtime: Runtime,
    client: BoardClient,
    limit_s: float,
    end_inputs: Callable[[], Awaitable[None]],
) -> None:
    """End inputs and what runs, and give control back, on the present connection."""
    runtime.enter(SessionState.STOPPING)
    try:
        async with asyncio.timeout(limit_s):
            await end_inputs()
            for delivery in runtime.running:
                await ending.end(runtime, client, delivery, hurried=True)
            await control.release_ours(runtime, client)
    except (BoardError, TimeoutError) as error:
        reason = _reason(error, limit_s)
        logger.warning("the board could not be left clean: %s", reason)


def _reason(error: Exception, limit_s: float) -> str:
    in_time = f"it took over {limit_s:.1f} s" if limit_s > 0 else "no time was left for it"
    return str(error) or in_time


async def _connect_soon(connect: Callable[[float], Awaitable[BoardClient]]) -> BoardClient:
    """Connect by several short attempts: one to a silent board would take all of the time."""
    while True:
        try:
            return await connect(SHUTDOWN_CONNECT_S)
        except BoardError as error:
            logger.debug("%s", error)
            await asyncio.sleep(SHUTDOWN_PAUSE_S)


async def clean_up(
    runtime: Runtime, connect: Callable[[float], Awaitable[BoardClient]], limit_s: float
) -> None:
    """End what is left on a new connection, when the one before was lost or did not serve."""
    changes = runtime.changes
    if not changes.left and not changes.controlled:
        return
    client = None
    try:
        async with asyncio.timeout(limit_s):
            client = await _connect_soon(connect)
            await recovery.end_what_is_left(runtime, client)
            await control.release_ours(runtime, client)
    except Exception as error:  # noqa: BLE001 - the shutdown goes on, whatever fails here
        names = named(sorted(changes.left | changes.controlled))
        reason = _reason(error, limit_s)
        logger.warning("the board could not be left clean (%s): %s", names, reason)
        runtime.running.note_shortfall(f"the board could not be left clean ({names}): {reason}")
    finally:
        if client is not None:
            await client.close()
