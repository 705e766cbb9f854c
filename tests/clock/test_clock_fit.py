"""One fit: what the bounds say, and what is believed besides."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.clock.arrival_filter import MinimumDelayFilter
from bela_module.clock.clock_fit import (
    FitConstraints,
    Probe,
    fit_clock,
    ticks_since,
)

CONSTRAINTS = FitConstraints(44100.0, 0.0)


def exchanges(rate_hz: float = 44100.0, burst: int = 16, n_probes: int = 40) -> list[Probe]:
    """Exchanges of 0.4 ms with a board whose tick 0 was at 100 s."""
    sent_s = 101.0 + np.cumsum(np.random.default_rng(1).uniform(0.01, 0.5, n_probes))
    ticks = ((sent_s + 0.0002 - 100.0) * rate_hz // burst).astype(np.int64) * burst
    return [
        Probe(sent, sent + 0.0004, tick, 1)
        for sent, tick in zip(sent_s.tolist(), ticks.tolist(), strict=True)
    ]


def test_the_line_is_found_and_its_half_width_covers_the_error() -> None:
    fit = fit_clock(exchanges(), MinimumDelayFilter(), CONSTRAINTS)
    assert fit.is_consistent
    assert fit.burst == 16
    for tick in (0, 44100, 441000):
        error_s = abs(fit.time_at(tick) - (100.0 + tick / 44100.0))
        assert error_s < 0.0001
        assert error_s <= fit.half_width_s(tick) < 0.0006
        assert fit.tick_at(fit.time_at(tick)) == pytest.approx(tick, abs=1e-3)
    low_hz, high_hz = fit.rate_range_hz
    assert low_hz < 44100.0 < high_hz


def test_what_was_known_before_is_kept() -> None:
    few = exchanges(n_probes=4)
    slopes = (0.9999 / 44100.0, 1.0001 / 44100.0)
    fit = fit_clock(
        few,
        MinimumDelayFilter(),
        FitConstraints(44100.0, 0.0, max_burst_ticks=16, slope_limits=slopes),
    )
    assert fit.burst == 16
    assert slopes[0] <= fit.s_per_tick <= slopes[1]


def test_ageing_widens_what_old_bounds_say() -> None:
    probes = exchanges()
    young = fit_clock(probes, MinimumDelayFilter(), CONSTRAINTS)
    old = fit_clock(probes, MinimumDelayFilter(), FitConstraints(44100.0, 1e-5))
    tick = probes[-1].tick + 441000
    assert old.half_width_s(tick) > young.half_width_s(tick) + 0.5 * 1e-5 * 10.0**2 * 0.9


def test_an_exchange_that_contradicts_is_told_by_how_much() -> None:
    *known, newest = exchanges()
    fit = fit_clock(known, MinimumDelayFilter(), CONSTRAINTS)
    assert fit.lag_s(newest) == fit.lead_s(newest.tick, newest.received_s) == 0.0
    assert fit.lag_s(newest._replace(tick=newest.tick - 44100)) == pytest.approx(1.0, 0.01)
    assert fit.lead_s(newest.tick + 44100, newest.received_s) == pytest.approx(1.0, 0.01)
    assert fit.lead_s(newest.tick - 44100, newest.received_s) == 0.0


def test_an_arrival_that_cuts_off_what_was_possible_is_told_by_its_share() -> None:
    probes = exchanges()
    fit = fit_clock(probes, MinimumDelayFilter(), CONSTRAINTS)
    tick = probes[-1].tick + 1600
    lowest, highest = (
        float(limit[0]) + fit.base_s
        for limit in fit.lines.limits_at(np.array([float(tick - fit.tick)]))
    )
    assert fit.share_beyond(tick, highest) == pytest.approx(0.0, abs=1e-6)
    assert fit.share_beyond(tick, (lowest + highest) / 2) == pytest.approx(0.5)
    assert fit.share_beyond(tick, highest + 1.0) < 0.0


@pytest.mark.parametrize("true_hz", [44100.0, 43000.0])
def test_a_simple_ratio_is_the_estimate_before_it_is_certain(true_hz: float) -> None:
    sent_s = 101.0 + 0.03 * np.arange(12)
    ticks = ((sent_s + 0.005 - 100.0) * true_hz // 16).astype(np.int64) * 16
    known = [Probe(s, s + 0.01, t, 1) for s, t in zip(sent_s.tolist(), ticks.tolist(), strict=True)]
    fit = fit_clock(known, MinimumDelayFilter(), CONSTRAINTS)
    assert 1.0 / fit.s_per_tick == pytest.approx(44100.0, rel=3.1e-4)
    low_hz, high_hz = fit.rate_range_hz
    assert low_hz < 43000.0 < 44100.0 < high_hz
    tick = known[-1].tick + 4410
    assert abs(fit.time_at(tick) - (100.0 + tick / true_hz)) <= fit.half_width_s(tick)


def test_contradicting_bounds_are_in_the_half_width() -> None:
    probes = exchanges()
    probes[20] = probes[20]._replace(tick=probes[20].tick - 4416)
    fit = fit_clock(probes, MinimumDelayFilter(), CONSTRAINTS)
    assert not fit.is_consistent
    assert fit.half_width_s(probes[-1].tick) > 0.04


def test_ticks_are_subtracted_before_they_lose_digits() -> None:
    assert ticks_since(2**60 + 1, 2**60) == 1
    ticks = np.array([2**60 - 1, 2**60 + 1], dtype=np.uint64)
    np.testing.assert_array_equal(ticks_since(ticks, 2**60), [-1.0, 1.0])
