"""Markers of a recording are read, in the order of their times."""

from __future__ import annotations

import numpy as np

from bela_module.reports.event_markers import EventMarker, event_markers
from bela_module.reports.recorded_stream import RecordedStream


def events(*markers: tuple[float, str]) -> RecordedStream:
    stamps_s = np.array([at_s for at_s, _ in markers])
    texts = tuple((text,) for _, text in markers)
    kind = ("Markers", "string", "bela:b:p:bela_events", ("e",), 0.0)
    return RecordedStream(1, "bela_events", *kind, stamps_s, texts=texts)


def test_gaps_name_variable_and_count() -> None:
    (marker,) = event_markers([events((2.0, "gap my odd variable 1024"))])
    assert marker == EventMarker(
        2.0, "gap", "gap my odd variable 1024", "my odd variable", 1024, "b:p"
    )


def test_a_gap_without_a_count_is_none() -> None:
    (marker,) = event_markers([events((2.0, "gap pot1"))])
    assert (marker.kind, marker.variable, marker.n_lost) == ("gap", "", 0)


def test_they_are_in_the_order_of_their_times() -> None:
    first, second = events((3.0, "stopped"), (4.0, "")), events((1.0, "started"))
    assert [marker.text for marker in event_markers([first, second])] == ["started", "stopped"]
