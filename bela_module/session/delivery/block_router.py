"""Which stream takes a block, and when the last block of each variable came."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable
from bela_module.session.board.tick_progress import TickProgress
from bela_module.session.delivery.watchdog import Cause, Watchdog
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.stream_plans import StreamMode, reachable

_SILENCE_S: Final = 0.2
"""Without a message, the board counts as silent; blocks may come as far apart after it."""

_ON_ITS_WAY_S: Final = 0.05
"""A reply so shortly after the last message, or before the next, tells nothing of the silence."""

Route = tuple[LiveStream, Variable]


@dataclass(slots=True)
class BlockRouter:
    """Finds the stream of a block by the number that the board gives its variable.

    Attributes
    ----------
    missing : dict of str to Cause
        Variables that the board does not offer any more as they were, and why.
    last_block_s : dict of str to float
        When the last message of each variable came on this connection, in LSL seconds.
    heard_s : float
        When the last one of any variable came.
    """

    missing: dict[str, Cause] = field(default_factory=dict)
    last_block_s: dict[str, float] = field(default_factory=dict)
    heard_s: float = -math.inf
    _silence_s: tuple[float, float] = (-math.inf, -math.inf)
    _judged_s: float = math.nan
    _silent_s: float = 0.0
    _routes: dict[tuple[int, bool], Route] = field(default_factory=dict)

    def find_variables(self, streams: Iterable[LiveStream], listed: Sequence[Variable]) -> None:
        """Find the variables of some streams by their names: their numbers may be new.

        Parameters
        ----------
        streams : iterable of LiveStream
            The streams.
        listed : sequence of Variable
            All variables of the board, in its order.
        """
        self._routes.clear()
        self.missing.clear()
        by_name = {variable.name: variable for variable in reachable(listed)}
        for stream in streams:
            monitored = stream.plan.mode is StreamMode.MONITOR
            for variable in stream.plan.variables:
                found = by_name.get(variable.name)
                if found is None:
                    self.missing[variable.name] = Cause.VANISHED
                elif found.identity != variable.identity:
                    self.missing[variable.name] = Cause.RETYPED
                else:
                    self._routes[found.index, monitored] = stream, variable
                    self._routes.setdefault((found.index, True), (stream, variable))

    def route_of(self, variable_index: int, *, monitor: bool) -> Route | None:
        """Return the stream and the variable of a number on the board, if there is one."""
        return self._routes.get((variable_index, monitor))

    def note_block(
        self, block: Block, arrived_s: float, replies: TickProgress, watchdog: Watchdog
    ) -> float:
        """Note when a block of a variable came; tell for how long the board was silent before.

        Returns
        -------
        float
            Seconds of the silence that ended just before; 0 if there was none.
        """
        self.last_block_s[block.variable.name] = arrived_s
        if arrived_s != self._judged_s:  # all blocks of one read came after one silence
            self.note_heard(arrived_s)
            self._judged_s = arrived_s
            self._silent_s = self._silent_before(arrived_s, replies, watchdog)
        return self._silent_s

    def _silent_before(self, arrived_s: float, replies: TickProgress, watchdog: Watchdog) -> float:
        """Tell for how long the board was silent before some blocks came.

        It was not while it has answered, but for one that has sent no data at all of variables that
        were assigned: several, since one may have become slow.
        """
        since_s, until_s = self._silence_s
        if since_s == -math.inf or arrived_s > until_s + _SILENCE_S:
            return 0.0
        if replies.answered_between(since_s + _ON_ITS_WAY_S, until_s - _ON_ITS_WAY_S):
            soon_s = since_s + _ON_ITS_WAY_S
            assigned = (n for n in self.last_block_s if watchdog.changed_after(n, soon_s))
            return until_s - since_s if len(list(islice(assigned, 2))) > 1 else 0.0
        return until_s - since_s

    def note_heard(self, arrived_s: float) -> None:
        """Note that the board has sent something of a variable."""
        if arrived_s > self.heard_s + _SILENCE_S:
            self._silence_s = self.heard_s, arrived_s
        self.heard_s = arrived_s

    def connection_lost(self) -> None:
        """Forget what holds for one connection only."""
        self.last_block_s.clear()
        self.heard_s = -math.inf
        self._silence_s = -math.inf, -math.inf
        self._routes.clear()  # until it is known which numbers our variables have now
