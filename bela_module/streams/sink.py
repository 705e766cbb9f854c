"""The ``Sink`` interface: receives the stamped samples of streams (LSL, files, Python). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.data_channel import Array, Ticks, Variable
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.trackers import Gap

Stamps = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where streams come from.

    Parameters
    ----------
    board, project : str
        With a stream's name they identify it for ever.
    tick_rate_hz, declared_rate_hz : float
        Measured rate of the board's ticks, and the rate that the sketch declares.
    uncertainty_s : float
        How far the stamps can be from the truth.
    input_delay_s : float
        Known delay of the converters, already subtracted from the stamps.
    """

    board: str
    project: str
    tick_rate_hz: float
    declared_rate_hz: float
    uncertainty_s: float
    input_delay_s: float


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What is known of a stream only once the board is connected.

    Parameters
    ----------
    origin : Origin
        Where it comes from.
    nominal_rate_hz : float
        Values per second of a dense stream; 0 for irregular ones.
    """

    origin: Origin
    nominal_rate_hz: float


class Sink(Protocol):
    """Where samples go: LSL outlets, or the buffers of the Python interface.

    All methods are called from the session's thread and must return at once.
    """

    def identify(self, origin: Origin) -> None:
        """Learn which board it is, again and again while it is connected."""

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Make a stream ready; the same stream again keeps what is there."""

    def has_listeners(self, plan: StreamPlan) -> bool:
        """Tell whether anybody would receive what is pushed now."""

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Take samples: ``values`` of shape (n_samples, n_channels), one tick and stamp each."""

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Learn that values of a variable were lost."""

    def mark(self, text: str, lsl_s: float) -> None:
        """Learn of an event, and when it happened."""

    def close(self) -> None:
        """End all streams."""
