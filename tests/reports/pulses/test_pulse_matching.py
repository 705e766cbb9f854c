"""Pulses are matched under any lag and drift, with missing, extra and displaced ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bela_module.reports.pulses.pulse_matching import (
    fit_line,
    match_pulses,
    may_be_chance,
    n_missed,
)
from tests.support.amount import examples
from tests.support.pulse_signals import Floats


def spoiled(times_s: Floats, random: np.random.Generator, missing: float, extra: float) -> Floats:
    kept = times_s[random.random(times_s.size) >= missing]
    more = random.uniform(times_s[0], times_s[-1], int(extra * times_s.size))
    return np.sort(np.concatenate([kept, more]))


@given(
    n=st.integers(12, 300),
    lag_s=st.floats(-6, 6),
    drift_ppm=st.floats(-500, 500),
    jitter_s=st.sampled_from([0.0, 0.0001, 0.005]),
    missing=st.floats(0, 0.15),
    extra=st.floats(0, 0.15),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=examples(40))
def test_the_lag_is_found(
    n: int, lag_s: float, drift_ppm: float, jitter_s: float, missing: float, extra: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    true_s = 1000 + np.cumsum(random.uniform(0.6, 1.4, n))
    middle_s = (true_s[0] + true_s[-1]) / 2
    seen_s = true_s + lag_s + drift_ppm * 1e-6 * (true_s - middle_s)
    seen_s = np.sort(seen_s + random.normal(0, jitter_s, n))
    first_s = spoiled(true_s, random, missing, extra)
    match = match_pulses(first_s, spoiled(seen_s, random, missing, extra))
    (found_s,) = match.lag_at_s(np.array([middle_s]))
    # the mean of so many pulses is known to this, five times over
    assert abs(found_s - lag_s) < 1e-4 + 5 * jitter_s / np.sqrt(n * (1 - missing) ** 2)
    assert match.first.size >= 0.9 * (1 - missing) ** 2 * n - 3 * np.sqrt(n * 0.3)
    assert np.unique(match.first).size == np.unique(match.second).size == match.first.size
    assert (np.diff(match.second) > 0).all()


@pytest.mark.parametrize("lag_s", [-0.3, 0.0, 0.02, 0.4])
def test_of_even_intervals_the_smallest_lag_is_taken_and_the_others_told(lag_s: float) -> None:
    random = np.random.default_rng(4)
    true_s = np.arange(120.0)
    match = match_pulses(spoiled(true_s, random, 0.1, 0), spoiled(true_s + lag_s, random, 0.1, 0))
    assert match.lag_s == pytest.approx(lag_s, abs=1e-9)
    assert any(abs(other - lag_s - 1) < 0.02 for other in match.other_lags_s)
    assert any(abs(other - lag_s + 1) < 0.02 for other in match.other_lags_s)


@pytest.mark.parametrize("lag_s", [0.7, -0.6, 2.8])
def test_of_even_intervals_the_lag_that_leaves_no_pulse_alone_is_taken(lag_s: float) -> None:
    true_s = np.arange(60.0)
    recorded_s = ((-3.0, 64.0), (-3.0, 64.0))
    match = match_pulses(true_s, true_s + lag_s, recorded_s=recorded_s)
    assert match.lag_s == pytest.approx(lag_s, abs=1e-9)
    assert match.first.size == 60
    assert any(abs(abs(other) - 1 + abs(lag_s) % 1) < 0.02 for other in match.other_lags_s)


def test_of_even_intervals_recorded_at_other_times_the_smallest_lag_is_taken() -> None:
    """One channel came three pulses late, the other ended three pulses early."""
    true_s = np.arange(60.0)
    recorded_s = ((2.5, 62.0), (-3.0, 56.5))
    match = match_pulses(true_s[3:], true_s[:-3] + 0.02, recorded_s=recorded_s)
    assert match.lag_s == pytest.approx(0.02, abs=1e-9)
    assert match.first.size == 54


def test_intervals_that_are_nearly_even_are_told_apart() -> None:
    true_s = np.cumsum(np.random.default_rng(8).normal(1, 0.01, 60))
    match = match_pulses(true_s, true_s + 4.7)
    assert match.lag_s == pytest.approx(4.7)
    assert match.other_lags_s == ()


def test_pulses_that_are_lacked() -> None:
    true_s = np.cumsum(np.random.default_rng(9).uniform(0.6, 1.4, 50))
    recorded_s = ((0.0, float(true_s[39]) + 0.5), (0.0, 100.0))
    second_s = np.delete(true_s, [4, 5, 6]) + 0.2
    match = match_pulses(true_s[:40], second_s, recorded_s=recorded_s)
    assert n_missed(true_s[:40], second_s, match, recorded_s) == (3, 0)  # not those after the end


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n", [3, 5, 12, 60, 400])
@pytest.mark.parametrize("longest_s", [0.5, 1.4])
def test_a_match_by_chance_is_known(n: int, seed: int, longest_s: float) -> None:
    random = np.random.default_rng(seed)
    first_s, others_s = (np.cumsum(random.uniform(0.4 * longest_s, longest_s, n)) for _ in range(2))
    true_s = first_s + 0.2 + random.normal(0, 0.001, n)
    assert not may_be_chance(first_s, true_s, match_pulses(first_s, true_s), 0.002)
    unrelated = match_pulses(first_s, others_s)
    assert unrelated.first.size < 3 or may_be_chance(first_s, others_s, unrelated, 0.002)


def test_half_of_the_pulses_missing_and_as_many_extra_are_no_chance() -> None:
    random = np.random.default_rng(1)
    true_s = np.cumsum(random.uniform(0.6, 1.4, 60))
    first_s = spoiled(true_s, random, 0.5, 0.5)
    second_s = spoiled(true_s + random.normal(0, 0.004, 60), random, 0.5, 0.5)
    match = match_pulses(first_s, second_s)
    assert match.lag_s == pytest.approx(0, abs=0.005)
    assert not may_be_chance(first_s, second_s, match, 0.002)


def test_uneven_intervals_leave_no_other_lag() -> None:
    true_s = np.cumsum(np.random.default_rng(5).uniform(0.6, 1.4, 100))
    match = match_pulses(true_s, true_s + 3.21)
    assert match.lag_s == pytest.approx(3.21)
    assert match.other_lags_s == ()


def test_pulses_far_apart_in_hours_with_a_drift() -> None:
    random = np.random.default_rng(6)
    true_s = np.cumsum(random.uniform(0.8, 1.2, 20_000))
    seen_s = spoiled(true_s * (1 + 300e-6) + 2.345, random, 0.05, 0.02)
    match = match_pulses(true_s, seen_s)
    assert match.drift * 1e6 == pytest.approx(300, abs=0.01)
    assert match.lag_s - match.drift * match.at_s == pytest.approx(2.345, abs=1e-4)
    assert match.first.size > 18_800


def test_some_pulses_displaced_do_not_move_the_rest() -> None:
    true_s = np.cumsum(np.random.default_rng(7).uniform(0.6, 1.4, 100))
    seen_s = true_s + 0.5
    seen_s[::10] += 0.04
    match = match_pulses(true_s, seen_s)
    assert match.lag_at_s(true_s) == pytest.approx(np.full(100, 0.5), abs=1e-4)
    assert match.first.size == 100


def test_nothing_in_common() -> None:
    assert match_pulses(np.arange(10.0), 1e6 + np.arange(10.0)).first.size == 0
    assert match_pulses(np.array([1.0]), np.array([1.5])).first.size == 1


def test_a_line_through_points_with_outliers() -> None:
    since_s = np.linspace(-50, 50, 201)
    lags_s = 0.2 + 1e-4 * since_s
    lags_s[::4] += 0.5
    lag_s, drift, spread_s = fit_line(since_s, lags_s)
    assert (lag_s, drift) == pytest.approx((0.2, 1e-4), abs=1e-7)
    assert spread_s < 1e-6


def test_of_few_points_the_line_is_level() -> None:
    assert fit_line(np.arange(3.0), np.array([1.0, 2.0, 4.0]))[:2] == (2.0, 0.0)
