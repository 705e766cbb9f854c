"""Breaks in stamps: found where samples were left out, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.reports.stamp_breaks import find_breaks
from tests.support.recordings import regular

LEFT_OUT = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 400)), min_size=1, max_size=8)


@given(LEFT_OUT, st.floats(-400, 400), st.sampled_from([100.0, 1000.0, 44100.0]), st.randoms())
def test_every_sample_left_out_is_found(
    pieces: list[tuple[int, int]], drift_ppm: float, rate_hz: float, random: np.random.Generator
) -> None:
    """Stamps of a board that drifts, in which each piece of some samples is followed by a gap."""
    keep = np.concatenate([np.r_[np.ones(50 + n, bool), np.zeros(m, bool)] for n, m in pieces])
    keep = np.append(keep, np.ones(50, bool))
    stamps_s = (1e5 + np.arange(keep.size) / rate_hz * (1 + drift_ppm * 1e-6))[keep]
    found = find_breaks(stamps_s, rate_hz)
    assert found.n_missing.tolist() == [m for _, m in pieces]
    assert found.before.tolist() == (np.cumsum([50 + n for n, _ in pieces]) - 1).tolist()
    assert found.missing_s == pytest.approx([m / rate_hz for _, m in pieces], rel=1e-3)


def test_nothing_is_missing_without_a_gap() -> None:
    found = find_breaks(regular(1000), 1000.0)
    assert found.n_missing.size == found.n_backwards == found.n_repeated == 0
    assert found.step_s == pytest.approx(0.001)


@pytest.mark.parametrize("n", [0, 1])
def test_few_samples(n: int) -> None:
    assert find_breaks(regular(n), 1000.0).before.size == 0


def test_an_irregular_stream_lacks_nothing() -> None:
    found = find_breaks(np.array([0.0, 1.0, 50.0, 49.0, 49.0]), 0.0)
    assert found.before.size == 0
    assert (found.n_backwards, found.n_repeated) == (1, 1)


def test_a_wrong_nominal_rate_makes_no_gaps() -> None:
    found = find_breaks(regular(1000, 22050.0), 44100.0)
    assert found.before.size == 0
    assert found.step_s == pytest.approx(1 / 22050)
