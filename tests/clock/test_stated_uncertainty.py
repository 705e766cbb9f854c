"""What is stated of the newest ticks: bounds, single exchanges and the newest delay."""

from __future__ import annotations

import math

import pytest

from bela_module.clock.arrival_filter import MinimumDelayFilter
from bela_module.clock.clock_fit import ClockFit, FitConstraints, Probe, fit_clock
from bela_module.clock.stated_uncertainty import StatedUncertainty

RATE_HZ = 1000.0


def fitted(round_trip_s: float) -> tuple[ClockFit, list[Probe]]:
    """Fit probes of a board that ticks singly, tick 0 at 100 s."""
    sent_s = [100.0 + 0.0371 * number for number in range(1, 40)]
    probes = [
        Probe(s, s + round_trip_s, math.floor((s + round_trip_s / 2 - 100.0) * RATE_HZ), 1)
        for s in sent_s
    ]
    return fit_clock(probes, MinimumDelayFilter(), FitConstraints(RATE_HZ, 0.0)), probes


def test_nothing_is_stated_before_a_fit() -> None:
    assert StatedUncertainty().seconds == math.inf


@pytest.mark.parametrize("round_trip_s", [0.001, 0.02])
def test_the_half_width_is_at_least_what_one_exchange_tells(round_trip_s: float) -> None:
    fit, probes = fitted(round_trip_s)
    stated = StatedUncertainty()
    stated.use_fit(fit, probes, probes[-1].tick + 100)
    assert stated.half_width_s >= 0.5 * round_trip_s
    assert stated.seconds <= round_trip_s + 0.003


def test_a_late_block_counts_until_the_next_tick_arrives() -> None:
    fit, probes = fitted(0.001)
    stated = StatedUncertainty()
    stated.use_fit(fit, probes, probes[-1].tick + 100)
    sure_s, tick = stated.seconds, probes[-1].tick + 50
    stated.note_block(fit, tick, fit.time_at(tick) + 0.03)
    assert stated.seconds == pytest.approx(0.03)
    assert stated.block_is_late
    stated.note_block(fit, tick - 10, fit.time_at(tick - 10) + 0.001)  # older: says nothing of it
    assert stated.seconds == pytest.approx(0.03)
    stated.note_block(fit, tick + 50, fit.time_at(tick + 50) + 0.0001)
    assert (stated.seconds, stated.block_is_late) == (stated.half_width_s, False)
    assert stated.seconds <= sure_s
