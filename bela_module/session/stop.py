"""STOP: on the board, on its next connection, or without it if it is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BoardError
from bela_module.session import recovery
from bela_module.session.jobs.ending import end_all
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import RECONNECT_FOR_STOP_S, STOP_POLL_S

logger = logging.getLogger(__name__)


class Stopper:
    """Carries out STOP, also while the board is away.

    Parameters
    ----------
    runtime : Runtime
        The session.
    stop_inputs : callable
        Ends the inputs, at once.
    """

    def __init__(self, runtime: Runtime, stop_inputs: Callable[[], None]) -> None:
        self._runtime = runtime
        self._stop_inputs = stop_inputs
        self._on_next_connection: asyncio.Task[str | None] | None = None

    async def stop(self) -> str:
        """End everything that runs or waits, with the board or without it.

        What is asked for after it is not touched.

        Returns
        -------
        str
            What became of it, in words.
        """
        self._stop_inputs()
        with self._runtime.jobs.stopping():
            return await self._stop()

    async def _stop(self) -> str:
        runtime, jobs = self._runtime, self._runtime.jobs
        client, newest = runtime.client, jobs.newest
        running = runtime.running.needs_data
        if client is not None and runtime.is_connected:
            try:
                result: str = await jobs.submit(
                    lambda client: end_all(runtime, client), only_on=client
                )
            except BoardError as error:
                logger.warning("the board was lost while it was to stop: %s", error)
            else:
                return result
        waited = self._refuse_earlier(newest)
        runtime.running.prepared = None
        if runtime.running:
            late = await self._stop_on_next_connection()
            waited |= self._refuse_earlier(newest)  # a START that was under way waits again
            if late is not None:
                return late
        if running:
            return "stopped; the board is not connected"
        return "stopped waiting" if waited else "nothing was running"

    def _refuse_earlier(self, newest: int) -> bool:
        """Refuse what waits for the board and was asked for before; tell whether there was any."""
        last_error = self._runtime.notices.last_error
        reason = f": {last_error}" if last_error else ""
        return self._runtime.jobs.refuse_waiting(f"stopped before it began{reason}", newest)

    async def _stop_on_next_connection(self) -> str | None:
        """Stop on the next connection, if there is one soon: then the true end becomes known.

        Only one does so at a time; a second STOP meanwhile gets the same answer.
        """
        task = self._on_next_connection
        if task is None or task.done():
            task = asyncio.ensure_future(self._await_next_connection())
            self._on_next_connection = task
        return await asyncio.shield(task)

    async def _await_next_connection(self) -> str | None:
        runtime = self._runtime
        begun = asyncio.Event()

        async def stop_now(client: BoardClient) -> str | None:
            begun.set()
            try:
                return await end_all(runtime, client)
            except BoardError as error:
                logger.warning("the board was lost again while it was to stop: %s", error)
                return None

        pending = runtime.jobs.add(stop_now, waits=True, internal=True)
        runtime.jobs.wake()
        deadline_s = runtime.now() + RECONNECT_FOR_STOP_S
        while not (begun.is_set() or pending.future.done()):
            # A connection that was made in time is to be taken over first.
            if runtime.client is None and runtime.now() > deadline_s:
                break
            await asyncio.sleep(STOP_POLL_S)
        runtime.jobs.withdraw(pending)
        result: str | None = None
        if begun.is_set():
            result = await pending.future
        elif not pending.future.cancel() and not pending.future.cancelled():
            pending.future.exception()  # the session closed meanwhile, and says so itself
        if result is None:
            recovery.abandon_all(runtime)
            runtime.status_changed()
            runtime.jobs.wake()
        return result
