"""Records what a session and its board say to each other, without ever making it wait."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bela_module.capture import CapturedMessage, CaptureWriter
from bela_module.errors import CaptureError

logger = logging.getLogger(__name__)

_MAX_WAITING: Final = 20_000


class WireTap:
    """Writes a capture from a thread of its own; a :class:`~bela_module.client.WireRecorder`.

    Parameters
    ----------
    path : str or Path
        File to create; compressed when its name ends in ``.gz``.
    now : callable
        Seconds of a clock that never goes back.

    Attributes
    ----------
    dropped : int
        Messages that could not be written in time: the file is then not the whole truth.

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
        self._waiting: queue.Queue[CapturedMessage | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._write, name="bela-wire", daemon=True)
        self._thread.start()

    def begin_connection(self) -> None:
        """Note that what follows belongs to another connection."""
        self._connection += 1

    def record(self, channel: str, direction: str, message: str | bytes) -> None:
        """Take one message; never waits."""
        since_s = self._now() - self._begun_s
        captured = CapturedMessage(since_s, channel, direction == "in", message, self._connection)
        try:
            self._waiting.put_nowait(captured)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits and finish the file; safe to call more than once."""
        if not self._thread.is_alive():
            return
        self._waiting.put(None)
        self._thread.join()
        if self.dropped:
            logger.warning("the capture lacks %d messages: writing was too slow", self.dropped)

    def _write(self) -> None:
        try:
            with self._writer:
                while (message := self._waiting.get()) is not None:
                    self._writer.write(message)
        except CaptureError as error:
            logger.error("%s", error)
            while self._waiting.get() is not None:
                self.dropped += 1
