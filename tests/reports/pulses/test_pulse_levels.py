"""Levels of channels with pulses: long and short, up and down, under noise, and without any."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.reports.pulses.pulse_levels import EdgeMethod, find_levels
from tests.support.pulse_signals import ENDS_S, Floats, pulses

STAMPS_S = np.arange(0, ENDS_S, 0.001)
NOISE = np.random.default_rng(3).normal(0, 1, STAMPS_S.size)
SPIKE = 40.0 * (np.arange(STAMPS_S.size) == 777)
WANDER = 5 * np.sin(STAMPS_S / 3)


@pytest.mark.parametrize(
    ("values", "method", "rest", "top"),
    [
        (pulses(STAMPS_S), EdgeMethod.EXCURSIONS, 0.0, 1.0),
        (5 - 3 * pulses(STAMPS_S), EdgeMethod.EXCURSIONS, 5.0, 2.0),
        (pulses(STAMPS_S, 0.5), EdgeMethod.LEVELS, 0.0, 1.0),
        (1 - pulses(STAMPS_S, 0.3), EdgeMethod.LEVELS, 1.0, 0.0),
        (pulses(STAMPS_S) + 0.05 * NOISE, EdgeMethod.EXCURSIONS, 0.0, 1.0),
        (pulses(STAMPS_S, 0.4) + 0.05 * NOISE, EdgeMethod.LEVELS, 0.0, 1.0),
        (SPIKE + pulses(STAMPS_S), EdgeMethod.EXCURSIONS, 0.0, 1.0),
        (pulses(STAMPS_S) + WANDER, EdgeMethod.STEPS, 0.0, 1.0),
        (pulses(STAMPS_S, 0.1) * np.sin(300 * STAMPS_S), EdgeMethod.OSCILLATION, 0.0, 1.0),
        (np.repeat(pulses(STAMPS_S), 30), EdgeMethod.EXCURSIONS, 0.0, 1.0),
    ],
)  # fmt: skip
def test_levels(values: Floats, method: EdgeMethod, rest: float, top: float) -> None:
    levels = find_levels(values)
    assert levels is not None
    assert levels.method is method
    assert levels.rest == pytest.approx(rest, abs=0.15)
    height, expected = levels.top - levels.rest, top - rest
    if method is EdgeMethod.STEPS:  # they go up and down, by as much
        height = abs(height)
    assert height == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(
    "values", [np.zeros(1000), NOISE, WANDER, WANDER + 0.1 * NOISE, np.zeros(1), np.zeros(0)]
)
def test_no_pulses(values: Floats) -> None:
    assert find_levels(values) is None
