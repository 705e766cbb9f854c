"""The promptest of many arrivals: what is worth keeping of a thousand blocks per second."""

from __future__ import annotations

from collections import deque

import numpy as np

from bela_module.clock.feasible_region import Floats

_SPAN_S = 0.5
_MOST = 512


class PromptArrivals:
    """Keeps, of all arrivals in each half second, the one that came most promptly."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float]] = deque(maxlen=_MOST)
        self._until_s = -np.inf
        self._delay_s = np.inf
        self._newest: tuple[int, float] | None = None

    def would_keep(self, received_s: float, delay_s: float) -> bool:
        """Tell whether an arrival is the promptest of its span so far; cheap.

        Parameters
        ----------
        received_s : float
            LSL time of the arrival.
        delay_s : float
            Its delay by the present estimate, up to a constant.
        """
        return received_s >= self._until_s or delay_s < self._delay_s

    def keep(self, tick: int, received_s: float, delay_s: float) -> None:
        """Take in an arrival that is the promptest of its span."""
        if received_s >= self._until_s:
            if self._newest is not None:
                self._kept.append(self._newest)
            self._until_s = received_s + _SPAN_S
        self._newest = (tick, received_s)
        self._delay_s = delay_s

    def since(self, oldest_s: float, tick: int, base_s: float) -> Floats:
        """Return what came after a time, relative to a tick and a time.

        Parameters
        ----------
        oldest_s, base_s : float
            LSL seconds.
        tick : int
            Where ticks are counted from.

        Returns
        -------
        array of shape (n, 2)
            Ticks and seconds.
        """
        known = self._kept if self._newest is None else [*self._kept, self._newest]
        points = [(at - tick, at_s - base_s) for at, at_s in known if at_s >= oldest_s]
        return np.reshape(np.array(points, dtype=np.float64), (-1, 2))
