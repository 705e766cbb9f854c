"""A wait of one task that others can end early."""

from __future__ import annotations

import asyncio
from typing import Any


class InterruptibleWait:
    """Waits for a time or for futures, until :meth:`interrupt` is called."""

    def __init__(self) -> None:
        self._interrupted = asyncio.Event()

    def interrupt(self) -> None:
        """End the wait that goes on, if there is one."""
        self._interrupted.set()

    async def wait(self, *futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Wait until one of some futures is done, the time is over, or it is interrupted.

        The futures are left as they are, however the wait ends.
        """
        self._interrupted.clear()
        interrupting = asyncio.ensure_future(self._interrupted.wait())
        try:
            await asyncio.wait(
                {interrupting, *futures}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            interrupting.cancel()
