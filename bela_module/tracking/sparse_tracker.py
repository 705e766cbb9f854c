"""Trackers of sparse and of monitored variables: their values carry ticks. Pure, no I/O."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Ticks, Variable
from bela_module.tracking.runs import GapReason, TrackedItem, Tracker


class SparseTracker(Tracker):
    """Tracks a sparse variable; see ``Tracker`` for how to use it.

    The ticks of its values do not tell whether some are missing between them. What is known to be
    lost is what :meth:`missed_block` says; a gap is reported with the block that ends it, so that
    its ticks are known.
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

    def add(self, block: Block, possible_tick: float = math.inf) -> list[TrackedItem]:
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
        if self._next_too and self._newest_tick < self._end_tick:
            return min(int(np.searchsorted(ticks, self._end_tick)) + 1, ticks.size)
        return int(np.searchsorted(ticks, self._end_tick, "right"))

    def missed_block(self) -> list[TrackedItem]:
        """Count a lost block: see the base class."""
        self._n_missing += self.variable.layout.value_count
        return []

    def finish(self) -> list[TrackedItem]:
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

    def _close(self, last_tick: int) -> list[TrackedItem]:
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
    """Tracks the single values of a monitored variable.

    `decimation_ticks` is its period while the board sends more values than were asked for, since
    they are wanted by a START as well; otherwise 0.
    """

    def __init__(self, variable: Variable) -> None:
        super().__init__(variable)
        self.decimation_ticks = 0

    def add(self, block: Block, possible_tick: float = math.inf) -> list[TrackedItem]:
        """Take the next value, unless it is one more than was asked for."""
        if self._newest_tick >= 0 and 0 < block.tick - self._newest_tick < self.decimation_ticks:
            return []
        return super().add(block, possible_tick)

    def missed_block(self) -> list[TrackedItem]:
        """Do nothing: the missing payload may have been that of a watch."""
        return []

    def _side(self, block: Block) -> Literal["left", "right"]:
        """Take a tick once, as a monitor gives it."""
        return "right"
