"""Channels by name and number, whatever characters are in the names."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.errors import RecordingError
from bela_module.reports.pulses.channel_choice import channels_meant, choose_channel
from bela_module.reports.recorded_stream import RecordedStream


def stream(name: str, *labels: str, source_id: str = "", n: int = 3) -> RecordedStream:
    return RecordedStream(
        1, name, "EEG", "float32", source_id or f"id-{name}", labels, 100.0, np.arange(float(n))
    )


EEG = stream("EEG", "Fz", "TRIG", "7")
ODD = stream("a/b=c", "x/y", "z=1")
MARKERS = stream("markers", "")
STREAMS = (EEG, ODD, MARKERS)


@pytest.mark.parametrize(
    ("choice", "name", "channel", "only"),
    [
        ("EEG/TRIG", "EEG", 1, None),
        ("EEG/0", "EEG", 0, None),
        ("EEG/7", "EEG", 2, None),
        ("id-EEG/Fz", "EEG", 0, None),
        ("a/b=c/x/y", "a/b=c", 0, None),
        ("a/b=c/z=1", "a/b=c", 1, None),
        ("a/b=c/z=1=5", "a/b=c", 1, "5"),
        ("markers/0=flash on", "markers", 0, "flash on"),
        ("markers/0=a=b", "markers", 0, "a=b"),
    ],
)
def test_what_is_meant(choice: str, name: str, channel: int, only: str | None) -> None:
    chosen = choose_channel(choice, STREAMS)
    assert (chosen.stream.name, chosen.channel, chosen.only) == (name, channel, only)
    stream = chosen.stream
    assert channel in channels_meant(choice, stream.name, stream.source_id, stream.labels)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("EEG/Cz", "EEG has no such channel; it has Fz, TRIG, 7"),
        ("EEG/3", "EEG has no such channel"),
        ("EEG", "is no channel of this recording; give STREAM/CHANNEL. Its streams: EEG, a/b=c"),
        ("nope/0", "is no channel of this recording"),
    ],
)
def test_what_is_not_there(choice: str, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        choose_channel(choice, STREAMS)


def test_of_two_boards_the_identity_tells() -> None:
    left = stream("bela_sync", "sync", source_id="bela:left:p:bela_sync")
    right = stream("bela_sync", "sync", source_id="bela:right:p:bela_sync")
    with pytest.raises(RecordingError, match="give the source_id .* bela:left:p:bela_sync, bela:r"):
        choose_channel("bela_sync/0", (left, right))
    assert choose_channel("bela:right:p:bela_sync/sync", (left, right)).stream is right


def test_of_two_streams_the_one_with_samples() -> None:
    full = stream("bela_sync", "sync")
    assert choose_channel("bela_sync/0", (stream("bela_sync", "sync", n=0), full)).stream is full


def test_the_title_has_the_label() -> None:
    assert choose_channel("EEG/1", STREAMS).title == "EEG/TRIG"
    assert choose_channel("markers/0=x", STREAMS).title == "markers/0=x"
