"""Delays of the network between the simulated board and its clients. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final

import numpy as np

from bela_module.simulator.parameters import NumberRange, check_parameters

_MAX_DELAY_S: Final = 3600.0

DelayTime = Annotated[float, NumberRange(0, _MAX_DELAY_S, "s"), "delay of every message"]
JitterMean = Annotated[
    float, NumberRange(0, _MAX_DELAY_S, "s"), "mean of the exponential delay on top"
]
SpikeShare = Annotated[
    float, NumberRange(0, 1), "share of the messages that are delayed by a spike"
]
SpikeTime = Annotated[float, NumberRange(0, _MAX_DELAY_S, "s"), "length of a spike"]
HoldTime = Annotated[
    float,
    NumberRange(0, _MAX_DELAY_S, "s"),
    "longest time for which nothing arrives, then all at once; shorter ones are as likely",
]
HoldPeriod = Annotated[
    float, NumberRange(0.001, _MAX_DELAY_S, "s"), "mean time from the end of one to the next"
]


@dataclass(frozen=True, slots=True)
class LinkDelay:
    """Distribution of the delay in one direction: constant, exponential jitter, spikes, holds.

    A spike delays a message and those behind it; a hold comes with time, not with messages.

    Raises
    ------
    RequestError
        When a time is not 0 to 3600 s.
    """

    delay_s: DelayTime = 0.0
    jitter_s: JitterMean = 0.0
    spike_share: SpikeShare = 0.0
    spike_s: SpikeTime = 0.0
    hold_s: HoldTime = 0.0
    hold_every_s: HoldPeriod = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_parameters(self, "a network's delay")

    @property
    def is_zero(self) -> bool:
        """Whether no message is delayed."""
        return self.delay_s == self.jitter_s == self.spike_share * self.spike_s == self.hold_s == 0

    def draw_s(self, random: np.random.Generator) -> float:
        """Draw the delay of one message, without holds."""
        delay_s = self.delay_s
        if self.jitter_s:
            delay_s += random.exponential(self.jitter_s)
        if self.spike_share and random.random() < self.spike_share:
            delay_s += self.spike_s
        return delay_s


class HoldTimes:
    """Times at which one direction of a network holds everything back, for all connections."""

    def __init__(self, delay: LinkDelay, random: np.random.Generator, now_s: float) -> None:
        self._delay = delay
        self._random = random
        self._start_s = self._end_s = now_s

    def release_s(self, at_s: float) -> float:
        """Return when a message arrives that would arrive at a time, if nothing were held back.

        Times must not go back by more than a hold.
        """
        if not self._delay.hold_s:
            return at_s
        while self._end_s <= at_s:
            self._start_s = self._end_s + self._random.exponential(self._delay.hold_every_s)
            self._end_s = self._start_s + self._random.uniform(0, self._delay.hold_s)
        return self._end_s if self._start_s <= at_s else at_s


@dataclass(frozen=True, slots=True)
class Network:
    """Delays of both directions, which need not be equal."""

    to_board: LinkDelay = LinkDelay()
    to_client: LinkDelay = LinkDelay()

    @property
    def is_immediate(self) -> bool:
        """Whether no message is delayed in either direction."""
        return self.to_board.is_zero and self.to_client.is_zero

    @classmethod
    def symmetric(cls, delay: LinkDelay) -> Network:
        """Return a network with the same delays in both directions."""
        return cls(delay, delay)


NO_DELAY: Final = Network()

NETWORKS: Final[Mapping[str, Network]] = MappingProxyType(
    {
        "usb": Network.symmetric(LinkDelay(0.00015, jitter_s=0.00005)),
        "wifi": Network.symmetric(
            LinkDelay(
                0.001,
                jitter_s=0.001,
                spike_share=0.002,
                spike_s=0.02,
                hold_s=0.06,
                hold_every_s=2.0,
            )
        ),
        "loaded": Network.symmetric(
            LinkDelay(0.001, jitter_s=0.003, hold_s=0.24, hold_every_s=1.0)
        ),
    }
)
"""Networks by name, with round trips of a ``list`` every 50 ms.

``usb``: 0.4 ms, at most 1 ms. ``wifi``: 5 ms in the mean, with spikes of 20 ms and holds of up to
60 ms. ``loaded``, a board with little processor time left: 25 ms in the mean, 500 ms at most.
"""
