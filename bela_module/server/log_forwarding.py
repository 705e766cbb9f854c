"""Log records go to the console and to Dareplane's log server, without anybody waiting.

Dareplane's handler connects and sends in the thread that logs: up to 1 s per record when nobody
listens on port 9020, or when the one who listens does not read. Here each destination has a
bounded queue and a thread of its own. A full queue drops records and says how many.
"""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from logging.handlers import QueueHandler
from typing import Final

from dareplane_utils.logging.logger import default_dareplane_config, get_logger
from dareplane_utils.logging.ujson_socket_handler import UJsonSocketHandler

LOG_SERVER_PORT: Final = 9020

_OUR_LOGGERS: Final = ("bela_module",)
_MAX_WAITING: Final = 2000


class BackgroundHandler(QueueHandler):
    """Hands records to another handler in a thread of its own; logging never waits for it.

    Parameters
    ----------
    target : logging.Handler
        What writes the records; from now on it belongs to the thread.
    max_waiting : int
        Records that may wait; further ones are dropped and counted.
    """

    def __init__(self, target: logging.Handler, max_waiting: int = _MAX_WAITING) -> None:
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(max_waiting)
        super().__init__(self._records)
        self.dropped = 0
        self._told = 0
        self._given_up = False
        self._target = target
        self._thread = threading.Thread(
            target=self._write, name=f"log to {type(target).__name__}", daemon=True
        )
        self._thread.start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Format the message, so that the record can be written later and elsewhere."""
        prepared: logging.LogRecord = super().prepare(record)
        # Dareplane's receiver takes "%s" in a message for a place holder and dies of it.
        prepared.msg = prepared.message = str(prepared.msg).replace("%s", "% s")
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record, or drop it when the queue is full."""
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def stop(self, timeout_s: float) -> None:
        """Let the thread write what waits, and end.

        Parameters
        ----------
        timeout_s : float
            How long to wait for it; what is not written then is lost.
        """
        with suppress(queue.Full):  # as it is when the destination hangs
            self._records.put(None, timeout=timeout_s)
            self._thread.join(timeout_s)
        self._given_up = True

    def _write(self) -> None:
        while not self._given_up and (record := self._records.get()) is not None:
            # emit, not handle: nobody else uses the target, and the lock that handle takes would
            # make the interpreter's exit wait for a destination that hangs.
            self._target.emit(record)
            if self.dropped > self._told:
                self._target.emit(_drop_note(self.dropped - self._told))
                self._told = self.dropped
        self._target.close()


class LogPipes:
    """The logging of this process, changed as :func:`start_logging` says, until closed.

    Parameters
    ----------
    handlers : list of BackgroundHandler
        What all records go to.
    level : str or int
        Level of this package's loggers.
    """

    def __init__(self, handlers: list[BackgroundHandler], level: str | int) -> None:
        self.handlers = handlers
        self._before: list[tuple[logging.Logger, list[logging.Handler], int, bool]] = []
        # get_logger configures the platform's logging on its first call and adds its handlers.
        ours = [get_logger(name) for name in _OUR_LOGGERS]
        for logger in [logging.getLogger(), *ours]:
            self._before.append((logger, logger.handlers[:], logger.level, logger.propagate))
            logger.handlers = list(handlers)
        for logger in ours:
            logger.setLevel(level)
        revive_loggers()

    @property
    def dropped(self) -> int:
        """Records that were dropped because a destination did not keep up."""
        return sum(handler.dropped for handler in self.handlers)

    def close(self, timeout_s: float = 0.2) -> None:
        """Write what waits, as far as time allows, and restore the former handlers; idempotent.

        Parameters
        ----------
        timeout_s : float
            How long each destination may take.
        """
        for logger, handlers, level, propagate in self._before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        self._before.clear()
        for handler in self.handlers:
            handler.stop(timeout_s)
        self.handlers.clear()


def start_logging(
    level: str | int = "INFO",
    *,
    console: bool = True,
    host: str = "127.0.0.1",
    port: int = LOG_SERVER_PORT,
) -> LogPipes:
    """Send all records of this process to the console and to the log server.

    Parameters
    ----------
    level : str or int
        Level of this package's loggers.
    console : bool
        Whether people can read them on stderr.
    host, port : str, int
        Where the log server is. Nothing happens when there is none.

    Returns
    -------
    LogPipes
        Close it at the end, so that the last records are written.
    """
    targets: list[logging.Handler] = [UJsonSocketHandler(host, port)]
    if console:
        targets.append(logging.StreamHandler())
        formats = default_dareplane_config["formatters"]["dareplane_standard"]
        targets[-1].setFormatter(logging.Formatter(formats["format"]))
    return LogPipes([BackgroundHandler(target) for target in targets], level)


def revive_loggers() -> None:
    """Enable this package's loggers again, which the platform's configuration has disabled."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] in _OUR_LOGGERS and isinstance(logger, logging.Logger):
            logger.disabled = False


def _drop_note(count: int) -> logging.LogRecord:
    return logging.LogRecord(
        __name__, logging.WARNING, __file__, 0, f"{count} log records were dropped", None, None
    )
