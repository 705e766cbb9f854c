"""Delays have the distribution that was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.simulator.network.delays import NETWORKS, HoldTimes, LinkDelay, Network


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay_s": -1.0},
        {"jitter_s": math.nan},
        {"spike_share": 7.0},
        {"spike_s": math.inf},
        {"hold_s": -1.0},
    ],
)
def test_a_delay_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="of a network's delay: it must be 0 to"):
        LinkDelay(**wrong)


def test_delays_have_the_distribution_that_was_asked_for() -> None:
    random = np.random.default_rng(0)
    delay = LinkDelay(0.01, jitter_s=0.001, spike_share=0.05, spike_s=0.1)
    drawn_s = np.array([delay.draw_s(random) for _ in range(20_000)])
    spikes = drawn_s >= 0.1
    assert drawn_s.min() >= 0.01
    assert spikes.mean() == pytest.approx(0.05, abs=0.01)
    assert (drawn_s[~spikes] - 0.01).mean() == pytest.approx(0.001, rel=0.05)
    assert LinkDelay().is_zero
    assert not delay.is_zero


def test_a_hold_releases_at_its_end_all_that_falls_into_it() -> None:
    delay = LinkDelay(hold_s=0.2, hold_every_s=0.5)
    assert not delay.is_zero
    at_s = np.arange(0, 1000, 0.001)
    holds = HoldTimes(delay, np.random.default_rng(0), 0.0)
    released_s = np.array([holds.release_s(float(time_s)) for time_s in at_s])
    assert np.all(np.diff(released_s) >= 0)
    held = released_s > at_s
    n_holds = np.unique(released_s[held]).size
    assert n_holds == pytest.approx(1000 / (0.5 + 0.1), rel=0.1)
    assert (released_s - at_s)[held].max() < 0.2
    assert held.mean() == pytest.approx(0.1 / 0.6, rel=0.1)


def round_trips_s(network: Network) -> np.ndarray:
    """Give round trips of a request every 50 ms, as links that keep the order make them."""
    random = np.random.default_rng(0)
    holds = [HoldTimes(delay, random, 0.0) for delay in (network.to_board, network.to_client)]
    last_s = [0.0, 0.0]
    trips_s = []
    for sent_s in np.arange(0, 3000, 0.05):
        at_s = float(sent_s)
        for k, delay in enumerate((network.to_board, network.to_client)):
            at_s = last_s[k] = max(holds[k].release_s(at_s + delay.draw_s(random)), last_s[k])
        trips_s.append(at_s - sent_s)
    return np.array(trips_s)


@pytest.mark.parametrize(
    ("name", "mean_ms", "most_ms"), [("usb", 0.4, 1.5), ("wifi", 5.0, 150), ("loaded", 25.0, 500)]
)
def test_named_networks_have_the_round_trips_that_they_promise(
    name: str, mean_ms: float, most_ms: float
) -> None:
    trips_s = round_trips_s(NETWORKS[name])
    assert trips_s.mean() * 1000 == pytest.approx(mean_ms, rel=0.2)
    assert most_ms / 3 < trips_s.max() * 1000 < most_ms * 1.1
    assert not NETWORKS[name].is_immediate
    assert Network().is_immediate
