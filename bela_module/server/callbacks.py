"""Messages to the control room when something happens in the session. Pure.

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
    """The messages that wait to be sent.

    Parameters
    ----------
    messages : mapping of event names to str
        For each event of the session that is passed on, the message.
    """

    def __init__(self, messages: Mapping[EventName, str]) -> None:
        self._messages: dict[str, str] = {event: text for event, text in messages.items()}
        self._waiting: deque[str] = deque()
        self._not_before_s = 0.0
        self.dropped = 0
        """Messages for which there was no room."""

    def add(self, event: str) -> None:
        """Queue the message of an event, if it has one.

        Parameters
        ----------
        event : str
            The name of an event.
        """
        message = self._messages.get(event)
        if message is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(message)

    def wait_s(self, now_s: float) -> float | None:
        """Tell how long to wait until the next message is due.

        Parameters
        ----------
        now_s : float
            The time, on any steady clock.

        Returns
        -------
        float or None
            Seconds, 0 when it is due; None when nothing waits.
        """
        return max(0.0, self._not_before_s - now_s) if self._waiting else None

    def take(self, now_s: float) -> str | None:
        """Take the next message if it is due.

        Parameters
        ----------
        now_s : float
            The time, on the clock of :meth:`wait_s`.

        Returns
        -------
        str or None
            The message to send now.
        """
        if self.wait_s(now_s) != 0.0:
            return None
        self._not_before_s = now_s + CALLBACK_SPACING_S
        return self._waiting.popleft()
