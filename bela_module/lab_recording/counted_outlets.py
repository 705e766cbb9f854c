"""LSL outlets that count what was pushed into them: what a recording must hold."""

from __future__ import annotations

from typing import Final

import pylsl

from bela_module.lab_recording.recorder_process import xpath_text
from bela_module.protocol.variables import Array, Ticks
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.sink import Stamps
from bela_module.streams.stream_plans import StreamPlan

_ALL_THAT_ANSWER: Final = 1 << 30


class CountedOutlets(LslOutlets):
    """LSL outlets with a count of samples and of markers; the counts are read in any thread.

    Attributes
    ----------
    n_samples : dict of str to int
        Samples that were taken, by the stream's name.
    n_markers : int
        Markers that were taken.
    """

    def __init__(self, events_stream: str, max_buffered_s: float) -> None:
        super().__init__(events_stream, max_buffered_s)
        self.n_samples: dict[str, int] = {}
        self.n_markers = 0

    @property
    def uids(self) -> set[str]:
        """What LSL has named the outlets that are open; no others have these names."""
        return self._own_uids()

    @property
    def events_uid(self) -> str | None:
        """What LSL has named the outlet of the markers; ``None`` before it is open."""
        return self._events.uid if self._events is not None else None

    def streams_of_others(self, identity: str, timeout_s: float) -> list[str]:
        """Name the streams of an identity that other processes have on the network, but for events.

        A module that does not stream has events of the same identity.

        Parameters
        ----------
        identity : str
            What the ``source_id`` of each stream begins with.
        timeout_s : float
            For how long to look.
        """
        query = f"starts-with(source_id,{xpath_text(identity)})"
        found = pylsl.resolve_bypred(query, _ALL_THAT_ANSWER, timeout_s)
        others = [info for info in found if info.uid() not in self.uids]
        events = identity + self._events_stream
        return sorted({info.name() for info in others if info.source_id() != events})

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Publish samples, and count them."""
        super().push(plan, ticks, values, stamps_s)
        self.n_samples[plan.name] = self.n_samples.get(plan.name, 0) + stamps_s.size

    def mark(self, text: str, lsl_s: float) -> None:
        """Publish a marker, and count it."""
        super().mark(text, lsl_s)
        self.n_markers += 1
