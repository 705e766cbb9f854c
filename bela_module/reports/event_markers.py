"""What ``bela_events`` of a recording tells: starts, stops, losses, restarts, errors. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bela_module.reports.recorded_stream import RecordedStream

BEGINNINGS: Final = ("started", "schedule_started")
ENDS: Final = ("stopped", "schedule_finished")
TROUBLES: Final = ("disconnected", "board_restarted", "error")
TICKS_PAUSED: Final = re.compile(r"error the board's ticks (paused|skipped)")
_GAP: Final = re.compile(r"gap (.+) (\d+)")


@dataclass(frozen=True, slots=True)
class EventMarker:
    """A marker of the module.

    Parameters
    ----------
    stamp_s : float
        When it happened, in LSL seconds.
    kind : str
        Its first word, such as ``gap``.
    text : str
        All of it.
    variable : str
        Of a gap, what it is a gap of.
    n_lost : int
        Of a gap, how many values were lost.
    board : str
        Of which board, ``board:project``.
    """

    stamp_s: float
    kind: str
    text: str
    variable: str = ""
    n_lost: int = 0
    board: str = ""


def event_markers(streams: Iterable[RecordedStream]) -> tuple[EventMarker, ...]:
    """Read the markers of streams of events, in the order of their times."""
    markers = [
        _marker(float(stamp_s), row[0], stream.board)
        for stream in streams
        for stamp_s, row in zip(stream.stamps_s, stream.texts, strict=True)
        if row and row[0]
    ]
    return tuple(sorted(markers, key=lambda marker: marker.stamp_s))


def _marker(stamp_s: float, text: str, board: str) -> EventMarker:
    kind = text.split(" ", 1)[0]
    if gap := _GAP.fullmatch(text):
        return EventMarker(stamp_s, kind, text, gap[1], int(gap[2]), board)
    return EventMarker(stamp_s, kind, text, board=board)
