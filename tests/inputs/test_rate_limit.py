"""The limit of a rate: exact in the mean, with a tolerance for jitter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.inputs.rate_limit import RateLimit


def test_what_comes_at_the_rate_with_jitter_is_never_held_back() -> None:
    limit = RateLimit(1000.0)
    for k in range(3000):
        now_s = 1e-3 * k + (0.002 if k % 7 == 0 else 0.0) - (0.0019 if k % 5 == 0 else 0.0)
        assert limit.wait_s(now_s) == 0.0
        limit.note(now_s)


@given(st.floats(1.0, 10_000.0), st.lists(st.floats(0.0, 0.01), min_size=1, max_size=200))
def test_a_flood_passes_at_the_rate(max_rate_hz: float, pauses_s: list[float]) -> None:
    limit = RateLimit(max_rate_hz)
    now_s = 100.0
    for n_passed, pause_s in enumerate(pauses_s, 1):
        now_s += pause_s
        wait_s = limit.wait_s(now_s)
        assert 0.0 <= wait_s <= 1.0 / max_rate_hz + 1e-9
        now_s += wait_s
        limit.note(now_s)
        assert n_passed <= (now_s - 100.0 + 0.005) * max_rate_hz + 1 + 1e-6


def test_a_pause_is_not_saved_up() -> None:
    limit = RateLimit(100.0)
    limit.note(0.0)
    limit.note(60.0)
    limit.note(60.0)
    assert limit.wait_s(60.0) == pytest.approx(0.02 - 0.005)
