"""Waits of a script's main thread that Ctrl-C ends at once, or where there is work to be finished.

Python runs signal handlers in the main thread, between two of its instructions. A signal that comes
just before the thread begins to wait, or that the system gives to another thread, does not wake it,
and on Windows none does that comes while it waits for a lock. So no single wait here is long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

SIGNAL_CHECK_S: Final = 0.2
"""Longest wait of which a signal may miss the beginning."""

T = TypeVar("T")


def sleep(duration_s: float) -> None:
    """Let time pass."""
    _wait(duration_s, lambda: False, time.sleep)


def wait_for(event: threading.Event, timeout_s: float) -> bool:
    """Wait until an event is set; return whether it was in time."""
    return _wait(timeout_s, event.is_set, event.wait)


def result_of(future: Future[T], timeout_s: float) -> T:
    """Wait for a future's result.

    Raises
    ------
    TimeoutError
        When it does not come in time.
    """
    # Not concurrent.futures.wait: interrupted, it may keep the lock that the result needs.
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    wait_for(done, timeout_s)
    return future.result(0.0)


def finish(work: Callable[[], T]) -> T:
    """Do something that can be begun again and has a time limit; Ctrl-C ends it the second time.

    The first Ctrl-C counts when it is finished.
    """
    try:
        return work()
    except KeyboardInterrupt:
        work()
        raise


class FinishingThread(threading.Thread):
    """A daemon thread with an end that can be awaited again after Ctrl-C.

    An interrupted ``join`` marks a thread as ended that goes on, in Python 3.12 and before.

    Parameters
    ----------
    target : callable
        What it does.
    name : str
        Its name.
    """

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._ended = threading.Event()

    def run(self) -> None:
        """Do what it is for."""
        try:
            super().run()
        finally:
            self._ended.set()

    @property
    def is_over(self) -> bool:
        """Whether it has done what it is for."""
        return self._ended.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it came in time."""
        if not wait_for(self._ended, timeout_s):
            return False
        self.join(SIGNAL_CHECK_S)  # what is left of it takes no time
        return True


def _wait(timeout_s: float, is_over: Callable[[], bool], wait: Callable[[float], object]) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not is_over():
        left_s = deadline_s - time.monotonic()
        if left_s <= 0.0:
            return False
        wait(min(left_s, SIGNAL_CHECK_S))
    return True
