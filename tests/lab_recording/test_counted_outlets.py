"""What LSL is given is counted; what it refuses is not."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.errors import StreamError
from bela_module.lab_recording.counted_outlets import CountedOutlets
from bela_module.streams.clock_plan import CLOCK_UNITS, clock_plan
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Origin, StreamFacts


def test_samples_and_markers_are_counted(unique: str) -> None:
    outlets = CountedOutlets(f"{unique}events", 10.0)
    origin = Origin(unique, "test", 44100.0, 44100.0, 0.001, 0.0)
    plan = clock_plan(f"{unique}clock")
    try:
        outlets.identify(origin)
        outlets.open(plan, StreamFacts(origin, 0.0))
        for n_samples in (1, 3):
            rows = np.zeros((n_samples, len(CLOCK_UNITS)))
            stamps_s = np.full(n_samples, local_clock())
            outlets.push(plan, np.zeros(n_samples, np.int64), rows, stamps_s)
        with pytest.raises(StreamError):
            outlets.push(plan, np.zeros(1, np.int64), rows[:1], np.array([1.0]))  # runs backwards
        outlets.mark("started", local_clock())
        outlets.mark("stopped", local_clock())
    finally:
        outlets.close()
    assert outlets.n_samples == {plan.name: 4}
    assert outlets.n_markers == 2
