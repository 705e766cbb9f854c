"""Log forwarding to the console and to Dareplane's log server, in threads of its own.

Dareplane's handler connects and sends in the thread that logs: up to 1 s per record when nobody
listens on port 9020, or when the log server does not read. Here each destination has a bounded
queue and a thread of its own. A full queue drops records and says how many.
"""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler
from typing import Final

from dareplane_utils.logging.logger import default_dareplane_config, get_logger
from dareplane_utils.logging.ujson_socket_handler import UJsonSocketHandler

from bela_module.server.time_limits import LOG_FLUSH_S

LOG_SERVER_PORT: Final = 9020

_PACKAGE: Final = "bela_module"
_MODULE: Final = "dp-bela"
_MAX_WAITING: Final = 2000


class BackgroundHandler(QueueHandler):
    """Hands records to another handler in a thread of its own; logging never waits for it.

    The target then belongs to the thread. Of the records, at most `max_waiting` wait; further ones
    are dropped and counted. With `record_name` all records get that name.
    """

    def __init__(
        self,
        target: logging.Handler,
        max_waiting: int = _MAX_WAITING,
        *,
        record_name: str | None = None,
    ) -> None:
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(max_waiting)
        super().__init__(self._records)
        self._record_name = record_name
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
        if self._record_name is not None:
            prepared.name = self._record_name
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record, or drop it when the queue is full."""
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def stop(self, timeout_s: float) -> None:
        """Let the thread write what waits, and end; what is not written in time is lost."""
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


@dataclass(frozen=True, slots=True)
class _LoggerState:
    """Handlers and level of a logger, to be restored."""

    logger: logging.Logger
    handlers: list[logging.Handler]
    level: int
    propagate: bool

    @classmethod
    def of(cls, logger: logging.Logger) -> _LoggerState:
        return cls(logger, logger.handlers[:], logger.level, logger.propagate)

    def restore(self) -> None:
        self.logger.handlers, self.logger.propagate = self.handlers, self.propagate
        self.logger.setLevel(self.level)


class LogPipes:
    """The logging of this process, changed as :func:`start_logging` says, until closed."""

    def __init__(self, handlers: list[BackgroundHandler], level: str | int) -> None:
        self.handlers = handlers
        ours, root = logging.getLogger(_PACKAGE), logging.getLogger()
        self._before = [_LoggerState.of(ours)]
        # The first call configures the platform's logging, which later would undo what we do here.
        get_logger(_PACKAGE)
        self._before.append(_LoggerState.of(root))
        for logger in (ours, root):
            logger.handlers = list(handlers)
        ours.setLevel(level)
        revive_loggers()

    @property
    def dropped(self) -> int:
        """Records that were dropped because a destination did not keep up."""
        return sum(handler.dropped for handler in self.handlers)

    def close(self, timeout_s: float = LOG_FLUSH_S) -> None:
        """Write what waits, at most `timeout_s` a destination, and restore the handlers."""
        for state in self._before:
            state.restore()
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
    """Send all records of this process to standard error and to the log server, if there is one.

    The level is that of this package's loggers. Close the result at the end, so that the last
    records are written.
    """
    # A control room shows the records of all modules in one log: by the name of the module.
    pipes = [BackgroundHandler(UJsonSocketHandler(host, port), record_name=_MODULE)]
    if console:
        target = logging.StreamHandler()
        formats = default_dareplane_config["formatters"]["dareplane_standard"]
        target.setFormatter(logging.Formatter(formats["format"]))
        pipes.append(BackgroundHandler(target))
    return LogPipes(pipes, level)


def revive_loggers() -> None:
    """Enable this package's loggers again, which the platform's configuration has disabled."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] == _PACKAGE and isinstance(logger, logging.Logger):
            logger.disabled = False


def _drop_note(count: int) -> logging.LogRecord:
    return logging.LogRecord(
        __name__, logging.WARNING, __file__, 0, f"{count} log records were dropped", None, None
    )
