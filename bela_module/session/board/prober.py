"""Probes of the clock: sends ``list``, takes the reply, warns of a wrong declared rate."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.connection.board_socket import ACKNOWLEDGES_QUICKLY
from bela_module.connection.client_records import ListReply
from bela_module.session.board.board_state import BoardNews, BoardState
from bela_module.session.board.tick_progress import TickProgress
from bela_module.session.notices import Notices
from bela_module.session.time_limits import CLOCK_READY_S, DELAYED_ACKNOWLEDGEMENT_S
from bela_module.streams.sink import Sink

logger = logging.getLogger(__name__)

_ROUND_TRIPS_IN_DOUBT: Final = 4.0
"""Replies to others seem faster than round trips are, and may wait on the board for one more."""


@dataclass(slots=True)
class Prober:
    """Asks a board for its list and keeps what the replies say.

    Parameters
    ----------
    board : BoardState
        Learns what the replies say.
    sink : Sink
        Learns which board it is.
    notices : Notices
        Are told when the board runs another project.
    now : callable
        LSL seconds.
    is_urgent : callable
        Tells whether to stop measuring, since something has to end.
    """

    board: BoardState
    sink: Sink
    notices: Notices
    now: Callable[[], float]
    is_urgent: Callable[[], bool]
    restart_pending: bool = False
    """Whether a reply has shown a restart of the board that was not handled yet."""
    progress: TickProgress = field(default_factory=TickProgress)
    """Whether the ticks follow time."""
    _last_reply: ListReply | None = None
    """Reply to a single request, which a later one may show to be another client's."""

    async def probe(self, client: BoardClient) -> None:
        """Ask for the list once: the state of the variables and a bound for the clock.

        Raises
        ------
        BoardError
            When no reply comes.
        """
        board = self.board
        repeats = self._doubt_last_reply(client)
        replies = [await client.list(repeats)]
        if board.suggests_restart(replies[0], client.project):
            # A board that really restarted says so again; a reply that was cut short does not.
            replies.append(await client.list())
            if not board.suggests_restart(replies[1], client.project):
                del replies[0]
                board.counters.bad_replies += 1
        before = board.project
        news = [board.take_reply(reply, client.project) for reply in replies]
        last = replies[-1]
        listed = last.variable_list
        self.progress.add(last.received_s, listed.tick, listed.sample_rate_hz, ready=board.ready)
        self.restart_pending = self.restart_pending or BoardNews.RESTARTED in news
        if before and before != client.project:
            self.notices.tell(f"the board runs {client.project!r} now; it was {before!r}")
        self._last_reply = last if repeats == 1 else None
        self.sink.identify(board.origin())
        if (warning := board.rate_mismatch_warning()) is not None:
            logger.warning("%s", warning)

    def _doubt_last_reply(self, client: BoardClient) -> int:
        """Withdraw the last reply if it may have been to others; return how often to ask now."""
        clock, last = self.board.clock, self._last_reply
        if clock is None:
            return 1
        answered_s = client.unasked.answered_s
        if last is not None and last.sent_s < answered_s < math.inf:
            held_s = 0.0 if ACKNOWLEDGES_QUICKLY else DELAYED_ACKNOWLEDGEMENT_S
            if answered_s - last.sent_s <= _ROUND_TRIPS_IN_DOUBT * clock.rtt_s + held_s:
                clock.withdraw_last_lower_bound(held_s)
        return clock.repeats

    async def measure(self, client: BoardClient, limit_s: float = CLOCK_READY_S) -> None:
        """Probe quickly until the clock is known, so that already the first sample is right.

        Raises
        ------
        BoardError
            When the board does not answer.
        """
        deadline_s = self.now() + limit_s
        while not (self.board.ready or self.is_urgent()):
            if self.now() > deadline_s:
                return
            await asyncio.sleep(self.board.next_probe_in_s)
            await self.probe(client)

    async def settle(self, client: BoardClient, limit_s: float = CLOCK_READY_S) -> None:
        """Probe quickly as long as the ticks seem to be elsewhere than the clock has them.

        So it is when they stood still while the connection was lost.

        Raises
        ------
        BoardError
            When the board does not answer.
        """
        deadline_s = self.now() + limit_s
        while self.board.is_off and self.now() < deadline_s and not self.is_urgent():
            await asyncio.sleep(self.board.next_probe_in_s)
            await self.probe(client)

    def take_restart(self) -> bool:
        """Tell whether the board has restarted since the last call."""
        restarted, self.restart_pending = self.restart_pending, False
        return restarted
