"""The ``Sink`` interface, and ``StreamFacts`` of which LSL metadata are made. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap

Stamps = NDArray[np.float64]

_SAME_RATE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Origin:
    """The board and project that streams come from, and their rates and uncertainty."""

    board: str
    """Name of the board; with the project and a stream's name it identifies the stream."""
    project: str
    tick_rate_hz: float
    """Measured rate of the board's ticks."""
    declared_rate_hz: float
    """Rate that the sketch declares."""
    uncertainty_s: float
    """How far the stamps can be from the true times."""
    input_delay_s: float
    """Known delay of the converters, already subtracted from the stamps."""
    instance: str = ""
    """Tells the session that publishes from another one whose board has the same name."""
    address: str = ""
    """``ws://host:port`` at which this computer reaches the board."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What is known of a stream only once the board is connected."""

    origin: Origin
    nominal_rate_hz: float
    """Values per second of a dense stream; 0 for irregular ones."""

    def keep_rate(self, announced_hz: float) -> StreamFacts:
        """Keep the rate with which the stream was opened, if that is still right.

        An irregular stream stays so, though its rate is known by now: another outlet would take
        recorders a second or more to find, and files would have two streams.
        """
        off_hz = abs(self.nominal_rate_hz - announced_hz)
        if announced_hz and off_hz > _SAME_RATE * self.nominal_rate_hz:
            return self
        return replace(self, nominal_rate_hz=announced_hz)


class Sink(Protocol):
    """Receives samples: LSL outlets, files, or the buffers of the Python interface.

    All methods are called from the session's thread and must return at once.
    """

    def identify(self, origin: Origin) -> None:
        """Learn which board it is; called repeatedly while it is connected."""

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Begin to make a stream ready; the same stream again keeps what is there."""

    def is_open(self, plan: StreamPlan) -> bool:
        """Tell whether others can find the stream; raise why it cannot be or is no more."""

    def keep(self, variables: Sequence[Variable]) -> None:
        """Learn which variables the board has; streams of others are of no more use."""

    def search_identities(self) -> None:
        """Look for others that publish the same streams; what is opened next waits for it."""

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Take samples: ``values`` of shape (n_samples, n_channels), one tick and stamp each."""

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Learn that values of a variable were lost."""

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None:
        """Take values of the gap just told, which became known after later ones were pushed.

        ``values`` of shape (n_values,), in the stream's format. They were counted as lost, since
        LSL takes no earlier stamp afterwards; a sink that can keep them need not count them so.
        """

    def mark(self, text: str, lsl_s: float) -> None:
        """Learn of an event, and when it happened."""

    def close(self) -> None:
        """End all streams."""


@runtime_checkable
class TakesUnstamped(Protocol):
    """A sink that may also take values whose times nobody can tell, as buffers of Python do."""

    def push_unstamped(self, variable: Variable, ticks: Ticks, values: Array) -> bool:
        """Take values of a variable, of its own type, with the ticks that the board gave them.

        Returns
        -------
        bool
            Whether they were taken; those that pass everything on may have nobody who does.
        """
