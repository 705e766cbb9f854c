"""The simulated board's clock: bursts, drift and steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.simulator.simulated_clock import SimulatedClock


@given(
    rate_hz=st.floats(1, 200_000),
    burst_ticks=st.sampled_from([1, 2, 8, 16, 128]),
    after_s=st.floats(0, 1000),
    drift_ppm=st.floats(-200, 200),
)
def test_a_burst_has_happened_when_its_last_tick_has(
    rate_hz: float, burst_ticks: int, after_s: float, drift_ppm: float
) -> None:
    clock = SimulatedClock(
        rate_hz, burst_ticks, first_tick=burst_ticks * 3, start_s=50.0, drift_ppm=drift_ppm
    )
    tick = clock.tick_at(50.0 + after_s)
    assert (tick + 1) % burst_ticks == 0
    if tick >= clock.first_tick:
        assert clock.time_of(tick) <= 50.0 + after_s + 1e-9
    assert clock.time_of(clock.last_tick_of_burst(tick + 1)) >= 50.0 + after_s - 1e-9


def test_drift_makes_it_faster() -> None:
    clock = SimulatedClock(1000.0, 1, drift_ppm=100.0)
    assert clock.true_rate_hz == pytest.approx(1000.1)
    assert clock.time_of(100_010) == pytest.approx(100.0)


def test_before_the_first_burst_no_tick_has_happened() -> None:
    clock = SimulatedClock(1000.0, 16, first_tick=160)
    assert clock.tick_at(0.001) == 159


def test_times_stay_what_they_were_when_drift_and_steps_follow() -> None:
    clock = SimulatedClock(1000.0, 10)
    ticks = np.arange(0, 2000, 7)
    before_s = clock.times_of(ticks)
    clock.drift(2000, 500_000.0)
    next_tick = clock.step(2999, 0.2)
    clock.step(next_tick + 99, -3.0)
    np.testing.assert_array_equal(clock.times_of(ticks), before_s)
    assert clock.times_of(ticks[:0]).size == 0
    many = np.array([1999, 2000, 2999, next_tick, next_tick + 99, next_tick + 100])
    np.testing.assert_allclose(clock.times_of(many), [clock.time_of(int(t)) for t in many])
    steps_s = np.diff(clock.times_of(many))
    np.testing.assert_allclose(steps_s[[0, 2, 4]], [0.001, 1 / 1500, 3.0 + 1 / 1500], rtol=1e-6)
    assert next_tick == 3000 + 300


def test_after_a_step_back_the_last_tick_stays_the_last() -> None:
    clock = SimulatedClock(1000.0, 10)
    assert clock.step(clock.tick_at(1.0), -0.5) == 1000
    assert [clock.tick_at(s) for s in (1.0, 1.4, 1.509, 1.511)] == [999, 999, 999, 1009]


def test_a_step_is_whole_bursts() -> None:
    clock = SimulatedClock(1000.0, 16)
    assert clock.step(159, 0.1) == 160 + 96


def test_late_bursts_happen_all_at_once_and_no_tick_lags() -> None:
    clock = SimulatedClock(1000.0, 10)
    ticks = np.arange(3000)
    before_s = clock.times_of(ticks)
    assert clock.burst_s == 0.01
    clock.delay_bursts(clock.tick_at(1.0), 1.055)
    assert [clock.tick_at(s) for s in (1.0, 1.054, 1.055, 1.0601)] == [999, 999, 1049, 1059]
    assert [clock.burst_time_s(tick) for tick in (1000, 1049, 1050)] == [1.055, 1.055, 1.059]
    np.testing.assert_array_equal(clock.times_of(ticks), before_s)
