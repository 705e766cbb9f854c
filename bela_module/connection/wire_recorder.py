"""Recording of the traffic with a board to a capture file, in a thread of its own."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bela_module.connection.capture_file import CapturedMessage, CaptureWriter
from bela_module.interruptible import FinishingThread
from bela_module.writer_thread import WRITER_STALL_S, wait_for_writer

logger = logging.getLogger(__name__)

_MAX_WAITING: Final = 20_000


class WireTap:
    """Writes a capture from a thread, so that callers never wait; a ``WireRecorder``.

    Parameters
    ----------
    path : str or Path
        File to create; compressed when its name ends in ``.gz``.
    now : callable
        Seconds of a monotonic clock.

    Attributes
    ----------
    dropped : int
        Number of messages that could not be written in time and are missing in the file.

    Raises
    ------
    CaptureError
        When the file exists already or cannot be created.
    """

    def __init__(self, path: str | Path, now: Callable[[], float]) -> None:
        self.dropped = 0
        self._writer = CaptureWriter(path)
        self._now = now
        self._begun_s = now()
        self._connection = 0
        self._n_done = 0
        self._failed = False
        self._closed = False
        self._waiting: queue.SimpleQueue[CapturedMessage | None] = queue.SimpleQueue()
        self._thread = FinishingThread(self._run, "bela-wire")
        self._thread.start()

    def begin_connection(self) -> None:
        """Begin another connection, to which the following messages belong."""
        self._connection += 1

    def record(self, channel: str, direction: str, message: str | bytes) -> None:
        """Queue one message for writing; never waits."""
        since_s = self._now() - self._begun_s
        if self._failed or self._waiting.qsize() >= _MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting.put(
                CapturedMessage(since_s, channel, direction == "in", message, self._connection)
            )

    def close(self, stall_s: float = WRITER_STALL_S) -> None:
        """Write the queued messages and finish the file; safe to call more than once.

        Parameters
        ----------
        stall_s : float
            Longest time without progress, after which a disk that hangs is abandoned.
        """
        if self._closed:
            return
        self._closed = True
        self._waiting.put(None)
        if not wait_for_writer(self._thread, lambda: self._n_done, stall_s):
            n_left = self._waiting.qsize()
            logger.error("the capture is not complete: %d messages wait for the disk", n_left)
        if self.dropped:
            logger.warning(
                "the capture lacks %d messages: writing failed or was too slow", self.dropped
            )

    def _run(self) -> None:
        try:
            with self._writer:
                while (message := self._waiting.get()) is not None:
                    self._writer.write(message)
                    self._n_done += 1
        except Exception as error:  # noqa: BLE001 -- nobody else would ever see it
            self._failed = True
            logger.error("the capture failed: %s: %s", type(error).__name__, error)
            self.dropped += self._waiting.qsize() + 1
