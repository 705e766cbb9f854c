"""Whether the board's ticks follow time at all. Pure, no I/O.

A sketch may tick for each buffer that it receives, say. What it assigns then has a tick, but
nobody can tell the time of a tick.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

_WINDOW_S: Final = 2.0
_SHORTEST_S: Final = 0.25
_LEAST_SHARE: Final = 0.01
"""Of the declared rate: ticks that come less often may be driven by something else than time."""


@dataclass(slots=True)
class TickProgress:
    """Compares the ticks of the latest replies to ``list`` with the rate that is declared.

    Attributes
    ----------
    stands_still : bool
        Whether no clock was found while the ticks hardly went on, and they have not begun since.
    """

    stands_still: bool = False
    _replies: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, received_s: float, tick: int, declared_rate_hz: float, *, ready: bool) -> None:
        """Take in a reply.

        Parameters
        ----------
        received_s : float
            When it came, in LSL seconds.
        tick : int
            The tick that it tells.
        declared_rate_hz : float
            The rate that it declares.
        ready : bool
            Whether the clock is known.
        """
        if self._replies and tick < self._replies[-1][1]:
            self._replies.clear()
        self._replies.append((received_s, tick))
        while received_s - self._replies[0][0] > _WINDOW_S and len(self._replies) > 2:
            self._replies.popleft()
        first_s, first_tick = self._replies[0]
        if received_s - first_s < _SHORTEST_S:
            return
        least = _LEAST_SHARE * declared_rate_hz * (received_s - first_s)
        is_slow = tick - first_tick < least
        self.stands_still = is_slow and (self.stands_still or not ready)

    def answered_between(self, first_s: float, last_s: float) -> bool:
        """Tell whether one of the latest replies came between two times, LSL seconds."""
        return any(first_s < received_s < last_s for received_s, _ in self._replies)
