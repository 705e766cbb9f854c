"""Ticks of evenly spaced values, shared by variables that are assigned together. Pure, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np

from bela_module.protocol.variables import Ticks

_MAX_KNOWN: Final = 8


class RegularTicks:
    """Makes arrays of evenly spaced ticks, and gives the same array for the same ticks.

    Many variables are assigned together, so that their blocks have the same ticks: they share one
    array, and what is computed from it can be computed once.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int, int], Ticks] = OrderedDict()

    def get(self, first_tick: int, n_values: int, step_ticks: int) -> Ticks:
        """Return the ticks of some values; the array is read-only.

        Parameters
        ----------
        first_tick : int
            Tick of the first value.
        n_values : int
            Number of values.
        step_ticks : int
            Ticks from one to the next, at least 1.
        """
        key = first_tick, n_values, step_ticks
        ticks = self._known.get(key)
        if ticks is None:
            until_tick = first_tick + n_values * step_ticks
            ticks = np.arange(first_tick, until_tick, step_ticks, dtype=np.int64)
            ticks.flags.writeable = False
            self._known[key] = ticks
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return ticks
