"""The likeliest line: inside the bounds, and better than their middle."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.clock.feasible_region import Floats, feasible_lines
from bela_module.clock.likelihood import _log_of_product, likeliest_line

SLOPES = (0.999, 1.001)
NO_ARRIVALS = np.empty((0, 2))


def probes(
    seed: int, n_probes: int = 40, mean_s: float = 0.001, burst: float = 0.0003
) -> tuple[Floats, Floats, Floats]:
    """Return ticks (in seconds, true line y = x), sending and receiving times."""
    rng = np.random.default_rng(seed)
    read_s = np.sort(rng.uniform(-20.0, 0.0, n_probes))
    ticks = read_s - rng.uniform(0.0, burst, n_probes)
    there_s, back_s = rng.exponential(mean_s, (2, n_probes))
    return ticks, read_s - there_s, read_s + back_s


def errors_s(with_arrivals: bool) -> tuple[Floats, Floats, Floats]:
    """Return errors of the offset by likelihood and of the middle, and of the slope."""
    found = []
    for seed in range(40):
        ticks, sent_s, received_s = probes(seed)
        lines = feasible_lines(
            np.stack([ticks, received_s], axis=1),
            np.stack([ticks + 0.0003, sent_s], axis=1),
            SLOPES,
        )
        at_s = np.linspace(-20.0, -0.1, 40)
        late_s = 0.002 + np.random.default_rng(seed).exponential(5e-5, 40)
        arrivals = np.stack([at_s, at_s + late_s], axis=1) if with_arrivals else NO_ARRIVALS
        offset, slope = likeliest_line(lines, ticks, sent_s, received_s, 0.0003, arrivals)
        lowest, highest = lines.limits_at(np.zeros(1))
        assert lowest[0] <= offset <= highest[0]
        found.append((offset, (lowest[0] + highest[0]) / 2, slope - 1.0))
    likeliest, middles, slopes = np.array(found).T
    return likeliest, middles, slopes


def test_of_probes_alone_it_is_as_good_as_the_middle_of_the_bounds() -> None:
    likeliest, middles, _ = errors_s(with_arrivals=False)
    assert np.std(likeliest) < 1.1 * np.std(middles)
    assert abs(np.mean(likeliest)) < 3e-5


def test_arrivals_make_rate_and_offset_better_though_their_delay_is_unknown() -> None:
    without, _, slopes_without = errors_s(with_arrivals=False)
    with_them, _, slopes = errors_s(with_arrivals=True)
    assert np.std(slopes) < 0.3 * np.std(slopes_without)
    assert np.std(with_them) < 0.8 * np.std(without)


def test_a_single_line_is_found_exactly() -> None:
    ticks = np.array([-2.0, -1.0, 0.0])
    points = np.stack([ticks, ticks + 7.0], axis=1)
    lines = feasible_lines(points, points, SLOPES, margin=1e-6)
    offset, slope = likeliest_line(lines, ticks, ticks + 7.0, ticks + 7.0, 1e-6, NO_ARRIVALS)
    assert offset == pytest.approx(7.0, abs=1e-6)
    assert slope == pytest.approx(1.0, abs=1e-6)


def test_no_delay_up_to_a_round_trip_is_preferred() -> None:
    ticks = np.arange(-10.0, 0.0, 0.25)
    for delay_s in (0.0002, 0.05, 0.2):  # each way
        received_s = ticks + delay_s
        at_s = np.arange(-10.0, 0.0, 0.5)
        arrivals = np.stack([at_s, at_s + delay_s], axis=1)
        lines = feasible_lines(
            np.stack([ticks, received_s], axis=1),
            np.stack([ticks, ticks - delay_s], axis=1),
            SLOPES,
        )
        offset, _ = likeliest_line(lines, ticks, ticks - delay_s, received_s, 1e-9, arrivals)
        assert offset == pytest.approx(0.0, abs=0.01 * delay_s)


def test_ticks_that_are_far_between_are_placed_by_the_promptest_arrival() -> None:
    ticks = np.arange(-10.0, 1.0)
    arrivals = np.stack([ticks, ticks + 0.001], axis=1)
    lines = feasible_lines(arrivals, np.stack([ticks + 1.0, ticks + 0.8], axis=1), SLOPES)
    offset, _ = likeliest_line(lines, ticks, ticks + 0.8, ticks + 0.801, 1.0, arrivals)
    assert offset == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("n_factors", [1, 31, 32, 33, 240])
def test_few_logarithms_give_the_same_as_many(n_factors: int) -> None:
    rng = np.random.default_rng(n_factors)
    factors = 10.0 ** rng.uniform(-7, 1, (3, 4, n_factors))
    factors[0, 0] = 1e-7  # the smallest that there are, everywhere
    np.testing.assert_allclose(_log_of_product(factors), np.log(factors).sum(axis=-1), rtol=1e-12)
