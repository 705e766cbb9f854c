"""Callbacks to the control room: queue of messages about events, ``linger_s``, sending.

The control room polls its connection and takes everything that it reads at once for one message
``<module>|<PCOMM>|{json}``: two messages that arrive together are both lost. So they are sent one
by one, with a pause between them.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections import deque
from typing import Final

from bela_module.config import CallbackSettings
from bela_module.server.client_loop import ClientLoop
from bela_module.server.control_room import choose_control_room
from bela_module.server.time_limits import (
    CALLBACK_CONNECT_S,
    CALLBACK_FLUSH_S,
    CALLBACK_SPACING_S,
    STOP_EVENT_CHECK_S,
)
from bela_module.validation import split_address

MAX_WAITING: Final = 32
"""Messages that may wait; later ones are dropped."""

LINGERING: Final = frozenset({"stopped", "schedule_finished"})
"""Events whose messages wait until recorders have fetched the last samples: a recorder pulls some
times a second, and not once more when it is told to stop."""


class CallbackQueue:
    """The messages that wait to be sent, in the order of their events; pure.

    All times are those of one monotonic clock.
    """

    def __init__(self, settings: CallbackSettings) -> None:
        self._messages = settings.messages
        self._linger_s = settings.linger_s
        self._waiting: deque[tuple[float, str]] = deque()
        self._not_before_s = 0.0

    def __len__(self) -> int:
        """Count the messages that wait."""
        return len(self._waiting)

    def add(self, event: str, now_s: float) -> bool:
        """Queue the message of an event, if one is configured; False: there is no room for it."""
        message = self._messages.get(event)
        if message is None:
            return True
        if len(self._waiting) >= MAX_WAITING:
            return False
        due_s = now_s + (self._linger_s if event in LINGERING else 0.0)
        if self._waiting:
            due_s = max(due_s, self._waiting[-1][0])
        self._waiting.append((due_s, message))
        return True

    def end_linger(self, now_s: float) -> None:
        """Make all messages due, each after the pause that separates it from the one before."""
        self._waiting = deque((now_s, message) for _, message in self._waiting)

    def wait_s(self, now_s: float) -> float | None:
        """Return the seconds until the next message is due; None when none waits."""
        if not self._waiting:
            return None
        return max(0.0, self._not_before_s - now_s, self._waiting[0][0] - now_s)

    def take(self, now_s: float) -> str | None:
        """Remove and return the next message if it is due now."""
        if self.wait_s(now_s) != 0.0:
            return None
        self._not_before_s = now_s + CALLBACK_SPACING_S
        return self._waiting.popleft()[1]


class CallbackSender:
    """Sends the callbacks of the session's events to the control room, one by one.

    They go to its connection, or to the address ``callbacks.to``. All methods but `close` are
    called in the loop's thread.
    """

    def __init__(
        self, settings: CallbackSettings, loop: ClientLoop, logger: logging.Logger
    ) -> None:
        self._queue = CallbackQueue(settings)
        self._to = settings.to
        self._loop = loop
        self._logger = logger
        self._outside: _AddressSender | None = None

    def add(self, event: str, happened_s: float) -> None:
        """Queue the callback of an event, if one is configured."""
        if not self._queue.add(event, happened_s):
            self._logger.warning("too many callbacks wait: that of %s is dropped", event)

    def send_due(self, now_s: float) -> float:
        """Send what is due, and return after how many seconds to look again."""
        if self._outside is not None and self._outside.is_behind:
            return STOP_EVENT_CHECK_S  # the queue is bounded, and old messages do harm
        message = self._queue.take(now_s)
        if message is not None:
            self._send(message)
        wait_s = self._queue.wait_s(time.monotonic())
        return STOP_EVENT_CHECK_S if wait_s is None else min(wait_s, STOP_EVENT_CHECK_S)

    def flush(self) -> None:
        """Send what waits without its delay, since the server ends; only as much as time allows."""
        deadline_s = time.monotonic() + CALLBACK_FLUSH_S
        self._queue.end_linger(time.monotonic())
        while (wait_s := self._queue.wait_s(time.monotonic())) is not None:
            if time.monotonic() + wait_s > deadline_s:
                self._logger.warning("%d callbacks are dropped: the server ends", len(self._queue))
                return
            time.sleep(wait_s)
            message = self._queue.take(time.monotonic())
            if message is not None:
                self._send(message)

    def close(self) -> None:
        """End the thread that sends to ``callbacks.to``."""
        if self._outside is not None:
            self._outside.close()

    def _send(self, message: str) -> None:
        if self._to is None:
            room = choose_control_room(self._loop.connections, time.monotonic())
        else:
            room = next((one for one in self._loop.connections if one.peer == self._to), None)
            if room is None:
                if self._outside is None:
                    self._outside = _AddressSender(self._to, self._logger)
                self._outside.send(message)
                return
        if room is None:
            self._logger.warning("no control room is connected to take %s", message)
            return
        self._logger.info("callback to %s: %s", room.peer, message)
        self._loop.guard(room, room.send, message.encode("ascii"))


class _AddressSender:
    """Sends each message over a connection of its own, in a thread: the server does not wait."""

    def __init__(self, address: str, logger: logging.Logger) -> None:
        self._address = address
        self._logger = logger
        self._messages: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether a message waits for the one before it."""
        return not self._messages.empty()

    def send(self, message: str) -> None:
        self._messages.put(message)

    def close(self) -> None:
        self._messages.put(None)
        self._thread.join(CALLBACK_FLUSH_S)

    def _run(self) -> None:
        host, port = split_address(self._address)
        while (message := self._messages.get()) is not None:
            try:
                address = host, int(port or 0)
                with socket.create_connection(address, CALLBACK_CONNECT_S) as receiver:
                    receiver.sendall(message.encode("ascii"))
            except OSError as error:
                self._logger.warning("callbacks.to = %s took no %s: %s",
                                     self._address, message, error)  # fmt: skip
            else:
                self._logger.info("callback to %s: %s", self._address, message)
