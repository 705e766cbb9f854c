"""Signals and events of a module as they come: what all pages draw from. Pure."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Self

import numpy as np

from bela_module.protocol.variables import Array
from bela_module.reports.event_markers import BEGINNINGS, ENDS
from bela_module.streams.sink import Stamps
from bela_module.viewing.signals.gap_log import GapLog, SignalGap
from bela_module.viewing.signals.lanes import Channel
from bela_module.viewing.signals.sample_history import SampleHistory

_EVENT_WITHIN_S: Final = 0.05
"""From the event of a loss to the loss: their stamps come of different states of the clock."""

_SAME_CLOCK_S: Final = 1.0
"""Stamps that go back by more are of another clock; by less, LSL has corrected its offset."""


class LiveEvent(NamedTuple):
    """A marker of the module."""

    stamp_s: float
    """LSL time at which it happened."""
    text: str


class LiveSignal:
    """The newest samples and gaps of one stream.

    Parameters
    ----------
    channels : tuple of Channel
        Its channels.
    nominal_rate_hz : float
        Samples per second; 0 for an irregular stream.
    kept_s : float
        How long samples are kept.
    correction_s : float
        How far stamps can be corrected at once: those of another computer are, where LSL has
        measured the offset of its clock again.
    """

    def __init__(
        self,
        channels: tuple[Channel, ...],
        nominal_rate_hz: float,
        kept_s: float,
        correction_s: float = 0.0,
    ) -> None:
        self.channels = channels
        self.nominal_rate_hz = nominal_rate_hz
        self.history = SampleHistory(len(channels), kept_s)
        self.gap_log = GapLog(len(channels), nominal_rate_hz, kept_s, correction_s)

    def add(self, stamps_s: Stamps, values: Array) -> None:
        """Take samples.

        Parameters
        ----------
        stamps_s : ndarray of float64 of shape (n_samples,)
            LSL time of each.
        values : ndarray of shape (n_samples, n_channels)
            The samples; NaN where a value was lost.
        """
        stamps_s = self._in_order(stamps_s)
        self.gap_log.add(stamps_s, values)
        self.history.add(stamps_s, values)

    def frozen(self) -> Self:
        """Copy it as it is now, without a copy of the samples."""
        one = copy.copy(self)
        one.history = self.history.frozen()
        one.gap_log = self.gap_log.frozen()
        return one

    def _in_order(self, stamps_s: Stamps) -> Stamps:
        """Hold stamps where a correction of the clock's offset sets them back."""
        last_s = self.history.last_stamp_s
        if not stamps_s.size or (last_s is not None and stamps_s[0] < last_s - _SAME_CLOCK_S):
            return stamps_s
        in_order_s: Stamps = np.maximum.accumulate(stamps_s)
        return in_order_s if last_s is None else np.maximum(in_order_s, last_s)

    def losses(self, events: Sequence[LiveEvent]) -> list[SignalGap]:
        """Give the gaps in which something is missing: not the time between STOP and START.

        The samples of an irregular stream do not show what is missing: there the events tell.
        """
        if self.nominal_rate_hz == 0:
            return [*self.gap_log.gaps, *self._told(events)]
        pauses_s = [e.stamp_s for e in events if e.text.split(" ", 1)[0] in (*BEGINNINGS, *ENDS)]
        return [
            gap
            for gap in self.gap_log.gaps
            if not any(gap.begins_s <= stamp_s <= gap.ends_s for stamp_s in pauses_s)
        ]

    def _told(self, events: Iterable[LiveEvent]) -> Iterator[SignalGap]:
        """Find the gaps that events tell of; they have the time of the first value that is lost."""
        labels = {channel.label for channel in self.channels}
        for event in events:
            kind, _, rest = event.text.partition(" ")
            if kind == "gap" and rest.rpartition(" ")[0] in labels:
                around = self.history.longest_step(event.stamp_s, _EVENT_WITHIN_S)
                if around is not None:
                    yield SignalGap(*around)


class EventLog:
    """The newest events.

    Parameters
    ----------
    kept_s : float
        How long they are kept.
    """

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._events: deque[LiveEvent] = deque()

    @property
    def events(self) -> tuple[LiveEvent, ...]:
        """The events that are kept."""
        return tuple(self._events)

    def add(self, stamp_s: float, text: str) -> None:
        """Take an event."""
        self._events.append(LiveEvent(stamp_s, text))
        while self._events[0].stamp_s < stamp_s - self._kept_s:
            self._events.popleft()
