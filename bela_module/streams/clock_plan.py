"""The plan of ``bela_clock``, the stream that carries the proof of all stamps. Pure."""

from __future__ import annotations

from typing import Final

from bela_module.config import StreamSettings
from bela_module.protocol.variables import ValueType, Variable
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.stream_plans import StreamMode, StreamPlan

CLOCK_UNITS: Final = {
    "tick": "ticks",
    "uncertainty_s": "s",
    "tick_rate_hz": "Hz",
    "drift_ppm": "ppm",
    "rtt_s": "s",
    "unix_s": "s",
}
"""Channels of the stream and their units, in order."""


def clock_plan(name: str) -> StreamPlan:
    """Plan the stream of the clock: irregular, a channel for each figure.

    Parameters
    ----------
    name : str
        Name of the stream.
    """
    labels = tuple(CLOCK_UNITS)
    # The board has no such variables: an index below zero is never on the wire.
    variables = tuple(
        Variable(-1 - k, label, ValueType.DOUBLE, sparse=True) for k, label in enumerate(labels)
    )
    settings = StreamSettings(variables=labels, type="Clock", units=tuple(CLOCK_UNITS.values()))
    return StreamPlan(name, variables, StreamMode.SPARSE, SampleFormat.DOUBLE64, settings)
