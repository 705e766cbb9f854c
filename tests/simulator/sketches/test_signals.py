"""Signals stay in their range and depend on nothing but tick, time and seed."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.simulator.sketches.signals import noise, potentiometer, uniform_noise


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
