"""A stream as it was recorded: its description, its stamps and those values that are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

_OUR_IDENTITY: Final = "bela:"
_CLOCK_TYPE: Final = "Clock"
_LOOP_TYPE: Final = "Loop"
_LOOP_LABELS: Final = ("one_way_s", "uncertainty_s", "round_trip_s", "lost")
_MARKERS_TYPE: Final = "Markers"


class StreamRole(StrEnum):
    """What a stream is in a report."""

    SAMPLES = "samples"
    CLOCK = "clock"
    LOOP = "loop"
    EVENTS = "events"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class RecordedStream:
    """A stream of a recording.

    Parameters
    ----------
    number : int
        Its number in the file.
    name, content_type, channel_format, source_id : str
        As LSL told them.
    labels : tuple of str
        A label for each channel, empty where none was told.
    nominal_rate_hz : float
        Samples a second that were announced; 0 of an irregular stream.
    stamps_s : ndarray of shape (n_samples,)
        Time stamps in LSL seconds of the recording computer.
    kept : tuple of int
        Numbers of the channels whose values are in ``values``.
    values : ndarray of shape (n_samples, n_kept)
        Values of a stream of numbers; without columns where none were asked for.
    texts : list of list of str
        Rows of a stream of texts; empty for one of numbers.
    n_not_numbers : ndarray of int of shape (n_channels,)
        How many values of each channel are NaN.
    mode : str
        ``dense``, ``sparse`` or ``monitor``; empty where it was not told.
    input_delay_s : float
        What the module had subtracted from all stamps already, in seconds.
    uid : str
        What LSL had named the outlet, at each opening again; empty where it was not told.
    """

    number: int
    name: str
    content_type: str
    channel_format: str
    source_id: str
    labels: tuple[str, ...]
    nominal_rate_hz: float
    stamps_s: Floats
    kept: tuple[int, ...] = ()
    values: NDArray[Any] | None = None
    texts: tuple[tuple[str, ...], ...] = ()
    n_not_numbers: NDArray[np.int64] | None = None
    mode: str = ""
    input_delay_s: float = 0.0
    uid: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether dp-bela published it."""
        return self.source_id.startswith(_OUR_IDENTITY)

    @property
    def is_text(self) -> bool:
        """Whether its values are texts."""
        return self.channel_format == "string"

    @property
    def board(self) -> str:
        """Board and project that it came from, ``board:project``; empty for one of others."""
        return ":".join(self.source_id.split(":")[1:3]) if self.is_ours else ""

    @property
    def role(self) -> StreamRole:
        """What it is in a report."""
        if not self.is_ours:
            return StreamRole.OTHER
        if self.is_text and self.content_type == _MARKERS_TYPE:
            return StreamRole.EVENTS
        if self.content_type == _CLOCK_TYPE and "uncertainty_s" in self.labels:
            return StreamRole.CLOCK
        if self.content_type == _LOOP_TYPE and {*_LOOP_LABELS} <= {*self.labels}:
            return StreamRole.LOOP
        return StreamRole.SAMPLES

    def column(self, channel: int) -> Floats:
        """Give the values of a channel as numbers, shape (n_samples,); NaN where none were kept."""
        if self.values is None or channel not in self.kept:
            return np.full(self.stamps_s.size, math.nan)
        return np.asarray(self.values[:, self.kept.index(channel)], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedRecording:
    """All streams of a file.

    Parameters
    ----------
    path : str
        The file.
    streams : tuple of RecordedStream
        In the order of the file.
    warnings : tuple of str
        What of the file could not be read, in words.
    """

    path: str
    streams: tuple[RecordedStream, ...]
    warnings: tuple[str, ...] = ()

    @property
    def begins_s(self) -> float:
        """First stamp of all streams, NaN when there is no sample."""
        return min(
            (float(s.stamps_s.min()) for s in self.streams if s.stamps_s.size), default=math.nan
        )

    @property
    def ends_s(self) -> float:
        """Last stamp of all streams, NaN when there is no sample."""
        return max(
            (float(s.stamps_s.max()) for s in self.streams if s.stamps_s.size), default=math.nan
        )
