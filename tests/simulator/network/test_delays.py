"""Delays have the distribution that was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.simulator.network.delays import LinkDelay


@pytest.mark.parametrize(
    "wrong",
    [{"delay_s": -1.0}, {"jitter_s": math.nan}, {"spike_share": 7.0}, {"spike_s": math.inf}],
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
