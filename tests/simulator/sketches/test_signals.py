"""Signals stay in their range and depend on nothing but tick, time and seed."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.simulator.sketches.signals import noise, potentiometer, sync_pulse, uniform_noise


def test_a_knob_stays_in_its_range_and_moves() -> None:
    ticks = np.arange(0, 60 * 22050, 50)
    position = potentiometer(1)(ticks, ticks / 22050)
    assert 0 < position.min() < 0.2
    assert 0.8 < position.max() < 1


def test_noise_is_uniform_and_differs_by_seed() -> None:
    numbers = np.arange(100_000)
    uniform = uniform_noise(numbers)
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    assert np.histogram(uniform, 10)[0] == pytest.approx(10_000, rel=0.05)
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.01
    assert not np.any(uniform == uniform_noise(numbers, seed=1))
    assert np.abs(noise(0.5, seed=3)(numbers, numbers / 1e3)).max() <= 0.5


def test_a_pulse_a_second_at_uneven_intervals() -> None:
    ticks = np.arange(0, 100 * 1000)
    pulses = sync_pulse(rate_hz=1000.0)(ticks, ticks / 1000)
    onsets = np.flatnonzero(np.diff(pulses) > 0)
    assert set(pulses.tolist()) == {0, 1}
    assert onsets.size == pytest.approx(100, abs=1)
    assert pulses.sum() == pytest.approx(1000, abs=10)
    waits = np.diff(onsets)
    assert 600 <= waits.min() < 750
    assert 1250 < waits.max() <= 1400
    later = sync_pulse(delay_ticks=32, rate_hz=1000.0)(ticks, ticks / 1000)
    np.testing.assert_array_equal(later[32:], pulses[:-32])
