"""The polygon of lines, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.clock.feasible_region import convex_hull, feasible_lines

WIDE = (-10.0, 10.0)


def test_two_points_on_each_side_give_the_known_polygon() -> None:
    upper, lower = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 0.0]])
    lines = feasible_lines(upper, lower, WIDE)
    assert lines.slope_range == (-1.0, 1.0)
    assert lines.relaxed_by == 0.0
    lowest, highest = lines.limits_at(np.array([0.0, 0.5, 2.0]))
    np.testing.assert_allclose(lowest, [0.0, 0.0, -1.0])
    np.testing.assert_allclose(highest, [1.0, 1.0, 2.0])
    assert [lines.limits_at_one(x) for x in (0.0, 0.5, 2.0)] == list(
        zip(lowest, highest, strict=True)
    )


def test_the_highest_x_that_reaches_a_y_is_on_the_lowest_line() -> None:
    upper, lower = np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    lines = feasible_lines(upper, lower, (0.5, 2.0))
    for y in (-1.0, 0.0, 1.0, 5.0):
        reached = lines.highest_x(y)
        assert lines.limits_at(np.array([reached]))[0][0] == pytest.approx(y, abs=1e-12)


def test_one_point_on_each_side_is_limited_by_the_slopes() -> None:
    lines = feasible_lines(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0]]), (2.0, 3.0))
    assert lines.slope_range == (2.0, 3.0)
    np.testing.assert_allclose(lines.limits_at(np.array([1.0])), [[2.0], [4.0]])


def test_of_several_points_at_one_place_the_tightest_counts() -> None:
    upper = np.array([[0.0, 3.0], [0.0, 1.0], [0.0, 2.0], [1.0, 1.0]])
    lower = np.array([[0.0, -3.0], [0.0, 0.0], [1.0, 0.0], [1.0, -1.0]])
    assert feasible_lines(upper, lower, WIDE).slope_range == (-1.0, 1.0)


def test_bounds_that_contradict_each_other_give_way_by_the_least_amount() -> None:
    upper, lower = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.5, 1.0]])
    lines = feasible_lines(upper, lower, WIDE, margin=0.01)
    assert lines.relaxed_by == pytest.approx(0.5)
    lowest, highest = lines.limits_at(np.array([0.5]))
    assert (lowest[0] + highest[0]) / 2 == pytest.approx(0.5, abs=0.01)
    assert np.all(lines.highest >= lines.lowest)


@given(seed=st.integers(0, 10**6), n_points=st.integers(1, 25))
def test_exactly_the_lines_that_satisfy_all_bounds_are_inside(seed: int, n_points: int) -> None:
    rng = np.random.default_rng(seed)
    offset, slope = rng.normal(size=2)
    x = rng.normal(size=(2, n_points)) * 3
    truth = offset + slope * x
    upper = np.stack([x[0], truth[0] + rng.exponential(size=n_points)], axis=1)
    lower = np.stack([x[1], truth[1] - rng.exponential(size=n_points)], axis=1)
    lines = feasible_lines(upper, lower, WIDE)
    assert lines.relaxed_by == 0.0
    of_hulls = feasible_lines(convex_hull(upper, 1.0), convex_hull(lower, -1.0), WIDE)
    np.testing.assert_array_equal(of_hulls.slopes, lines.slopes)
    np.testing.assert_array_equal(of_hulls.highest, lines.highest)
    for tried_slope in np.append(rng.uniform(-3, 3, 20), slope):
        lowest = np.max(lower[:, 1] - tried_slope * lower[:, 0])
        highest = np.min(upper[:, 1] - tried_slope * upper[:, 0])
        least, most = lines.slope_range
        inside = least <= tried_slope <= most
        assert inside == (highest >= lowest) or abs(highest - lowest) < 1e-9
        if inside:
            found = [np.interp(tried_slope, lines.slopes, y) for y in (lines.lowest, lines.highest)]
            np.testing.assert_allclose(found, [lowest, highest], atol=1e-9)
    at = np.array([-2.0, 0.0, 5.0])
    lowest_at, highest_at = lines.limits_at(at)
    assert np.all(lowest_at <= offset + slope * at + 1e-9)
    assert np.all(highest_at >= offset + slope * at - 1e-9)


@given(seed=st.integers(0, 10**6), n_points=st.integers(1, 400), side=st.sampled_from([1.0, -1.0]))
def test_no_point_is_beyond_the_hull_of_many(seed: int, n_points: int, side: float) -> None:
    rng = np.random.default_rng(seed)
    x = np.floor(rng.uniform(-n_points, 0.0, n_points))  # several at one place
    y = 0.7 * x + side * rng.exponential(size=n_points)
    hull = convex_hull(np.stack([x, y], axis=1), side)
    assert np.all(np.diff(hull[:, 0]) > 0)
    assert {tuple(point) for point in hull.tolist()} <= set(
        zip(x.tolist(), y.tolist(), strict=True)
    )
    assert (hull[0, 0], hull[-1, 0]) == (x.min(), x.max())
    assert np.all(side * (y - np.interp(x, hull[:, 0], hull[:, 1])) >= -1e-9)
    assert np.all(side * np.diff(np.diff(hull[:, 1]) / np.diff(hull[:, 0])) > 0)
