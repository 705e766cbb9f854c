"""Messages to the control room when something happens in the session. Pure.

The control room polls its connection and takes everything that it reads at once for one message
``<module>|<PCOMM>|{json}``: two messages that arrive together are both lost. So they are sent one
by one, with a pause between them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bela_module.config import CallbackSettings
from bela_module.server.time_limits import CALLBACK_SPACING_S

MAX_WAITING: Final = 32
"""Messages that may wait; later ones are dropped and counted."""


LINGERING: Final = frozenset({"stopped", "schedule_finished"})
"""Events whose messages wait until recorders have fetched the last samples: they pull some times a
second, and do not when they are told to stop."""


class CallbackQueue:
    """The messages that wait to be sent, in the order of their events.

    Parameters
    ----------
    settings : CallbackSettings
        The message of each event, and how long those of `LINGERING` wait.
    """

    def __init__(self, settings: CallbackSettings) -> None:
        self._messages = settings.messages
        self._linger_s = settings.linger_s
        self._waiting: deque[tuple[float, str]] = deque()
        self._not_before_s = 0.0
        self.dropped = 0
        """Messages for which there was no room."""

    def add(self, event: str, now_s: float) -> None:
        """Queue the message of an event, if it has one.

        Parameters
        ----------
        event : str
            The name of an event.
        now_s : float
            The time, on any steady clock.
        """
        message = self._messages.get(event)
        if message is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        due_s = now_s + (self._linger_s if event in LINGERING else 0.0)
        if self._waiting:
            due_s = max(due_s, self._waiting[-1][0])
        self._waiting.append((due_s, message))

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
        if not self._waiting:
            return None
        return max(0.0, self._not_before_s - now_s, self._waiting[0][0] - now_s)

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
        return self._waiting.popleft()[1]
