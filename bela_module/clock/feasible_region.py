"""Feasible region of lines between upper and lower points, a polygon known exactly. Pure.

A line ``y = offset + slope * x`` has to stay below *upper* points and above *lower* points.
For one slope the offsets it may have reach from the highest lower point to the lowest upper
point, both seen along that slope; between the slopes of the edges of the points' convex hulls
these two limits are linear. So the feasible region is a convex polygon in the plane of slope
and offset that is known exactly from a handful of slopes: no search, no iteration, no solver.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FEW_POINTS = 16  # of which all are looked at


@dataclass(frozen=True)
class FeasibleLines:
    """The polygon of the lines ``y = offset + slope * x`` that satisfy all bounds.

    Parameters
    ----------
    slopes : array of shape (n,)
        Ascending slopes; between two neighbours both limits are linear.
    lowest, highest : array of shape (n,)
        The offsets that each slope may have, ``lowest <= highest``.
    relaxed_by : float
        How far every bound had to give way, in units of y, for any line to exist; 0 when the
        bounds agree with one line.
    """

    slopes: Floats
    lowest: Floats
    highest: Floats
    relaxed_by: float

    @property
    def slope_range(self) -> tuple[float, float]:
        """The smallest and the largest slope of any feasible line."""
        return float(self.slopes[0]), float(self.slopes[-1])

    def slopes_within(self, tolerance: float) -> tuple[float, float]:
        """Return the range of slopes, wider by a relative tolerance."""
        low, high = self.slope_range
        return low * (1.0 - tolerance), high * (1.0 + tolerance)

    def limits_at(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the lowest and the highest y that a feasible line has at each x.

        Parameters
        ----------
        x : array of shape (k,)

        Returns
        -------
        lowest, highest : array of shape (k,)
        """
        rise = self.slopes[:, None] * x
        lowest = (self.lowest[:, None] + rise).min(axis=0)
        highest = (self.highest[:, None] + rise).max(axis=0)
        return lowest, highest

    def limits_at_one(self, x: float) -> tuple[float, float]:
        """Return the lowest and the highest y that a feasible line has at one x."""
        return (
            min([offset + slope * x for slope, offset in self._lowest_lines]),
            max([offset + slope * x for slope, offset in self._highest_lines]),
        )

    def highest_x(self, y: float) -> float:
        """Return the highest x at which a feasible line, of positive slope, reaches y."""
        return max([(y - offset) / slope for slope, offset in self._lowest_lines])

    # Plain numbers, for they are few, and asked for with each read and each probe.

    @functools.cached_property
    def _lowest_lines(self) -> list[tuple[float, float]]:
        return list(zip(self.slopes.tolist(), self.lowest.tolist(), strict=True))

    @functools.cached_property
    def _highest_lines(self) -> list[tuple[float, float]]:
        return list(zip(self.slopes.tolist(), self.highest.tolist(), strict=True))


def feasible_lines(
    upper: Floats, lower: Floats, slope_limits: tuple[float, float], margin: float = 0.0
) -> FeasibleLines:
    """Find all lines below the upper and above the lower points.

    When no line satisfies the bounds, every one of them gives way by the same, smallest
    possible amount (the minimax solution), and the result says by how much.

    Parameters
    ----------
    upper, lower : array of shape (n, 2) and (m, 2)
        Points (x, y), at least one of each, in any order.
    slope_limits : tuple of float
        The possible slopes, ascending.
    margin : float
        What is left free, in units of y, around a line that is only just possible.

    Returns
    -------
    FeasibleLines
    """
    return lines_between(convex_hull(upper, 1.0), convex_hull(lower, -1.0), slope_limits, margin)


def lines_between(
    above: Floats, below: Floats, slope_limits: tuple[float, float], margin: float = 0.0
) -> FeasibleLines:
    """Find all lines between two hulls of :func:`convex_hull`: see :func:`feasible_lines`."""
    # In plain numbers: hulls have few points, with which arrays would take longer.
    upper, lower = above.tolist(), below.tolist()
    least, most = slope_limits
    edges = [
        (y1 - y0) / (x1 - x0) for hull in (upper, lower) for (x0, y0), (x1, y1) in pairwise(hull)
    ]
    slopes = sorted({least, most, *(min(max(slope, least), most) for slope in edges)})
    highest = [min([y - slope * x for x, y in upper]) for slope in slopes]
    lowest = [max([y - slope * x for x, y in lower]) for slope in slopes]
    widest = max([high - low for high, low in zip(highest, lowest, strict=True)])
    missing = max(0.0, 0.5 * (margin - widest))
    columns = [
        _Column(slope, low - missing, high + missing, high - low + 2 * missing)
        for slope, low, high in zip(slopes, lowest, highest, strict=True)
    ]
    inside = [k for k, column in enumerate(columns) if column.width >= 0.0]  # concave in the slope
    first, last = inside[0], inside[-1]
    kept = columns[first : last + 1]
    if first > 0:
        kept.insert(0, _crossing(columns[first - 1], columns[first]))
    if last + 1 < len(columns):
        kept.append(_crossing(columns[last + 1], columns[last]))
    at, lowest_at, highest_at, _ = np.array(list(zip(*kept, strict=True)))
    return FeasibleLines(at, lowest_at, highest_at, max(0.0, missing - 0.5 * margin))


class _Column(NamedTuple):
    """The offsets that the lines of one slope may have, from the lowest to the highest."""

    slope: float
    lowest: float
    highest: float
    width: float


def _crossing(outside: _Column, inside: _Column) -> _Column:
    """Interpolate where the width between two neighbours is zero."""
    share = inside.width / (inside.width - outside.width)
    return _Column(*(at + share * (to - at) for at, to in zip(inside, outside, strict=True)))


def convex_hull(points: Floats, side: float) -> Floats:
    """Find the convex hull facing the line, on which alone the feasible lines depend.

    Parameters
    ----------
    points : array of shape (n, 2)
        Points (x, y), at least one, in any order.
    side : float
        1 for upper points, whose hull is the lower one; -1 for lower points.

    Returns
    -------
    array of shape (k, 2)
        Those on the hull, by ascending x; of points at one x the tightest.
    """
    order = np.lexsort((side * points[:, 1], points[:, 0]))
    hull: list[tuple[float, float]] = []
    for x, y in _near_hull(points[order], side).tolist():
        if hull and x == hull[-1][0]:
            continue  # of points at one x, only the tightest counts, and it came first
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if side * ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) > 0.0:
                break
            hull.pop()
        hull.append((x, y))
    return np.array(hull)


def _near_hull(points: Floats, side: float) -> Floats:
    """Leave out most of the points that cannot be on the hull, of points by ascending x.

    What lies beyond the two lines that join the first, the outermost and the last one is not on it.
    """
    if len(points) < _FEW_POINTS:
        return points
    x, y = points.T
    beyond = side * (y - np.interp(x, x[[0, -1]], y[[0, -1]]))
    corners = [0, int(beyond.argmin()), -1]
    near = side * (y - np.interp(x, x[corners], y[corners])) < 0.0
    near[corners] = True
    found: Floats = points[near]
    return found
