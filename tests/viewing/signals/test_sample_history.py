"""The samples of the last minute: what is kept, found and counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bela_module.viewing.signals.sample_history import SampleHistory

TIMES = st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=9), min_size=1, max_size=9)


def filled(blocks: list[list[int]], kept_s: float = 1e6) -> tuple[SampleHistory, list[float]]:
    """Add blocks of samples, later and later, whose values are their times."""
    history, stamps, at_s = SampleHistory(1, kept_s), [], 0.0
    for steps in blocks:
        block = []
        for step in steps:
            at_s += step
            block.append(at_s)
        stamps += block
        history.add(np.array(block), np.array(block)[:, None])
    return history, stamps


@given(TIMES, st.integers(-5, 500), st.integers(-5, 500))
def test_it_finds_the_samples_of_a_span(blocks: list[list[int]], a: int, b: int) -> None:
    history, stamps = filled(blocks)
    first_s, last_s = min(a, b), max(a, b)
    expected = [s for s in stamps if first_s <= s <= last_s]
    found = history.between(first_s, last_s)
    assert found.stamps_s.tolist() == expected
    assert found.values[:, 0].tolist() == expected
    assert history.count_between(first_s, last_s) == len(expected)


@given(TIMES, st.integers(1, 500))
def test_it_gives_the_sample_before_a_span(blocks: list[list[int]], first_s: int) -> None:
    history, stamps = filled(blocks)
    before = [s for s in stamps if s < first_s]
    expected = before[-1:] + [s for s in stamps if first_s <= s <= 1000]
    assert history.between(first_s, 1000, and_before=True).stamps_s.tolist() == expected


def test_it_forgets_what_is_older_than_it_keeps() -> None:
    history, _ = filled([[1] * 5] * 20, kept_s=10)
    assert history.between(0, 1000).stamps_s[0] == 100 - 10
    assert history.last_stamp_s == 100
    assert history.last_values is not None
    assert history.last_values.tolist() == [100]


def test_an_empty_one_has_nothing() -> None:
    history = SampleHistory(3, 10)
    history.add(np.empty(0), np.empty((0, 3)))
    assert history.last_stamp_s is None
    assert history.last_values is None
    assert history.between(0, 1).values.shape == (0, 3)


def test_another_clock_begins_anew() -> None:
    history = SampleHistory(1, 10)
    history.add(np.array([5.0, 6.0]), np.ones((2, 1)))
    history.add(np.array([1.0]), np.zeros((1, 1)))
    assert history.generation == 1
    assert history.between(0, 10).stamps_s.tolist() == [1.0]
