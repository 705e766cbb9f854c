"""Join a file-writing thread with a limit on time without progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bela_module.interruptible import FinishingThread, finish

WRITER_STALL_S: Final = 0.5
"""Time without progress after which a writer thread is abandoned."""

_WRITER_JOIN_S: Final = 2.0


def wait_for_writer(thread: FinishingThread, progress: Callable[[], int], stall_s: float) -> bool:
    """Wait until a thread that writes files ends, or a limit on time or progress is reached.

    Parameters
    ----------
    thread : FinishingThread
        The thread, which was told to end.
    progress : callable
        Returns a number that grows with what is written.
    stall_s : float
        How long it may not grow. However it grows, 2 s are the limit. Ctrl-C counts afterwards,
        a second one at once.

    Returns
    -------
    bool
        Whether the thread has ended.
    """
    deadline_s = time.monotonic() + _WRITER_JOIN_S

    def wait() -> None:
        while not thread.is_over and time.monotonic() < deadline_s:
            before = progress()
            thread.wait(stall_s)
            if progress() == before:
                break

    finish(wait)
    return thread.is_over
