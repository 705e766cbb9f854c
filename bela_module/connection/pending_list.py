"""One request for the list, and which of the replies that come to all clients answers it."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from bela_module.connection.time_limits import OTHERS_ASK_S, UNPROVEN_REPLY_S
from bela_module.protocol.control_channel import VariableList

_ALIKE_S: Final = 0.001  # the board answers all of one message at once


class PendingList:
    """Waits for as many replies in a row with one tick, or nearly, as were asked for.

    What had arrived before the request was made is no answer to it. Replies to other clients have
    ticks of their own. Where no two are alike, the newest is taken after a while. To be used in an
    event loop.

    Parameters
    ----------
    repeats : int
        How often the message asks.
    sent_s : float
        LSL time just before it is sent.

    Attributes
    ----------
    sent_s : float
        The same; may become later, as more is known.
    answer : Future
        The reply, and the LSL time at which the first one with its tick arrived.
    is_proven : bool
        Whether as many as were asked for, and more than one, were alike.
    """

    def __init__(self, repeats: int, sent_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[tuple[VariableList, float]] = self._loop.create_future()
        self._repeats = repeats
        self.sent_s = sent_s
        self._tick = 0
        self._n_alike = 0
        self._first_s = 0.0
        self.is_proven = False

    def take(self, reply: VariableList, received_s: float) -> bool:
        """Take in a reply, unless it cannot be the answer; return whether it was taken."""
        if self.answer.done() or received_s < self.sent_s:
            return False
        near_ticks = max(_ALIKE_S * reply.sample_rate_hz, reply.tick_granularity)
        is_alike = self._n_alike > 0 and abs(reply.tick - self._tick) <= near_ticks
        self._n_alike = self._n_alike + 1 if is_alike else 1
        if not is_alike or reply.tick != self._tick:
            # The board may hold back the others until this one is acknowledged.
            self._first_s = received_s
        self._tick = reply.tick
        if self._n_alike >= self._repeats:
            self.is_proven = self._repeats > 1
            self.answer.set_result((reply, self._first_s))
        else:
            self._loop.call_later(UNPROVEN_REPLY_S, self._settle, reply, received_s)
        return True

    def _settle(self, reply: VariableList, received_s: float) -> None:
        if not self.answer.done() and reply.tick == self._tick:
            self.answer.set_result((reply, received_s))


class UnaskedReplies:
    """Replies that nobody here waits for: one may have been the true answer to the last request.

    What was taken for the answer was to another client then, and on its way when the request left.

    Attributes
    ----------
    answered_s : float
        LSL time at which the first one came since that request; infinite before.
    """

    def __init__(self) -> None:
        self._heard_s = -math.inf
        self.begin(-math.inf)

    def begin(self, sent_s: float) -> None:
        """Begin again with a request, given the LSL time just before it is sent."""
        self.answered_s, self._sent_s = math.inf, sent_s

    def come_lately(self, at_s: float) -> bool:
        """Tell whether there were any in the last seconds, whichever request they followed."""
        return at_s < self._heard_s + OTHERS_ASK_S

    def take(self, received_s: float) -> None:
        """Note a reply; what had arrived before the request was made is no answer to it."""
        self._heard_s = received_s
        if received_s >= self._sent_s:
            self.answered_s = min(self.answered_s, received_s)
