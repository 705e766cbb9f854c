"""The thread that makes all calls of LSL which can take time, in the order they are asked for."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Final

from bela_module.streams.lsl.lsl_memory import return_freed_memory
from bela_module.streams.lsl.outlet_channel import OutletChannel
from bela_module.streams.lsl.thread_policy import become_batch_thread
from bela_module.streams.time_limits import LISTENER_CHECK_S, MEMORY_RETURN_S, OUTLETS_END_S

logger = logging.getLogger(__name__)

Job = Callable[[], None]

_MAX_ENDING_AT_ONCE: Final = 32
_MAX_JOBS_AT_ONCE: Final = 256  # until channels look for listeners again


class OutletWorker:
    """Carries out jobs one after another, and lets channels look for their listeners.

    Its thread begins with the first job and ends with :meth:`end`.

    Parameters
    ----------
    channels : callable
        Gives the channels that there are; called in any thread.
    """

    def __init__(self, channels: Callable[[], Iterable[OutletChannel]]) -> None:
        self._channels = channels
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Have something done after all that was submitted before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bela-outlets", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def end(self) -> None:
        """Do what was submitted, end all channels, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join(OUTLETS_END_S)
            if thread.is_alive():
                logger.error("LSL did not end its outlets in %.1f s", OUTLETS_END_S)

    def _run(self) -> None:
        become_batch_thread()  # before there is any outlet, whose threads inherit that
        check_s = math.inf  # when channels look for their listeners, if any waits for some
        return_s = time.monotonic() + MEMORY_RETURN_S
        while True:
            timeout_s = max(0.0, min(check_s, return_s) - time.monotonic())
            if not self._perform_waiting(timeout_s):
                break
            if time.monotonic() >= return_s:
                return_freed_memory()
                return_s = time.monotonic() + MEMORY_RETURN_S
            if check_s == math.inf:  # the job may have left something that waits
                check_s = time.monotonic() + LISTENER_CHECK_S
            elif time.monotonic() >= check_s:
                check_s = time.monotonic() + LISTENER_CHECK_S if self._check() else math.inf
        # LSL takes some 25 ms to end an outlet, but ends many at once just as fast.
        with ThreadPoolExecutor(_MAX_ENDING_AT_ONCE, "bela-outlets-end") as pool:
            for channel in self._channels():
                pool.submit(self._perform, channel.end)

    def _perform_waiting(self, timeout_s: float) -> bool:
        """Wait for a job and do it with those behind it; tell whether there will be more."""
        with contextlib.suppress(Empty):
            job = self._jobs.get(timeout=timeout_s)
            for n_left in reversed(range(_MAX_JOBS_AT_ONCE)):
                if job is None:
                    return False
                self._perform(job)
                if n_left:
                    job = self._jobs.get_nowait()
        return True

    def _check(self) -> bool:
        """Let channels look for listeners; tell whether any still waits for some."""
        channels = list(self._channels())
        for channel in channels:
            self._perform(channel.check)
        return any(channel.needs_checks for channel in channels)

    def _perform(self, job: Job) -> None:
        try:
            job()
        except Exception:  # one stream's defect must not end the others
            logger.exception("a call of LSL failed")
