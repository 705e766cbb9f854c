"""Calls a user's function for each buffer, in its own thread with an event loop.

A slow callback delays nothing else: what does not fit into the bounded queue is dropped and
counted. A callback that raises is reported, and called again with the next item.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from bela_module.protocol.variables import Variable
from bela_module.recording.buffers import BlockAligner, BufferData, StreamBuffer
from bela_module.scripting.list_buffers import monitored_values
from bela_module.scripting.time_limits import (
    CALLBACK_CATCH_UP_S,
    CALLBACK_S,
    CALLBACK_THREAD_START_S,
)

logger = logging.getLogger(__name__)


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
        self._waiting: deque[object] = deque()
        self._ended = False
        self._waking = False
        self._n_calls = 0
        self._last_error = ""
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bela-callbacks", daemon=True)
        self._thread.start()
        self._ready.wait(CALLBACK_THREAD_START_S)

    def put(self, item: object) -> None:
        """Queue an item, from any thread; returns at once."""
        with self._lock:
            full = len(self._waiting) >= self._max_waiting
            self.dropped += full
            if not full:
                self._waiting.append(item)
        if not full:
            self._wake()
        elif self.dropped == 1:
            self._report("the callback is too slow: it is not given all buffers")

    def close(self, call_s: float = CALLBACK_S) -> None:
        """Wait up to 5 s until all waiting items were handed on; the others are dropped.

        Parameters
        ----------
        call_s : float
            How long a single call may take; 0: drop at once what waits. Called by the callback
            itself, it does not wait.
        """
        self._ended = True
        self._wake()
        if self._thread is threading.current_thread():
            return
        deadline_s = time.monotonic() + CALLBACK_CATCH_UP_S
        while self._thread.is_alive() and time.monotonic() < deadline_s:
            before = self._n_calls
            self._thread.join(call_s)
            if self._n_calls == before:
                break
        with self._lock:
            n_left_out = len(self._waiting)
            self._waiting.clear()
            self.dropped += n_left_out
        if n_left_out:
            self._report(f"the callback did not keep up: {n_left_out} calls were left out")
        elif self.dropped:
            self._report(f"the callback was too slow for {self.dropped} buffers or blocks")

    def _wake(self) -> None:
        """Wake the loop, once for all items that it has not seen yet: it costs a system call."""
        with self._lock:
            waking, self._waking = self._waking, True
        if waking or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:
            logger.debug("the callbacks have ended already")

    def _run(self) -> None:
        while True:
            try:
                asyncio.run(self._serve())
                return
            except (SystemExit, KeyboardInterrupt) as error:
                # A task that the callback has left running raised it, which ends a loop.
                self._note(error)

    async def _serve(self) -> None:
        self._news = asyncio.Event()
        self._news.set()
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        while not self._ended or self._waiting:
            await self._news.wait()
            self._news.clear()
            with self._lock:
                self._waking = False
            while self._waiting:
                try:
                    await self._call(self._waiting[0])
                finally:
                    with self._lock:
                        if self._waiting:  # or it was abandoned meanwhile
                            self._waiting.popleft()

    async def _call(self, item: object) -> None:
        try:
            result = self._callback(item, *self._arguments)
            if inspect.isawaitable(result):
                await result
        except BaseException as error:  # noqa: BLE001 -- it is the user's code
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the loop ends
            self._note(error)
        finally:
            self._n_calls += 1

    def _note(self, error: BaseException) -> None:
        self.errors += 1
        text = f"the callback raised {type(error).__name__}: {error}"
        if text != self._last_error:
            self._last_error = text
            logger.debug("where the callback raised", exc_info=error)
            self._report(text)

    def _report(self, text: str) -> None:
        logger.error("%s", text)
        self._on_error(text)


class CallbackOutput:
    """A user's function that is called by a dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def close(self, *, hurried: bool = False) -> None:
        """Wait for the function to have had everything, unless hurried."""
        self._dispatcher.close(0.0 if hurried else CALLBACK_S)

    def describe_missing(self, name: str) -> str:
        """Say nothing: calls that were left out have been reported."""
        return ""


class BufferCallback(CallbackOutput):
    """Hands each buffer to a user's function."""

    def take(self, name: str, buffer: BufferData) -> None:
        """Take a variable's next buffer."""
        self._dispatcher.put(StreamBuffer(name=name, buffer=buffer))

    take_late = take

    def lose(self, name: str, last_tick: int) -> None:
        """Do nothing: the next buffer tells how many were lost."""


class ValueCallback(CallbackOutput):
    """Hands each monitored value to a user's function."""

    def take(self, name: str, buffer: BufferData) -> None:
        """Take a variable's next values."""
        for value in monitored_values(buffer):
            self._dispatcher.put({"name": name, "buffer": value})

    take_late = take

    def lose(self, name: str, last_tick: int) -> None:
        """Do nothing: ticks tell which values are missing."""


class BlockCallback(CallbackOutput):
    """Hands blocks of buffers that are aligned by tick to a user's function."""

    def __init__(self, dispatcher: Dispatcher, variables: Sequence[Variable]) -> None:
        super().__init__(dispatcher)
        self._aligner = BlockAligner(variables)

    def take(self, name: str, buffer: BufferData) -> None:
        """Take a variable's next buffer."""
        self._put(self._aligner.add(name, buffer))

    def take_late(self, name: str, buffer: BufferData) -> None:
        """Take values that became known after later ones."""
        self._aligner.add_late(name, buffer)

    def lose(self, name: str, last_tick: int) -> None:
        """Learn that of a variable nothing more comes up to a tick."""
        self._put(self._aligner.lose(name, last_tick))

    def close(self, *, hurried: bool = False) -> None:
        """Hand on what still waits, and wait for the function to have had it, unless hurried."""
        self._put(self._aligner.finish())
        super().close(hurried=hurried)

    def _put(self, blocks: Sequence[list[StreamBuffer]]) -> None:
        for block in blocks:
            self._dispatcher.put(block)
