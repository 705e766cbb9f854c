"""Delays of the network between the simulated board and its clients. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from bela_module.simulator.parameters import Number, check_parameters

_LONGEST_S: Final = 3600.0

DelayTime = Annotated[float, Number(0, _LONGEST_S, "s"), "later by this"]
JitterMean = Annotated[float, Number(0, _LONGEST_S, "s"), "mean of the exponential time on top"]
SpikeShare = Annotated[float, Number(0, 1), "share of the messages that take a spike longer"]
SpikeTime = Annotated[float, Number(0, _LONGEST_S, "s"), "length of a spike"]


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

    delay_s: DelayTime = 0.0
    jitter_s: JitterMean = 0.0
    spike_share: SpikeShare = 0.0
    spike_s: SpikeTime = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_parameters(self, "a network's delay")

    @property
    def is_zero(self) -> bool:
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
