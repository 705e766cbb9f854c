"""The deliveries that run, what is prepared, the last STATUS of streams, ``shortfalls``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bela_module.protocol.data_channel import Block
from bela_module.recording.recording_sink import RecordingSink
from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.preparation import Preparation
from bela_module.streams.live_stream import LiveStream


@dataclass(slots=True)
class RunningDeliveries:
    """At most one START or SCHEDULE, and at most one MONITOR beside it.

    Attributes
    ----------
    main : Delivery or None
        The START or SCHEDULE that runs.
    monitoring : Delivery or None
        The MONITOR that runs.
    prepared : Preparation or None
        What PREPARE has opened, for the next START or SCHEDULE.
    recording : RecordingSink or None
        What writes the files of a START, made when it is first asked for.
    streamed : set of str
        Names of the streams that a START or SCHEDULE has ever opened.
    shortfalls : tuple of str
        What the latest run lacked when it ended, besides what is counted as lost.
    """

    main: Delivery | None = None
    monitoring: Delivery | None = None
    prepared: Preparation | None = None
    recording: RecordingSink | None = None
    streamed: set[str] = field(default_factory=set)
    shortfalls: tuple[str, ...] = ()
    _last_streams: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Delivery]:
        """Iterate over what runs at this moment, whatever changes meanwhile."""
        return iter([d for d in (self.main, self.monitoring) if d is not None])

    def __bool__(self) -> bool:
        """Tell whether anything runs."""
        return self.main is not None or self.monitoring is not None

    def __contains__(self, delivery: object) -> bool:
        """Tell whether a delivery runs still."""
        return delivery is self.main or delivery is self.monitoring

    @property
    def needs_data(self) -> bool:
        """Whether the board's blocks are wanted, or soon may be."""
        return bool(self) or self.prepared is not None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now with what runs or is prepared, in words."""
        prepared = self.prepared.problems if self.prepared and self.main is None else ()
        recording = self.recording.problems if self.main and self.recording is not None else ()
        running = (text for delivery in self for text in delivery.all_problems)
        return (*prepared, *running, *recording)

    @property
    def has_streamed(self) -> bool:
        """Whether anything streams or has streamed."""
        return bool(self._last_streams)

    def prepare(self, preparation: Preparation) -> None:
        """Take what a later START is to stream; figures of what streamed before are forgotten."""
        self.prepared = preparation
        self._last_streams.clear()

    def take(self, block: Block, arrived_s: float) -> bool:
        """Give a block to whatever wants it; tell whether anything did."""
        # A single value can be wanted by a START and by a MONITOR.
        is_taken = self.main is not None and self.main.take(block, arrived_s)
        if self.monitoring is not None and self.monitoring.take(block, arrived_s):
            is_taken = True
        return is_taken

    def missed_block(self, variable_index: int) -> None:
        """Tell all that the header of a block came without its payload."""
        for delivery in self:
            delivery.missed_block(variable_index)

    def adopt(self, delivery: Delivery) -> None:
        """Take a delivery as the one that runs."""
        if not self:
            self._last_streams.clear()
        if not self or delivery.kind is not DeliveryKind.MONITOR:
            self.shortfalls = ()
        if delivery.kind is DeliveryKind.MONITOR:
            self.monitoring = delivery
        else:
            self.main = delivery

    def drop(self, delivery: Delivery) -> None:
        """Forget a delivery that has ended; its last figures are kept."""
        self.stream_status()
        if delivery is self.main:
            if self.recording is not None:
                self.recording.stop()
            self.main = None
        if delivery is self.monitoring:
            self.monitoring = None

    def note_ended(self, streams: Iterable[LiveStream]) -> None:
        """Keep the last figures of streams that have ended before the others."""
        self._last_streams |= {stream.plan.name: stream.status() for stream in streams}

    def note_shortfall(self, text: str) -> None:
        """Keep what is not delivered and cannot be counted, once."""
        if text not in self.shortfalls:
            self.shortfalls += (text,)

    def stream_status(self) -> list[dict[str, Any]]:
        """Describe the streams that run, are prepared, or ran last, as STATUS shows them."""
        for delivery in self:
            for stream in delivery.streams:
                self._last_streams[stream.plan.name] = stream.status()
        shown = self._last_streams
        if self.prepared is not None and self.main is None:
            shown = {stream["name"]: stream for stream in self.prepared.status()} | shown
        return list(shown.values())
