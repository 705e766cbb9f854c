"""Levels of channels with pulses: long and short, up and down, under noise, and without any."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.reports.pulses.pulse_levels import EdgeMethod, find_levels
from tests.support.pulse_signals import ENDS_S, ONSETS_S, Floats, pulses

STAMPS_S = np.arange(0, ENDS_S, 0.001)
NOISE = np.random.default_rng(3).normal(0, 1, STAMPS_S.size)
SPIKE = 40.5 * (np.arange(STAMPS_S.size) == 777)
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


def codes(numbers: list[int], *, held: bool = False) -> Floats:
    """Give a trigger channel with a number from each onset on, for a while or until the next."""
    place = np.searchsorted(ONSETS_S, STAMPS_S, "right")
    of_each = np.append(0.0, np.resize(numbers, ONSETS_S.size))
    return of_each[place] * (1.0 if held else pulses(STAMPS_S))


@pytest.mark.parametrize("numbers", [[1, 2, 4, 8], [1, 2, 64, 255]])
def test_codes_that_return_to_rest(numbers: list[int]) -> None:
    levels = find_levels(codes(numbers) - 7)
    assert levels is not None
    assert (levels.method, levels.rest, levels.top) == (EdgeMethod.CODES, -7, max(numbers) - 7)


def test_codes_that_are_held_have_no_rest() -> None:
    levels = find_levels(codes([1, 2, 4, 8], held=True))
    assert levels is not None
    assert levels.method is EdgeMethod.CODES
    assert np.isnan(levels.rest)


def test_a_slope_in_whole_numbers_is_no_code() -> None:
    last = np.maximum(np.searchsorted(ONSETS_S, STAMPS_S, "right") - 1, 0)
    slope = np.clip((STAMPS_S - ONSETS_S[last]) / 0.001, 0, 10) * pulses(STAMPS_S, 0.3)
    levels = find_levels(np.floor(slope))
    assert levels is not None
    assert levels.method is EdgeMethod.LEVELS
