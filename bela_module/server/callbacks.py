"""Queue of callbacks: messages to the control room about events of the session. Pure.

The control room polls its connection and takes everything that it reads at once for one message
``<module>|<PCOMM>|{json}``: two messages that arrive together are both lost. So they are sent one
by one, with a pause between them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from bela_module.config import EventName
from bela_module.server.time_limits import CALLBACK_SPACING_S

MAX_WAITING: Final = 32
"""Messages that may wait; later ones are dropped and counted."""


class CallbackQueue:
    """The messages that wait to be sent, made from the configured message of each event."""

    def __init__(self, messages: Mapping[EventName, str]) -> None:
        self._messages: dict[str, str] = {event: text for event, text in messages.items()}
        self._waiting: deque[str] = deque()
        self._not_before_s = 0.0
        self.dropped = 0
        """Messages for which there was no room."""

    def add(self, event: str) -> None:
        """Queue the message of an event, if one is configured."""
        message = self._messages.get(event)
        if message is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(message)

    def wait_s(self, now_s: float) -> float | None:
        """Return the seconds until the next message is due; None when none waits."""
        return max(0.0, self._not_before_s - now_s) if self._waiting else None

    def take(self, now_s: float) -> str | None:
        """Remove and return the next message if it is due now."""
        if self.wait_s(now_s) != 0.0:
            return None
        self._not_before_s = now_s + CALLBACK_SPACING_S
        return self._waiting.popleft()
