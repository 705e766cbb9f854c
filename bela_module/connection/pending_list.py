"""One request for the list, and which of the replies that come to all clients answers it."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from typing import Final

from bela_module.connection.client_records import ListReply
from bela_module.connection.time_limits import LATE_PONG_S, OTHERS_ASK_S
from bela_module.protocol.control_channel import VariableList

PING_PREFIX: Final = b"dp-bela list "
"""What the pings begin with that follow requests."""

_ARRIVALS: Final = 256  # of replies to others, as many as come between two of our requests

_EARLY_PONGS: Final = 3
"""Pongs before any reply, after which none proves anything; one may be an accident."""

_UNANSWERED_PINGS: Final = 4
"""Pings in a row without a pong, after which none is expected; a few may be on their way."""

_NUMBERS: Final = itertools.count(1)


class PendingList:
    """Waits for the reply to a request, and with a ping for the proof that it is ours.

    Replies carry no number, and those to other clients come here, too. But a pong comes only to
    the client that sent the ping, and the board handles what it receives in order. So the last
    reply before the pong of a ping that followed the request is ours, or was made after ours. Its
    tick was read after the request had left, whichever of both it is.

    What had arrived before the request was made is no answer to it. To be used in an event loop.

    Parameters
    ----------
    sent_s : float
        LSL time just before it is sent.

    Attributes
    ----------
    sent_s : float
        The same; may become later, as more is known.
    answer : Future
        The reply, proven if the pong has come after it.
    unreadable : Future
        What is wrong with a message that may have been the reply, since :meth:`begin`.
    """

    def __init__(self, sent_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[ListReply] = self._loop.create_future()
        self.unreadable: asyncio.Future[str] = self._loop.create_future()
        self.sent_s = sent_s
        self._ping: bytes | None = None
        self._newest: tuple[VariableList, float] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, *, proven: bool) -> bytes | None:
        """Begin with the request, or again; return what a ping says that is to follow it.

        Without being `proven`, there is none.
        """
        self.unreadable = self._loop.create_future()
        self._newest = None
        self._cancel_timer()
        self._ping = PING_PREFIX + b"%d" % next(_NUMBERS) if proven else None
        return self._ping

    def take(self, reply: VariableList, received_s: float) -> bool:
        """Take in a reply, unless it cannot be the answer; return whether it was the first one."""
        if self.answer.done() or received_s < self.sent_s:
            return False
        is_first = self._newest is None
        self._newest = reply, received_s
        if self._ping is None:
            self.settle()
        elif is_first:
            self._timer = self._loop.call_later(LATE_PONG_S, self.settle)
        return is_first

    def take_pong(self, ping: bytes) -> bool | None:
        """Take in that the ping of this or of an earlier request was answered.

        Returns
        -------
        bool or None
            Whether a reply had come before, as it must; ``None`` when nothing was to be learnt.
        """
        if ping != self._ping or self.unreadable.done():
            return None
        self._ping = None  # without any reply before, it proves nothing
        self.settle(is_proven=True)
        return self._newest is not None

    def take_unreadable(self, reason: str) -> None:
        """Take in that a message came which may have been the reply, and cannot be read."""
        if not self.unreadable.done():
            self.unreadable.set_result(reason)

    def settle(self, *, is_proven: bool = False) -> None:
        """Take the newest reply, if there is any, as the answer."""
        if self._newest is not None and not self.answer.done():
            reply, received_s = self._newest
            self._cancel_timer()
            self.answer.set_result(ListReply(reply, self.sent_s, received_s, is_proven))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()  # it would keep the reply


class PongOrder:
    """Whether pongs prove anything.

    Not where a server sends them before its earlier replies, and not where it sends none: each
    request would wait for the pong in vain.
    """

    def __init__(self) -> None:
        self._n_early = 0
        self._n_unanswered = 0  # pings since the latest pong

    @property
    def is_kept(self) -> bool:
        """Whether the board answers in order, as far as has been seen."""
        return self._n_early < _EARLY_PONGS and self._n_unanswered < _UNANSWERED_PINGS

    def expect_pong(self) -> bool:
        """Note that a ping is about to be sent, if its pong can prove anything; return that."""
        if not self.is_kept:
            return False
        self._n_unanswered += 1
        return True

    def note(self, came_after_reply: bool | None, *, others_ask: bool) -> None:
        """Note whether a pong came after a reply; ``None`` says nothing but that it came.

        While others ask, the reply may be one to them, and tells nothing of the order.
        """
        self._n_unanswered = 0
        if came_after_reply is False:
            self._n_early += 1
        elif came_after_reply and not others_ask:
            self._n_early = 0


class OtherClients:
    """Whether other clients ask the board for its list, and what the replies to them prove."""

    def __init__(self) -> None:
        self._heard_s = -math.inf
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_ARRIVALS)

    def note_connection(self, at_s: float) -> None:
        """Note that one connected."""
        self._heard_s = at_s

    def note_reply(self, reply: VariableList, at_s: float) -> None:
        """Note that a reply came which was not ours, or one more than was asked for."""
        self._heard_s = at_s
        self._arrivals.append((reply.tick - reply.tick_granularity // 2, at_s))

    def take_arrivals(self) -> list[tuple[int, float]]:
        """Return the ticks of replies since the last call, and when they came: they were over."""
        arrivals = list(self._arrivals)
        self._arrivals.clear()
        return arrivals

    def ask_lately(self, at_s: float) -> bool:
        """Tell whether there was any in the last seconds."""
        return at_s < self._heard_s + OTHERS_ASK_S
