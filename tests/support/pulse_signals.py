"""Pulses at known times, as channels of all sorts see them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.pulses.channel_choice import ChosenChannel
from bela_module.reports.recorded_stream import RecordedStream

Floats = NDArray[np.float64]

ONSETS_S: Floats = 10 + np.cumsum(np.random.default_rng(1).uniform(0.6, 1.4, 40))
ENDS_S = float(ONSETS_S[-1]) + 2


def pulses(stamps_s: Floats, width_s: float = 0.02, onsets_s: Floats = ONSETS_S) -> Floats:
    """Give a channel that is 1 from each onset on for some time, else 0."""
    last = np.searchsorted(onsets_s, stamps_s, "right") - 1
    since_s = stamps_s - onsets_s[np.maximum(last, 0)]
    return ((last >= 0) & (since_s < width_s)).astype(np.float64)


def channel(stamps_s: Floats, values: Floats, rate_hz: float, **more: Any) -> ChosenChannel:
    """Make a channel of numbers; with a rate of 0 each sample has a stamp of its own."""
    facts = ("s", "Bela", "float32", more.pop("source_id", ""), ("c",), rate_hz)
    only = more.pop("only", None)
    stream = RecordedStream(1, *facts, stamps_s, (0,), values[:, None], **more)
    return ChosenChannel(stream, 0, only)


def markers(stamps_s: Floats, texts: list[str], only: str | None = None) -> ChosenChannel:
    """Make a channel of texts."""
    rows = tuple((text,) for text in texts)
    facts = ("m", "Markers", "string", "", ("text",), 0.0)
    return ChosenChannel(RecordedStream(2, *facts, stamps_s, texts=rows), 0, only)
