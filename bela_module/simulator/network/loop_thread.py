"""Event loop in a thread of its own, with calls into it from any thread."""

from __future__ import annotations

import asyncio
import selectors
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from bela_module.errors import BoardError
from bela_module.simulator.time_limits import BOARD_START_S

_Result = TypeVar("_Result")


class LoopThread(ABC):
    """Runs an event loop in a thread; use it in a ``with`` statement."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    @abstractmethod
    async def _set_up(self) -> None:
        """Prepare to serve, in the event loop; :meth:`start` waits for it and raises its errors."""

    @abstractmethod
    async def _serve(self, stop: asyncio.Event) -> None:
        """Serve, in the event loop, until ``stop`` is set, and clean up."""

    def start(self) -> None:
        """Start the thread and wait until it serves.

        Raises
        ------
        BoardError
            When it cannot serve.
        """
        self._stop = asyncio.Event()
        errors: deque[BoardError] = deque()
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run_thread, args=(ready, errors), name="simulated board", daemon=True
        )
        self._thread.start()
        if not ready.wait(BOARD_START_S):
            raise BoardError(f"the simulated board did not start in {BOARD_START_S} s")
        if errors:
            self._thread.join()
            self._thread = None
            raise errors[0]

    def close(self) -> None:
        """End the thread; safe to call more than once."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None
        self._loop = None

    def __enter__(self) -> Self:
        """Start, and return the object."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Call a function in the event loop after a time, if the thread still runs."""
        self._in_loop(lambda: self._running_loop().call_later(delay_s, call))

    def _is_in_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise BoardError("the simulated board is not running; use it in a 'with' statement")
        return self._loop

    def _in_loop(self, call: Callable[[], _Result]) -> _Result:
        """Call a function in the event loop, from any thread, and return its result."""
        loop = self._running_loop()
        if self._is_in_thread():
            return call()

        async def run() -> _Result:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), loop).result()

    def _run_thread(self, ready: threading.Event, errors: deque[BoardError]) -> None:
        # select() waits for microseconds, epoll_wait() for whole milliseconds: delays need that.
        def make_loop() -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop(selectors.SelectSelector())

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(self._main(ready, errors))

    async def _main(self, ready: threading.Event, errors: deque[BoardError]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._set_up()
        except BoardError as error:
            errors.append(error)
            return
        finally:
            ready.set()
        await self._serve(self._stop)
