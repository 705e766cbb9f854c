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
from bela_module.session.board.board_state import BoardNews, BoardState
from bela_module.session.board.tick_progress import TickProgress
from bela_module.session.notices import Notices
from bela_module.session.time_limits import CLOCK_READY_S, DELAYED_ACKNOWLEDGEMENT_S
from bela_module.streams.sink import Sink

logger = logging.getLogger(__name__)

_HELD_S: Final = 0.0 if ACKNOWLEDGES_QUICKLY else DELAYED_ACKNOWLEDGEMENT_S


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
    _replied_s: float = -math.inf
    """When the latest reply came."""
    progress: TickProgress = field(default_factory=TickProgress)
    """Whether the ticks follow time."""

    async def probe(self, client: BoardClient) -> None:
        """Ask for the list once: the state of the variables and a bound for the clock.

        Raises
        ------
        BoardError
            When no reply comes.
        """
        board = self.board
        others_ask, clock = self._doubt_replies(client), board.clock
        proven = others_ask or (clock is not None and clock.should_prove(_HELD_S))
        replies = [await client.list(proven=proven)]
        if board.suggests_restart(replies[0], client.project):
            # A board that really restarted says so again; a reply that was cut short does not.
            replies.append(await client.list(proven=proven))
            if not board.suggests_restart(replies[1], client.project):
                del replies[0]
                board.counters.bad_replies += 1
        for over_tick, arrived_s in client.others.take_arrivals():
            if clock is not None:
                clock.add_arrival(over_tick, arrived_s)
        before = board.project
        news = [board.take_reply(reply, client.project) for reply in replies]
        last = replies[-1]
        listed = last.variable_list
        self.progress.add(last.received_s, listed.tick, listed.sample_rate_hz, ready=board.ready)
        self.restart_pending = self.restart_pending or BoardNews.RESTARTED in news
        if before and before != client.project:
            self.notices.tell(f"the board runs {client.project!r} now; it was {before!r}")
        self._replied_s = last.received_s
        if not self._doubt_replies(client) and last.is_proven and board.clock is not None:
            board.clock.confirm_unproven()
        self.sink.identify(board.origin())
        if (warning := board.rate_mismatch_warning()) is not None:
            logger.warning("%s", warning)

    async def _probe_soon(self, client: BoardClient) -> None:
        """Probe after a pause since the latest reply, in which its proof may have come."""
        await asyncio.sleep(self._replied_s + self.board.next_probe_in_s - self.now())
        await self.probe(client)

    def _doubt_replies(self, client: BoardClient) -> bool:
        """Doubt replies that are not proven, if others ask as well; return whether they do."""
        others_ask = client.others.ask_lately(self.now())
        if others_ask and self.board.clock is not None:
            self.board.clock.doubt_unproven(_HELD_S, can_prove=client.pong_order.is_kept)
        return others_ask

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
            await self._probe_soon(client)

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
            await self._probe_soon(client)

    def take_restart(self) -> bool:
        """Tell whether the board has restarted since the last call."""
        restarted, self.restart_pending = self.restart_pending, False
        return restarted
