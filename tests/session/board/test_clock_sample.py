"""A row of the clock stream: its fields are the stream's channels, in this order."""

from __future__ import annotations

from bela_module.session.board.clock_sample import ClockSample


def test_the_fields_are_the_channels_of_the_stream() -> None:
    assert ClockSample._fields == (
        "tick", "uncertainty_s", "tick_rate_hz", "drift_ppm", "rtt_s", "unix_s",
    )  # fmt: skip
