"""Probes of the clock: sends ``list``, takes the reply, warns of a wrong declared rate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bela_module.connection.board_client import BoardClient
from bela_module.session.board.board_state import BoardNews, BoardState
from bela_module.session.notices import Notices
from bela_module.session.time_limits import CLOCK_READY_S
from bela_module.streams.sink import Sink

logger = logging.getLogger(__name__)


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
    publish_status : callable
        Called after each probe.
    """

    board: BoardState
    sink: Sink
    notices: Notices
    now: Callable[[], float]
    is_urgent: Callable[[], bool]
    publish_status: Callable[[], None]
    restart_pending: bool = False
    """Whether a reply has shown a restart of the board that was not handled yet."""

    async def probe(self, client: BoardClient) -> None:
        """Ask for the list once: the state of the variables and a bound for the clock.

        Raises
        ------
        BoardError
            When no reply comes.
        """
        board = self.board
        foreign = client.counters.foreign_replies
        replies = [await client.list()]
        if board.suggests_restart(replies[0], client.project):
            # A board that really restarted says so again; a reply that was cut short does not.
            replies.append(await client.list())
            if not board.suggests_restart(replies[1], client.project):
                del replies[0]
                board.counters.bad_replies += 1
        before = board.project
        news = [board.take_reply(reply, client.project) for reply in replies]
        self.restart_pending = self.restart_pending or BoardNews.RESTARTED in news
        if before and before != client.project:
            self.notices.tell(f"the board runs {client.project!r} now; it was {before!r}")
        if client.counters.foreign_replies != foreign and board.clock is not None:
            board.clock.withdraw_last_lower_bound()
        self.sink.identify(board.origin())
        if (warning := board.rate_mismatch_warning()) is not None:
            logger.warning("%s", warning)
        self.publish_status()

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

    def take_restart(self) -> bool:
        """Tell whether the board has restarted since the last call."""
        restarted, self.restart_pending = self.restart_pending, False
        return restarted
