"""The plan of ``bela_loop``, the stream that tells when each command took effect. Pure."""

from __future__ import annotations

from typing import Final

from bela_module.config import StreamSettings
from bela_module.protocol.variables import ValueType, Variable
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.stream_plans import StreamMode, StreamPlan

LOOP_UNITS: Final = {
    "number": "",
    "one_way_s": "s",
    "uncertainty_s": "s",
    "round_trip_s": "s",
    "lost": "",
    "input": "",
}
"""Channels of the stream and their units, in order."""

_FIRST_INDEX: Final = -101  # apart from those of the clock's stream


def loop_plan(name: str) -> StreamPlan:
    """Plan the stream of closed loops: irregular, a sample for each command that took effect.

    Parameters
    ----------
    name : str
        Name of the stream.
    """
    labels = tuple(LOOP_UNITS)
    # The board has no such variables: an index below zero is never on the wire.
    variables = tuple(
        Variable(_FIRST_INDEX - k, label, ValueType.DOUBLE, sparse=True)
        for k, label in enumerate(labels)
    )
    settings = StreamSettings(variables=labels, type="Loop", units=tuple(LOOP_UNITS.values()))
    return StreamPlan(name, variables, StreamMode.SPARSE, SampleFormat.DOUBLE64, settings)
