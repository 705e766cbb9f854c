"""Calls a user's function for each buffer, in a thread of its own that owns an event loop.

A slow callback holds up nothing but itself: what does not fit into the bounded queue is dropped
and counted. A callback that raises is reported, and called again with what comes next.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

logger = logging.getLogger(__name__)

_START_TIMEOUT_S: Final = 10.0
_END: Final = object()


class Dispatcher:
    """Hands items to a function, one after another.

    Parameters
    ----------
    callback : callable
        Called with each item, and `arguments` after it; may be a coroutine function.
    arguments : object
        A tuple of further arguments, or a single one.
    on_error : callable
        Told, in words, what the callback raised, and what had to be dropped.
    max_waiting : int
        How many items may wait; what comes beyond them is dropped.

    Attributes
    ----------
    dropped : int
        Items that were not handed on since the callback was too slow.
    errors : int
        Calls that raised.
    """

    def __init__(
        self,
        callback: Callable[..., Any],
        arguments: Any,
        on_error: Callable[[str], None],
        max_waiting: int,
    ) -> None:
        self.dropped = 0
        self.errors = 0
        self._callback = callback
        self._arguments = arguments if isinstance(arguments, tuple) else (arguments,)
        self._on_error = on_error
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._n_waiting = 0
        self._abandoned = False
        self._last_error = ""
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bela-callbacks", daemon=True)
        self._thread.start()
        self._ready.wait(_START_TIMEOUT_S)

    def put(self, item: object) -> None:
        """Have an item handed on, from any thread; returns at once."""
        with self._lock:
            full = self._n_waiting >= self._max_waiting
            self._n_waiting += not full
            self.dropped += full
        if not full:
            self._tell(item)
        elif self.dropped == 1:
            self._report("the callback is too slow: it is not given all buffers")

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait until everything that waits was handed on; what takes longer is abandoned.

        Parameters
        ----------
        timeout_s : float
            How long to wait. Called by the callback itself, it does not wait.
        """
        self._tell(_END)
        if self._thread is threading.current_thread():
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._lock:
                self._abandoned = True
                self.dropped += self._n_waiting
            self._report(f"the callback did not keep up: {self._n_waiting} calls were left out")
        elif self.dropped:
            self._report(f"the callback was too slow for {self.dropped} buffers or blocks")

    def _tell(self, item: object) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            logger.debug("the callbacks have ended already")

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        while (item := await self._items.get()) is not _END and not self._abandoned:
            await self._call(item)
            with self._lock:
                self._n_waiting -= 1

    async def _call(self, item: object) -> None:
        try:
            result = self._callback(item, *self._arguments)
            if inspect.isawaitable(result):
                await result
        except Exception as error:  # noqa: BLE001 -- it is the user's code
            self.errors += 1
            text = f"the callback raised {type(error).__name__}: {error}"
            if text != self._last_error:
                self._last_error = text
                logger.debug("where the callback raised", exc_info=error)
                self._report(text)

    def _report(self, text: str) -> None:
        logger.error("%s", text)
        self._on_error(text)
