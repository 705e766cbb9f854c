"""Points of lines: as they are, as envelopes, as steps with dots; gaps; zoom."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.viewing.signals.gap_log import SignalGap
from bela_module.viewing.signals.sample_history import SampleHistory
from bela_module.viewing.signals.signal_points import SignalView


def history_of(stamps_s: np.ndarray, values: np.ndarray, block: int = 100) -> SampleHistory:
    history = SampleHistory(values.shape[1], 1000.0)
    for k in range(0, stamps_s.size, block):
        history.add(stamps_s[k : k + block], values[k : k + block])
    return history


def ramp(rate_hz: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    ticks = np.arange(round(rate_hz * seconds))
    return ticks / rate_hz, ticks[:, None].astype(np.float32)


def test_few_samples_are_drawn_as_they_are() -> None:
    stamps_s, values = ramp(100, 5)
    points = SignalView(history_of(stamps_s, values), 100.0).points(1.0, 5.0, 600, [])
    assert points.stamps_s[0] == pytest.approx(0.99)  # the line comes in from the left
    np.testing.assert_array_equal(points.values[:, 0], np.arange(99, 500))
    assert points.dot_stamps_s.size == 0


def test_a_gap_interrupts_the_line() -> None:
    stamps_s, values = np.array([1.0, 2, 5, 6]), np.ones((4, 1))
    points = SignalView(history_of(stamps_s, values), 100.0).points(
        0, 10, 600, [SignalGap(2.0, 5.0)]
    )
    assert points.stamps_s.tolist() == [1, 2, 3.5, 5, 6]
    assert np.isnan(points.values[:, 0]).tolist() == [False, False, True, False, False]


def test_slow_values_are_steps_that_hold_until_now_with_a_dot_each() -> None:
    points = SignalView(history_of(np.array([1.0, 3.0]), np.array([[7.0], [9.0]])), 0.0).points(
        2.0, 8.0, 600, []
    )
    assert points.stamps_s.tolist() == [1, 3, 3, 8]
    assert points.values[:, 0].tolist() == [7, 7, 9, 9]
    assert points.dot_stamps_s.tolist() == [1, 3]


def test_many_samples_are_an_envelope_that_ends_at_the_newest_sample() -> None:
    stamps_s, values = ramp(44_100, 2)
    points = SignalView(history_of(stamps_s, values, 1000), 44_100.0).points(0.0, 2.0, 300, [])
    assert points.stamps_s.size <= 2 * 302 + 1
    assert points.values[-1, 0] == values[-1, 0]
    assert points.stamps_s[-1] == stamps_s[-1]
    assert np.all(np.diff(points.stamps_s) >= 0)
    assert np.nanmin(points.values) == 0


def test_a_spike_of_one_sample_is_seen_in_any_window() -> None:
    stamps_s, values = ramp(44_100, 10)
    values[:] = 0
    values[123_456] = 5
    view = SignalView(history_of(stamps_s, values, 1000), 44_100.0)
    for first_s in (0.0, 2.0, 2.7):
        assert view.points(first_s, 10.0, 100, []).values.max() == 5


@pytest.mark.parametrize("windows", [[(0, 2)] * 3, [(0, 2), (0.5, 1), (0, 2)], [(1, 3), (0, 2)]])
def test_what_was_computed_before_changes_nothing(windows: list[tuple[float, float]]) -> None:
    stamps_s, values = ramp(10_000, 3)
    history = SampleHistory(1, 1000.0)
    view = SignalView(history, 10_000.0)
    parts = len(windows)
    for k, window in enumerate(windows):
        part = slice(k * stamps_s.size // parts, (k + 1) * stamps_s.size // parts)
        history.add(stamps_s[part], values[part])
        points = view.points(*window, 50, [])
    fresh = SignalView(history, 10_000.0).points(*windows[-1], 50, [])
    # The first bin of a fresh one begins with the span, that of the other one before it.
    np.testing.assert_allclose(points.values[2:], fresh.values[2:])


def test_scrolling_is_the_same_as_beginning_anew() -> None:
    stamps_s, values = ramp(20_000, 4)
    history = SampleHistory(1, 1000.0)
    view = SignalView(history, 20_000.0)
    for k in range(0, stamps_s.size, 800):
        history.add(stamps_s[k : k + 800], values[k : k + 800])
        now_s = float(stamps_s[k : k + 800][-1])
        points = view.points(now_s - 1, now_s, 100, [])
    fresh = SignalView(history, 20_000.0).points(now_s - 1, now_s, 100, [])
    np.testing.assert_allclose(points.values[4:], fresh.values[4:])
    np.testing.assert_allclose(points.stamps_s[4:], fresh.stamps_s[4:])


def test_bursts_of_an_irregular_stream_are_connected() -> None:
    stamps_s = np.concatenate([np.linspace(0, 1, 5000), np.linspace(9, 10, 5000)])
    view = SignalView(history_of(stamps_s, np.ones((10_000, 1))), 0.0)
    assert not np.isnan(view.points(0, 10, 100, []).values).any()


def test_many_steps_have_no_dots() -> None:
    stamps_s, values = ramp(50, 10)
    view = SignalView(history_of(stamps_s, values), 0.0)
    assert view.points(0, 10, 600, []).dot_stamps_s.size == 0
    assert view.points(9, 10, 600, []).dot_stamps_s.size == 51  # and the one before
