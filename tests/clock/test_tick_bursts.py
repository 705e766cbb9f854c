"""The size of a burst, seen from replies: never too small for long, soon right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.clock.tick_bursts import burst_ticks


def replies(burst: int, n_replies: int, seed: int = 1) -> np.ndarray:
    """Ticks of replies at random times."""
    steps = np.random.default_rng(seed).integers(0, 60, n_replies)
    return burst * np.cumsum(steps) + 5


@pytest.mark.parametrize("burst", [1, 2, 8, 16, 24, 128, 1000, 4096])
def test_twenty_replies_tell_the_size(burst: int) -> None:
    assert burst_ticks(replies(burst, 20)) == burst


@given(burst=st.integers(1, 4096), n_replies=st.integers(2, 7), seed=st.integers(0, 10**6))
def test_few_replies_never_give_too_small_a_size(burst: int, n_replies: int, seed: int) -> None:
    ticks = replies(burst, n_replies, seed)
    if len(np.unique(ticks)) > 1:
        assert burst_ticks(ticks) >= burst


def test_a_reply_read_in_the_middle_of_a_burst_changes_nothing() -> None:
    ticks = replies(16, 20)
    ticks[7] += 3
    assert burst_ticks(ticks) == 16


def test_replies_in_step_with_the_bursts_give_a_size_that_a_board_can_have() -> None:
    assert burst_ticks(np.arange(20) * 10144) == 2536


def test_equal_ticks_tell_nothing() -> None:
    assert burst_ticks(np.array([7, 7, 7])) == 1
    assert burst_ticks(np.array([7])) == 1
    assert burst_ticks(np.array([7, 7]), 100) == 100


@pytest.mark.parametrize(
    ("burst", "granularity", "found"), [(16, 10, 16), (16, 100, 128), (16, 1000, 1024)]
)
def test_rounded_ticks_give_at_least_their_rounding(
    burst: int, granularity: int, found: int
) -> None:
    ticks = np.rint(replies(burst, 60) / granularity).astype(np.int64) * granularity
    assert burst_ticks(ticks, granularity) == found


@given(
    burst=st.integers(1, 64),
    at_most=st.integers(1, 256),
    n_replies=st.integers(1, 60),
    n_within=st.integers(0, 9),
    granularity=st.sampled_from([1, 10]),
    seed=st.integers(0, 10**6),
)
def test_a_known_limit_changes_nothing_below_it(
    burst: int, at_most: int, n_replies: int, n_within: int, granularity: int, seed: int
) -> None:
    ticks = replies(burst, n_replies, seed)
    ticks[:n_within] += 1  # read in the middle of a burst
    ticks -= ticks[-1]
    found = burst_ticks(ticks, granularity)
    assert burst_ticks(ticks, granularity, at_most) == min(found, at_most)
