"""Account of one recorded stream: samples, rate, what is missing, and what was told of it. Pure.

The stamps of a regular stream and the markers ``gap <variable> <lost values>`` are two witnesses of
the same loss, and are compared. Samples that the stamps lack and no marker tells of were lost
between the module and the recorder, or the board's clock jumped. Nothing is missing between a
``stopped`` and the next ``started``. Where the board restarted, nobody can tell how many values it
had before: that is not compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.event_markers import BEGINNINGS, TICKS_PAUSED, EventMarker
from bela_module.reports.recorded_stream import Floats, RecordedStream
from bela_module.reports.stamp_breaks import StampBreaks, find_breaks

_TOLD_WITHIN_S: Final = 1.0
_SAME_MOMENT_S: Final = 0.1
_CLOCK_SHARE: Final = 5e-4


class BreakKind(StrEnum):
    """Why the stamps of a stream go on later."""

    LOSS = "loss"
    PAUSE = "pause"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class StreamBreak:
    """A break in the stamps of a stream.

    Parameters
    ----------
    kind : BreakKind
        A loss; a pause between two runs, in which nothing is missing; a jump of the board's clock.
    begins_s : float
        Stamp of the first missing sample, in LSL seconds.
    duration_s : float
        Time that is missing.
    n_samples : int
        Samples that have room in it.
    """

    kind: BreakKind
    begins_s: float
    duration_s: float
    n_samples: int

    @property
    def ends_s(self) -> float:
        """Stamp of the first sample after it."""
        return self.begins_s + self.duration_s


@dataclass(frozen=True, slots=True)
class StreamAccount:
    """What a recording proves about a stream.

    Attributes
    ----------
    stream : RecordedStream
        The stream.
    title : str
        What it is called in the report: its name, with the board where two have the same.
    n_samples : int
        Samples in the file.
    effective_rate_hz : float
        Measured where nothing is missing; of an irregular stream the mean. NaN when unknown.
    breaks : tuple of StreamBreak
        In order of time.
    n_backwards, n_repeated : int
        Stamps that are earlier than, or the same as, the one before.
    n_not_numbers : int
        Values that are NaN, in all channels.
    told : dict of str to int
        Lost values that events tell of for the time of the samples, by variable.
    n_told_elsewhere : int
        Lost values that events tell of before the first sample, after the last, or between runs.
    disagreements : tuple of str
        Where stamps and events do not agree, in words.
    """

    stream: RecordedStream
    title: str
    n_samples: int
    effective_rate_hz: float
    breaks: tuple[StreamBreak, ...]
    n_backwards: int
    n_repeated: int
    n_not_numbers: int
    told: dict[str, int]
    n_told_elsewhere: int
    disagreements: tuple[str, ...]

    @property
    def losses(self) -> tuple[StreamBreak, ...]:
        """The breaks that are losses."""
        return tuple(one for one in self.breaks if one.kind is BreakKind.LOSS)

    @property
    def n_missing(self) -> int:
        """Samples that are missing, as the stamps tell."""
        return sum(one.n_samples for one in self.losses)

    @property
    def missing_s(self) -> float:
        """Time that was lost."""
        return sum(one.duration_s for one in self.losses)

    @property
    def streamed_s(self) -> float:
        """Time from the first to the last sample, without pauses."""
        if self.n_samples < 2:
            return 0.0
        span_s = float(self.stream.stamps_s[-1] - self.stream.stamps_s[0])
        return span_s - sum(b.duration_s for b in self.breaks if b.kind is BreakKind.PAUSE)

    @property
    def missing_share(self) -> float:
        """Share of the streamed time that was lost, 0 to 1."""
        return self.missing_s / self.streamed_s if self.streamed_s > 0 else 0.0

    @property
    def rate_error_ppm(self) -> float:
        """How far the effective rate is from the nominal one; NaN for an irregular stream."""
        nominal_hz = self.stream.nominal_rate_hz
        return (self.effective_rate_hz / nominal_hz - 1) * 1e6 if nominal_hz > 0 else math.nan


def account_for(
    stream: RecordedStream,
    markers: Sequence[EventMarker] = (),
    known: frozenset[str] = frozenset(),
    title: str = "",
) -> StreamAccount:
    """Account for a stream.

    Parameters
    ----------
    stream : RecordedStream
        One of ours, with samples of variables.
    markers : sequence of EventMarker
        What its board's module told.
    known : frozenset of str
        Names of the channels of all streams of that board, which tell whose a marker is.
    title : str
        What it is called; by default its name.
    """
    found = find_breaks(stream.stamps_s, stream.nominal_rate_hz)
    gaps = _gaps_of(stream, markers, known)
    breaks = _breaks(stream, found, markers, gaps)
    inside, n_elsewhere = _split(stream, gaps, breaks)
    not_numbers = stream.n_not_numbers
    told: dict[str, int] = {}
    for marker in inside:
        told[marker.variable] = told.get(marker.variable, 0) + marker.n_lost
    return StreamAccount(
        stream=stream,
        title=title or stream.name,
        n_samples=stream.stamps_s.size,
        effective_rate_hz=_rate_hz(stream, found),
        breaks=breaks,
        n_backwards=found.n_backwards,
        n_repeated=found.n_repeated,
        n_not_numbers=0 if not_numbers is None else int(not_numbers.sum()),
        told=told,
        n_told_elsewhere=n_elsewhere,
        disagreements=_disagreements(stream, *_comparable(breaks, inside, markers)),
    )


def _rate_hz(stream: RecordedStream, found: StampBreaks) -> float:
    if stream.nominal_rate_hz > 0:
        return 1 / found.step_s if found.step_s > 0 else math.nan
    if stream.stamps_s.size < 2 or stream.stamps_s[-1] <= stream.stamps_s[0]:
        return math.nan
    span_s = float(stream.stamps_s[-1] - stream.stamps_s[0])
    return (stream.stamps_s.size - 1) / span_s


def _gaps_of(
    stream: RecordedStream, markers: Sequence[EventMarker], known: frozenset[str]
) -> list[EventMarker]:
    """Find the markers of losses that are of this stream.

    A configuration can rename channels. Then a marker of a variable that no channel is called
    after counts for a stream of one channel whose name ends with it.
    """
    labels = set(stream.labels)
    alone = len(stream.labels) == 1
    return [
        marker
        for marker in markers
        if marker.kind == "gap"
        and (
            marker.variable in labels
            or (
                alone
                and marker.variable not in known
                and marker.variable
                and stream.name.endswith(marker.variable)
            )
        )
    ]


def _breaks(
    stream: RecordedStream,
    found: StampBreaks,
    markers: Sequence[EventMarker],
    gaps: Sequence[EventMarker],
) -> tuple[StreamBreak, ...]:
    begun = np.array([m.stamp_s for m in markers if m.kind in BEGINNINGS])
    jumped = np.array([m.stamp_s for m in markers if TICKS_PAUSED.match(m.text)])
    lost = np.array([marker.stamp_s for marker in gaps])
    before_s = stream.stamps_s[found.before]
    after_s = stream.stamps_s[found.before + 1]
    is_pause = _any_within(begun, before_s, after_s)
    is_told = _any_within(lost, before_s - _SAME_MOMENT_S, after_s + _SAME_MOMENT_S)
    is_jump = _any_within(jumped, before_s, after_s + _TOLD_WITHIN_S) & ~is_told
    return tuple(
        StreamBreak(
            BreakKind.PAUSE if pause else BreakKind.CLOCK if jump else BreakKind.LOSS,
            float(at_s + found.step_s),
            float(missing_s),
            int(n),
        )
        for pause, jump, at_s, missing_s, n in zip(
            is_pause, is_jump, before_s, found.missing_s, found.n_missing, strict=True
        )
    )


def _any_within(times_s: Floats, begin_s: Floats, end_s: Floats) -> NDArray[np.bool_]:
    """Tell for each interval whether any time is within, both ends included."""
    ordered = np.sort(times_s)
    return np.searchsorted(ordered, end_s, "right") > np.searchsorted(ordered, begin_s, "left")


def _split(
    stream: RecordedStream, gaps: Sequence[EventMarker], breaks: Sequence[StreamBreak]
) -> tuple[list[EventMarker], int]:
    """Separate what was lost between the samples from what was lost where none are expected."""
    if stream.stamps_s.size == 0:
        return [], sum(marker.n_lost for marker in gaps)
    first_s, last_s = float(stream.stamps_s[0]), float(stream.stamps_s[-1])
    pauses = [one for one in breaks if one.kind is BreakKind.PAUSE]
    inside = [
        marker
        for marker in gaps
        if first_s <= marker.stamp_s <= last_s
        and not any(one.begins_s - 1e-6 <= marker.stamp_s <= one.ends_s for one in pauses)
    ]
    return inside, sum(m.n_lost for m in gaps) - sum(m.n_lost for m in inside)


def _comparable(
    breaks: Sequence[StreamBreak], gaps: Sequence[EventMarker], markers: Sequence[EventMarker]
) -> tuple[list[StreamBreak], dict[str, int]]:
    """Give the losses in which the board did not restart, and what events tell of them."""
    restarts_s = [marker.stamp_s for marker in markers if marker.kind == "board_restarted"]
    losses = [one for one in breaks if one.kind is BreakKind.LOSS]

    def holds(one: StreamBreak, stamp_s: float) -> bool:
        return one.begins_s - _SAME_MOMENT_S <= stamp_s <= one.ends_s + _SAME_MOMENT_S

    unknown = [one for one in losses if any(holds(one, stamp_s) for stamp_s in restarts_s)]
    told: dict[str, int] = {}
    for gap in gaps:
        if not any(holds(one, gap.stamp_s) for one in unknown):
            told[gap.variable] = told.get(gap.variable, 0) + gap.n_lost
    return [one for one in losses if one not in unknown], told


def _disagreements(
    stream: RecordedStream, losses: Sequence[StreamBreak], told: dict[str, int]
) -> tuple[str, ...]:
    """Compare what the stamps lack with what the events tell, for each variable."""
    if stream.nominal_rate_hz <= 0:
        return ()  # the stamps of an irregular stream lack nothing
    n_missing = sum(one.n_samples for one in losses)
    not_numbers = stream.n_not_numbers
    words = []
    alone = len(stream.labels) == 1
    for number, name in enumerate(stream.labels):
        n_nan = 0 if not_numbers is None else int(not_numbers[number])
        n_told, n_seen = sum(told.values()) if alone else told.get(name, 0), n_missing + n_nan
        # each is rounded to whole samples, and the clock is known better after it than before
        if abs(n_seen - n_told) <= len(losses) + _CLOCK_SHARE * n_missing:
            continue
        nan = f" and has {n_nan} values that are not numbers" if n_nan else ""
        words.append(
            f"{name or stream.name}: the file lacks {n_missing} samples{nan}, the events tell of "
            f"{n_told} lost values"
        )
    return tuple(words)
