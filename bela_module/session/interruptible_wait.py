"""Waiting that ends early, when there is something to do."""

from __future__ import annotations

import asyncio
from typing import Any


class Waker:
    """What one task waits by, and others wake it with."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the wait that goes on, if there is one."""
        self._woken.set()

    async def wait(self, *futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Wait until one of some futures is done, the time is over, or :meth:`wake` is called.

        Parameters
        ----------
        *futures : Future
            They are left as they are, however this ends.
        timeout_s : float, optional
            How long, at most.
        """
        self._woken.clear()
        waking = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait(
                {waking, *futures}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waking.cancel()
