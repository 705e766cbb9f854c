"""A wait of one task that others can end early."""

from __future__ import annotations

import asyncio
from typing import Any


class InterruptibleWait:
    """Waits for a time or for futures, until :meth:`interrupt` is called.

    It takes one future and one timer, no task: the driver waits some ten times a second.
    """

    def __init__(self) -> None:
        self._waits: set[asyncio.Future[None]] = set()

    def interrupt(self) -> None:
        """End the wait that goes on, if there is one."""
        for ended in self._waits:
            _end(ended)

    async def wait(self, *futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Wait until one of some futures is done, the time is over, or it is interrupted.

        The futures are left as they are, however the wait ends.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def end(_done: asyncio.Future[Any]) -> None:
            _end(ended)

        timer = loop.call_later(timeout_s, _end, ended) if timeout_s is not None else None
        self._waits.add(ended)
        for future in futures:
            future.add_done_callback(end)
        try:
            await ended
        finally:
            self._waits.discard(ended)
            for future in futures:
                future.remove_done_callback(end)
            if timer is not None:
                timer.cancel()


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
