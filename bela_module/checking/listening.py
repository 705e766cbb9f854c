"""Listens to what others watch, and measures round trips: nothing on the board is changed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import isnan
from typing import Final

from bela_module.checking.facts import HeardVariable, RoundTrips
from bela_module.config import BoardSettings
from bela_module.connection.board_client import BoardClient
from bela_module.connection.client_records import ListReply
from bela_module.errors import BelaError, NoReplyError
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder, Refusal, RefusalReason
from bela_module.protocol.variables import Variable
from bela_module.tracking.runs import Tracker
from bela_module.tracking.trackers import tracker_for

_ASK_PERIOD_S: Final = 0.1
_BEAT_S: Final = 0.02


class Standstills:
    """Measures for how long this process had no processor, which may be why a reply seems late.

    To be used in an event loop.
    """

    def __init__(self) -> None:
        self._task = asyncio.ensure_future(self._beat())
        self._beaten_s = time.monotonic()
        self._longest_s = 0.0

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            self._note()

    def _note(self) -> None:
        now_s = time.monotonic()
        self._longest_s = max(self._longest_s, now_s - self._beaten_s - _BEAT_S)
        self._beaten_s = now_s

    def begin(self) -> None:
        """Begin to measure."""
        self._note()
        self._longest_s = 0.0

    def longest_s(self) -> float:
        """Return the longest standstill since then."""
        self._note()
        return max(0.0, self._longest_s)

    def close(self) -> None:
        """End it."""
        self._task.cancel()


class BoardListener:
    """A further client of the board, which only listens and asks for the list now and then.

    Parameters
    ----------
    board : BoardSettings
        Where it is.
    watched : sequence of Variable
        Variables that others watch; of each what comes is followed.
    is_cancelled : callable
        Tells whether to end early.
    """

    def __init__(
        self,
        board: BoardSettings,
        watched: Sequence[Variable],
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._board = board
        self._is_cancelled = is_cancelled
        self._decoder = DataDecoder()
        self._trackers: dict[str, Tracker] = {}
        self._watched: set[str] = set()
        self._ended: set[str] = set()
        self._n_blocks: Counter[str] = Counter()
        self._values: dict[str, float] = {}
        self._taken_s: list[float] = []
        self._stood_still_s: list[float] = []
        self._ticks: list[int] = []
        self._n_unanswered = 0
        self.changed: set[str] = set()
        """Variables whose value changed in the list."""
        self.follow(watched)

    def follow(self, variables: Sequence[Variable]) -> None:
        """Follow what comes of further variables; to be called before it listens."""
        self._trackers |= {variable.name: tracker_for(variable) for variable in variables}

    async def run(self, seconds: float) -> None:
        """Listen for a while.

        Raises
        ------
        BoardError
            When the board cannot be connected to.
        """
        client = await BoardClient.connect(
            self._board.host,
            self._board.port,
            now=time.monotonic,
            reply_timeout_s=self._board.reply_timeout_s,
            on_data=self._take,
        )
        standstills = Standstills()
        try:
            self._note(await self._ask(client, standstills))
            for tracker in self._trackers.values():
                tracker.begin()
            if self._trackers:
                await client.open_data()
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s and not (client.lost.done() or self._is_cancelled()):
                await asyncio.sleep(_ASK_PERIOD_S)
                with contextlib.suppress(NoReplyError):
                    self._note(await self._ask(client, standstills))
        finally:
            standstills.close()
            await client.close()

    async def _ask(self, client: BoardClient, standstills: Standstills) -> Sequence[Variable]:
        standstills.begin()
        try:
            reply: ListReply = await client.list()
        except NoReplyError:
            self._n_unanswered += 1
            raise
        self._taken_s.append(reply.received_s - reply.sent_s)
        self._stood_still_s.append(standstills.longest_s())
        self._ticks.append(reply.variable_list.tick)
        return reply.variable_list.variables

    def _note(self, variables: Sequence[Variable]) -> None:
        self._decoder.describe(variables)
        watched = {variable.name for variable in variables if variable.watched}
        self._ended |= self._watched - watched  # what is begun again is followed no more
        self._watched |= watched
        for variable in variables:
            value = variable.value_input
            before = self._values.setdefault(variable.name, value)
            if before != value and not (isnan(before) and isnan(value)):
                self.changed.add(variable.name)

    def _take(self, message: bytes | str, _arrived_s: float) -> None:
        result = self._decoder.receive(message)
        if isinstance(result, Block) and not result.monitor:
            tracker = self._tracker(result.variable.name)
            if tracker is not None and tracker.variable.identity == result.variable.identity:
                tracker.add(result)
                self._n_blocks[result.variable.name] += 1
        elif isinstance(result, Refusal) and result.reason is RefusalReason.ORPHAN_HEADER:
            index = int(result.detail.split("/", 1)[0])
            if index < len(self._decoder.variables):
                tracker = self._tracker(self._decoder.variables[index].name)
                if tracker is not None:
                    tracker.missed_block()

    def _tracker(self, name: str) -> Tracker | None:
        return None if name in self._ended else self._trackers.get(name)

    @property
    def heard(self) -> tuple[HeardVariable, ...]:
        """What was heard of each variable."""
        return tuple(
            HeardVariable(
                name,
                tracker.delivered,
                tracker.lost,
                self._n_blocks[name],
                tracker.variable.sparse,
                is_assigned=self._n_blocks[name] > 0 or name in self.changed,
            )
            for name, tracker in self._trackers.items()
        )

    @property
    def round_trips(self) -> RoundTrips:
        """The replies to the requests that were made."""
        return RoundTrips(
            tuple(self._taken_s),
            tuple(self._stood_still_s),
            self._n_unanswered,
            tuple(self._ticks),
        )


async def listen(listener: BoardListener, seconds: float) -> str:
    """Listen for a while; return why it ended early, or an empty string."""
    try:
        await listener.run(seconds)
    except BelaError as error:
        return str(error)
    return ""
