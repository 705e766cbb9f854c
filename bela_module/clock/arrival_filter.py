"""Minimum-delay filter over block arrivals: one arrival kept for each half second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from bela_module.clock.feasible_region import Floats
from bela_module.clock.time_limits import ARRIVAL_SPAN_S

_MAX_KEPT = 512


class MinimumDelayFilter:
    """Keeps, of all arrivals in each half second, the one with the least delay."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float]] = deque(maxlen=_MAX_KEPT)
        self._until_s = -np.inf
        self._delay_s = np.inf
        self._newest: tuple[int, float] | None = None

    def would_keep(self, received_s: float, delay_s: float) -> bool:
        """Tell whether an arrival has the least delay of its span so far; cheap.

        `delay_s` is its delay by the present estimate, up to a constant.
        """
        return received_s >= self._until_s or delay_s < self._delay_s

    def keep(self, tick: int, received_s: float, delay_s: float) -> None:
        """Keep an arrival as the one with the least delay of its span."""
        if received_s >= self._until_s:
            if self._newest is not None:
                self._kept.append(self._newest)
            self._until_s = received_s + ARRIVAL_SPAN_S
        self._newest = (tick, received_s)
        self._delay_s = delay_s

    def use_estimate(self, time_at: Callable[[int], float]) -> None:
        """Compare further arrivals of this span by a new estimate of when ticks happened."""
        if self._newest is not None:
            tick, received_s = self._newest
            self._delay_s = received_s - time_at(tick)

    def since(self, oldest_s: float, tick: int, base_s: float) -> Floats:
        """Return (tick, time) of what came after a time, relative to `tick` and `base_s`.

        An array of shape (n, 2).
        """
        known = self._kept if self._newest is None else [*self._kept, self._newest]
        points = [(at - tick, at_s - base_s) for at, at_s in known if at_s >= oldest_s]
        return np.reshape(np.array(points, dtype=np.float64), (-1, 2))
