"""One direction of a simulated connection: messages arrive late, but in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from bela_module.simulator.network.delays import HoldTimes, LinkDelay


class Link:
    """One direction of one connection: delays messages and keeps their order, as TCP does.

    ``deliver`` is called in the event loop when a message arrives; ``delay`` and ``holds``, which
    links of one direction share, may be replaced at any time.
    """

    def __init__(
        self,
        deliver: Callable[[str | bytes], None],
        delay: LinkDelay,
        random: np.random.Generator,
        holds: HoldTimes | None = None,
    ) -> None:
        self.delay = delay
        self.holds = holds
        self._deliver = deliver
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, str | bytes]] = deque()
        self._stalled_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting_bytes = 0

    def send(self, message: str | bytes) -> None:
        """Send a message; without delay it is delivered at once."""
        now = self._loop.time()
        if not self._waiting and self.delay.is_zero and now >= self._stalled_until:
            self._deliver(message)
            return
        due = now + self.delay.draw_s(self._random)
        if self.holds is not None:
            due = self.holds.release_s(due)
        due = max(due, self._stalled_until)
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, message))
        self.waiting_bytes += len(message)
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._arrive)

    def stall(self, duration_s: float) -> None:
        """Hold back for some time what is sent from now on."""
        self._stalled_until = self._loop.time() + duration_s

    def close(self) -> None:
        """Drop the messages that have not arrived."""
        self._waiting.clear()
        self.waiting_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arrive(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, message = self._waiting.popleft()
            self.waiting_bytes -= len(message)
            self._deliver(message)
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._arrive)
