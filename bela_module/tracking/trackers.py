"""Per variable, from blocks in order of arrival to runs of values with exact ticks. Pure, no I/O.

Make a tracker with :func:`tracker_for`; ``Tracker`` tells how to use it.
What it gives are runs of values, each value with the tick at which the board took it, and gaps
with the number of values that are missing. Dense variables are in ``dense_tracker``; here
are those whose values carry their own ticks.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from bela_module.protocol.data_channel import Block, Ticks, Variable
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.runs import Gap, GapReason, Item, Run, Tracker

__all__ = [
    "DenseTracker",
    "Gap",
    "GapReason",
    "Item",
    "MonitorTracker",
    "Run",
    "SparseTracker",
    "Tracker",
    "tracker_for",
]


class SparseTracker(Tracker):
    """Follows a sparse variable: see ``Tracker`` for how to use it.

    The ticks of its values do not tell whether some are missing between them. What is known to be
    lost is what :meth:`missed_block` says; a gap is reported with the block that ends it, so that
    its ticks are known.

    Parameters
    ----------
    variable : Variable
        Whose blocks these are.
    """

    def __init__(self, variable: Variable) -> None:
        super().__init__(variable)
        self._forget()

    def _forget(self) -> None:
        self._n_missing = 0
        self._newest_tick = -1
        self._newest_block_tick = -1

    @property
    def finished(self) -> bool:
        """Whether a value at or after the known end has come."""
        return self._end_tick is not None and self._newest_tick >= self._end_tick

    def begin(
        self,
        first_tick: int | None = None,
        last_tick: int | None = None,
        step_ticks: float | None = None,
    ) -> None:
        """Begin a new run of the stream: see the base class."""
        super().begin(first_tick, last_tick, step_ticks)
        self._forget()

    def add(self, block: Block, possible_tick: float = math.inf) -> list[Item]:
        """Take the next block: see the base class."""
        ticks = block.ticks
        n_old = int(np.searchsorted(ticks, self._newest_tick, self._side(block)))
        if self._is_stale(block):
            self.stale += 1
            if self._interrupted and self._newest_tick >= 0:
                # A splice: its values cannot be trusted, but as many were written and are lost.
                self._n_missing += ticks.size - n_old
            return []
        self.repeated += n_old
        if n_old == ticks.size:
            return []
        items = self._close(block.tick - 1)
        n_kept = self._count_before_end(ticks)
        self._newest_tick = int(ticks[-1])
        self._newest_block_tick = block.tick
        if n_kept > n_old:
            items.append(self._run(ticks[n_old:n_kept], block.values[n_old:n_kept]))
        return items

    def _count_before_end(self, ticks: Ticks) -> int:
        """Count how many of a block's values belong to the stream."""
        if self._end_tick is None:
            return ticks.size
        if self._next_too and not self.finished:
            return min(int(np.searchsorted(ticks, self._end_tick)) + 1, ticks.size)
        return int(np.searchsorted(ticks, self._end_tick, "right"))

    def missed_block(self) -> list[Item]:
        """Take note that a block was lost for certain: see the base class."""
        self._n_missing += self.variable.layout.value_count
        return []

    def finish(self) -> list[Item]:
        """Account for everything: see the base class."""
        if self._n_missing == 0:
            self._interrupted = False
            return []
        last_tick = self._newest_tick if self._end_tick is None else self._end_tick
        return self._close(last_tick)

    def _side(self, block: Block) -> Literal["left", "right"]:
        """Tell whether values at the newest tick are further ones of it or come again.

        A sketch may assign a variable twice in one tick, with the end of a block between.
        """
        goes_on = self._newest_block_tick < block.tick == self._newest_tick
        return "left" if goes_on else "right"

    def _close(self, last_tick: int) -> list[Item]:
        """Report what is missing since the newest value, up to a tick."""
        n_missing, self._n_missing = self._n_missing, 0
        interrupted, self._interrupted = self._interrupted, False
        begun = self._newest_tick >= 0
        if not n_missing and not (interrupted and begun):
            return []
        reason = GapReason.RECONNECTED if interrupted else GapReason.LOST
        first_tick = self._newest_tick + 1 if begun else min(self._floor_tick or 0, last_tick)
        return [self._gap(first_tick, max(first_tick, last_tick), n_missing, reason)]


class MonitorTracker(SparseTracker):
    """Follows a monitored variable, single values: see the base class.

    Parameters
    ----------
    variable : Variable
        Whose values these are.
    """

    def missed_block(self) -> list[Item]:
        """Do nothing: the missing payload may as well have been that of a watch."""
        return []

    def _side(self, block: Block) -> Literal["left", "right"]:
        """Take a tick once, as a monitor gives it."""
        return "right"


def tracker_for(variable: Variable, *, monitor: bool = False) -> Tracker:
    """Make the tracker for a variable.

    Parameters
    ----------
    variable : Variable
        Whose blocks it shall follow.
    monitor : bool, optional
        Whether they come from a monitor and not from a watch.

    Returns
    -------
    Tracker
        A new one, which must be given blocks of that kind only.
    """
    if monitor:
        return MonitorTracker(variable)
    return SparseTracker(variable) if variable.sparse else DenseTracker(variable)
