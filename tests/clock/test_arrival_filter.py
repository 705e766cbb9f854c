"""Of many arrivals the promptest of each half second is kept."""

from __future__ import annotations

import numpy as np

from bela_module.clock.arrival_filter import MinimumDelayFilter


def test_the_promptest_of_each_span_is_kept() -> None:
    arrivals = MinimumDelayFilter()
    for received_s, delay_s in [(0.0, 5.0), (0.1, 3.0), (0.2, 4.0), (0.6, 9.0), (0.7, 10.0)]:
        if arrivals.would_keep(received_s, delay_s):
            arrivals.keep(int(received_s * 100), received_s, delay_s)
    np.testing.assert_allclose(arrivals.since(-1.0, 5, 0.1), [[5, 0.0], [55, 0.5]])
    np.testing.assert_allclose(arrivals.since(0.5, 0, 0.0), [[60, 0.6]])


def test_nothing_is_an_empty_table() -> None:
    assert MinimumDelayFilter().since(0.0, 0, 0.0).shape == (0, 2)


def test_their_number_is_bounded() -> None:
    arrivals = MinimumDelayFilter()
    for second in range(5000):
        arrivals.keep(second, float(second), 0.0)
    assert len(arrivals.since(0.0, 0, 0.0)) <= 513


def test_large_ticks_are_exact() -> None:
    arrivals = MinimumDelayFilter()
    arrivals.keep(2**60 + 3, 1.0, 0.0)
    assert arrivals.since(0.0, 2**60, 0.0)[0, 0] == 3.0


def test_delays_are_compared_by_the_latest_estimate() -> None:
    arrivals = MinimumDelayFilter()
    arrivals.use_estimate(lambda tick: 0.0)  # before any arrival
    arrivals.keep(100, 0.1, 0.001)
    arrivals.use_estimate(lambda tick: tick / 1000 - 0.05)
    assert arrivals.would_keep(0.2, 0.049)
    assert not arrivals.would_keep(0.2, 0.051)
