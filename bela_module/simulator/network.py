"""The way between the simulated board and a client: delay, jitter and spikes, order kept."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from bela_module.simulator.parameters import Number, check_parameters

_LONGEST_S: Final = 3600.0

Late = Annotated[float, Number(0, _LONGEST_S, "s"), "later by this"]
Jitter = Annotated[float, Number(0, _LONGEST_S, "s"), "mean of the exponential time on top"]
SpikeShare = Annotated[float, Number(0, 1), "share of the messages that take a spike longer"]
Spike = Annotated[float, Number(0, _LONGEST_S, "s"), "length of a spike"]


@dataclass(frozen=True, slots=True)
class Delay:
    """How late messages arrive in one direction.

    Parameters
    ----------
    delay_s : float
        What every message takes.
    jitter_s : float
        Mean of the exponentially distributed time that is added to it.
    spike_share : float
        Share of the messages, 0 to 1, that take ``spike_s`` more.
    spike_s : float
        Length of a spike.

    Raises
    ------
    RequestError
        When a time is not 0 to 3600 s.
    """

    delay_s: Late = 0.0
    jitter_s: Jitter = 0.0
    spike_share: SpikeShare = 0.0
    spike_s: Spike = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_parameters(self, "a network's delay")

    @property
    def none(self) -> bool:
        """Whether messages pass at once."""
        return self.delay_s == self.jitter_s == self.spike_share * self.spike_s == 0.0

    def draw_s(self, random: np.random.Generator) -> float:
        """Draw the time that one message takes."""
        delay_s = self.delay_s
        if self.jitter_s:
            delay_s += random.exponential(self.jitter_s)
        if self.spike_share and random.random() < self.spike_share:
            delay_s += self.spike_s
        return delay_s


@dataclass(frozen=True, slots=True)
class Network:
    """The two directions, which need not be equal.

    Parameters
    ----------
    to_board, to_client : Delay
        What happens to messages on their way.
    """

    to_board: Delay = Delay()
    to_client: Delay = Delay()


NO_DELAY: Final = Network()


class Link:
    """One direction of one connection; messages arrive late, but in their order, as in TCP.

    Parameters
    ----------
    deliver : callable
        Takes each message when it arrives, in the event loop.
    delay : Delay
        May be replaced at any time.
    random : numpy.random.Generator
        Where delays are drawn from.
    """

    def __init__(
        self,
        deliver: Callable[[str | bytes], None],
        delay: Delay,
        random: np.random.Generator,
    ) -> None:
        self.delay = delay
        self._deliver = deliver
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, str | bytes]] = deque()
        self._stalled_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting_bytes = 0

    def send(self, message: str | bytes) -> None:
        """Send a message on its way."""
        now = self._loop.time()
        if not self._waiting and self.delay.none and now >= self._stalled_until:
            self._deliver(message)
            return
        due = max(now + self.delay.draw_s(self._random), self._stalled_until)
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, message))
        self.waiting_bytes += len(message)
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._arrive)

    def stall(self, duration_s: float) -> None:
        """Let nothing that is sent from now on arrive before a time has passed."""
        self._stalled_until = self._loop.time() + duration_s

    def close(self) -> None:
        """Forget what is under way."""
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
