"""Delays of the network between the simulated board and its clients. Pure."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class LinkDelay:
    """Distribution of the delay in one direction: constant, exponential jitter, rare spikes.

    Raises
    ------
    RequestError
        When a time is not 0 to 3600 s.
    """

    delay_s: DelayTime = 0.0
    jitter_s: JitterMean = 0.0
    spike_share: SpikeShare = 0.0
    spike_s: SpikeTime = 0.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_parameters(self, "a network's delay")

    @property
    def is_zero(self) -> bool:
        """Whether no message is delayed."""
        return self.delay_s == self.jitter_s == self.spike_share * self.spike_s == 0.0

    def draw_s(self, random: np.random.Generator) -> float:
        """Draw the delay of one message."""
        delay_s = self.delay_s
        if self.jitter_s:
            delay_s += random.exponential(self.jitter_s)
        if self.spike_share and random.random() < self.spike_share:
            delay_s += self.spike_s
        return delay_s


@dataclass(frozen=True, slots=True)
class Network:
    """Delays of both directions, which need not be equal."""

    to_board: LinkDelay = LinkDelay()
    to_client: LinkDelay = LinkDelay()


NO_DELAY: Final = Network()
