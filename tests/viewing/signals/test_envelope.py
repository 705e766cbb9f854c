"""Minimum and maximum of bins, beside a plain loop over all samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.viewing.signals.envelope import EnvelopeRing

VALUE = st.floats(-1e6, 1e6, width=32) | st.just(math.nan)
BLOCK = st.lists(st.tuples(st.floats(0, 3, width=32), VALUE), max_size=12)


def plain(samples: list[tuple[float, float]], bin_s: float) -> dict[int, tuple[float, float]]:
    bins: dict[int, list[float]] = {}
    for stamp_s, value in samples:
        values = bins.setdefault(math.floor(stamp_s / bin_s), [])
        if not math.isnan(value):
            values.append(value)
    return {k: (min(v), max(v)) if v else (math.nan, math.nan) for k, v in bins.items()}


@given(st.lists(BLOCK, max_size=8), st.sampled_from([0.25, 0.5, 1.0, 4.0]))
def test_bins_are_those_of_a_plain_loop(
    blocks: list[list[tuple[float, float]]], bin_s: float
) -> None:
    n_bins, at_s = 16, 100.0
    ring, samples = EnvelopeRing(bin_s, n_bins, 1), []
    for block in blocks:
        stamps_s, values = [], []
        for step_s, value in block:
            at_s += step_s
            stamps_s.append(at_s)
            values.append([value])
        ring.add(np.array(stamps_s), np.array(values, np.float32).reshape(-1, 1))
        samples += [(s, float(np.float32(v[0]))) for s, v in zip(stamps_s, values, strict=True)]
    found = ring.between(0, at_s + 100)
    expected = plain(samples, bin_s)
    newest = max(expected, default=0)
    expected = {k: pair for k, pair in expected.items() if k > newest - n_bins}
    got = {
        round(begin_s / bin_s): (low, high)
        for begin_s, low, high in zip(
            found.begins_s, found.low[:, 0], found.high[:, 0], strict=True
        )
    }
    for k, pair in expected.items():
        assert got[k] == pytest.approx(pair, nan_ok=True)
    assert all(np.isnan(pair).all() for k, pair in got.items() if k not in expected)


def test_channels_are_reduced_apart() -> None:
    ring = EnvelopeRing(1.0, 4, 2)
    ring.add(np.array([0.1, 0.9, 1.5]), np.array([[1, 9], [3, 7], [5, 5]], np.int32))
    found = ring.between(0, 2)
    assert found.low.tolist() == [[1, 7], [5, 5]]
    assert found.high.tolist() == [[3, 9], [5, 5]]


def test_the_newest_value_of_a_ramp_is_the_end_of_the_last_bin() -> None:
    ring = EnvelopeRing(0.01, 100, 1)
    ramp = np.arange(10_000, dtype=np.float32)
    for k in range(0, ramp.size, 441):
        ring.add(k / 44100 + np.arange(ramp[k : k + 441].size) / 44100, ramp[k : k + 441, None])
    assert ring.between(0, 1).high[-1, 0] == 9999
