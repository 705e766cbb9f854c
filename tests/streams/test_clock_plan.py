"""The plan of the stream that tells of the clock."""

from __future__ import annotations

from bela_module.streams.clock_plan import clock_plan
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.stream_plans import StreamMode


def test_its_channels_and_units() -> None:
    plan = clock_plan("bela_clock")
    labels = ("tick", "uncertainty_s", "tick_rate_hz", "drift_ppm", "rtt_s", "unix_s")
    assert plan.labels == labels
    assert plan.settings is not None
    assert plan.settings.units == ("ticks", "s", "Hz", "ppm", "s", "s")
    assert plan.mode is StreamMode.SPARSE  # irregular: the moments are the board's ticks
    assert plan.sample_format is SampleFormat.DOUBLE64
    assert all(variable.index < 0 for variable in plan.variables)
