"""Sparse variables whose values come one by one, with blocks beside them as proof. Pure, no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.tracking.runs import GapReason, TrackedItem, ValueRun
from bela_module.tracking.single_values import PROMPT_PERIOD_TICKS, SingleValue, Transport, join
from bela_module.tracking.sparse_tracker import SparseTracker

_MAX_UNPROVEN: Final = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """What a block's values are, beside those that came singly."""

    n_repeated: int
    fresh: ValueRun
    late: ValueRun
    """Values that were not given, but a later one was."""
    too_close: bool
    """Whether some of these follow the one before by less than two ticks."""


class PromptSparseTracker(SparseTracker):
    """Tracks a sparse variable by blocks, by single values, or from one to the other.

    A block carries the tick of each of its values, so that it tells exactly which of them came
    singly: the others are given if none that is later was, and counted as lost if one was, since
    no earlier value can be given afterwards. See ``Tracker`` for how to use it.
    """

    def __init__(self, variable: Variable) -> None:
        self._unproven: list[int] = []
        self._held: list[SingleValue] = []
        super().__init__(variable)

    def _forget(self) -> None:
        super()._forget()
        self._transport = Transport.BLOCK
        self._unproven.clear()
        self._held.clear()
        self._proven_tick = -1
        self._n_orphans = 0
        self._single_tick = -1

    @property
    def transport(self) -> Transport:
        """Where the values are taken from."""
        return self._transport

    @property
    def awaits_block(self) -> bool:
        """Whether single values are held until a block has what came before them."""
        return self._transport is Transport.AWAITED and bool(self._held)

    @property
    def finished(self) -> bool:
        """Whether a value at or after the known end has come, and its proof."""
        if self._transport is Transport.BLOCK and not self._unproven:
            return super().finished
        return self._end_tick is not None and self._proven_tick >= self._end_tick

    def take_singles(self, *, from_start: bool = False) -> None:
        """Take single values, which the board was asked for: see the base class."""
        if self._transport is Transport.BLOCK:
            self._transport = Transport.SINGLE if from_start else Transport.AWAITED

    def ignore_singles(self) -> list[TrackedItem]:
        """Take values from blocks again: see the base class."""
        if self._transport is Transport.AWAITED:
            self._held.clear()  # the blocks have them, too
        self._transport = Transport.BLOCK
        return []

    def add(self, block: Block, possible_tick: float = math.inf) -> list[TrackedItem]:
        """Take the next block or single value: see the base class."""
        if block.monitor:
            return self._add_single(block)
        if self._transport is Transport.BLOCK and not self._unproven:
            items = super().add(block, possible_tick)
            self._proven_tick = max(self._proven_tick, self._newest_tick)
            return items
        if self._is_stale(block):
            self.stale += 1
            if self._interrupted and self._newest_tick >= 0:
                found = self._compare(block)
                self._n_missing += found.late.ticks.size + found.fresh.ticks.size
            return []
        return self._add_proof(block)

    def missed_block(self) -> list[TrackedItem]:
        """Count a lost block, or keep in mind that it may have been a single value."""
        if self._transport is Transport.BLOCK and not self._unproven:
            return super().missed_block()
        self._n_orphans += 1
        return []

    def interrupted(self) -> list[TrackedItem]:
        """Record that the connection was lost: what is held is given, since it is certain."""
        items = self._release(math.inf)
        self._transport = Transport.BLOCK
        self._n_orphans = 0
        return items + super().interrupted()

    def finish(self) -> list[TrackedItem]:
        """Account for everything: see the base class."""
        items = self._release(math.inf)
        self._unproven.clear()
        return items + super().finish()

    # ---- single values --------------------------------------------------------------------

    def _add_single(self, block: Block) -> list[TrackedItem]:
        if self._transport is Transport.BLOCK or self._is_stale(block):
            return []
        if block.tick <= self._single_tick:
            self.repeated += 1
            return []
        self._single_tick = block.tick
        single = SingleValue(block.tick, block.values)
        if self._transport is Transport.AWAITED:
            self._held.append(single)
            # As many would have filled a block that can still come.
            hopeless = len(self._held) > 2 * self.variable.layout.value_count
            return self._release(math.inf) if hopeless else []
        return self._give_singles([single])

    def _give_singles(self, singles: Sequence[SingleValue]) -> list[TrackedItem]:
        """Give single values that are later than all before and not after the end."""
        later = [single for single in singles if single.tick > self._newest_tick]
        if not later:
            return []
        items = self._close(later[0].tick - 1)
        ticks, values = join(later)
        n_kept = self._count_before_end(ticks)
        self._newest_tick = int(ticks[-1])
        if n_kept:
            self._unproven += ticks[:n_kept].tolist()
            del self._unproven[:-_MAX_UNPROVEN]
            items.append(self._run(ticks[:n_kept], values[:n_kept]))
        return items

    def _release(self, before_tick: float) -> list[TrackedItem]:
        """Give the held values before a tick; with the last of them nothing is held any more."""
        n_given = sum(single.tick < before_tick for single in self._held)
        given, self._held = self._held[:n_given], self._held[n_given:]
        if self._transport is Transport.AWAITED and not self._held and before_tick == math.inf:
            self._transport = Transport.SINGLE
        return self._give_singles(given)

    # ---- blocks as proof --------------------------------------------------------------------

    def _add_proof(self, block: Block) -> list[TrackedItem]:
        """Take a block beside single values: give what they lack, or count it as lost."""
        covers_held = bool(self._held) and int(block.ticks[-1]) >= self._held[0].tick
        items = self._release(block.tick)
        found = self._compare(block)
        self._count_lost_blocks(block.tick)
        self.repeated += found.n_repeated
        last_tick = int(block.ticks[-1])
        items += self._lose(found.late, too_close=found.too_close)
        items += self._give_from_block(found.fresh.ticks, found.fresh.values)
        self._newest_block_tick = block.tick
        self._proven_tick = max(self._proven_tick, last_tick)
        self._unproven = [tick for tick in self._unproven if tick > last_tick]
        self._held = [single for single in self._held if single.tick > last_tick]
        if covers_held:
            items += self._release(math.inf)
        return items

    def _compare(self, block: Block) -> _Comparison:
        """Tell which of a block's values were given before, are new, or can no more be given."""
        ticks = block.ticks
        goes_on = self._newest_block_tick < block.tick == self._proven_tick
        n_old = int(np.searchsorted(ticks, self._proven_tick, "left" if goes_on else "right"))
        rest = ticks[n_old:]
        before = ticks[n_old - 1] if n_old else self._proven_tick
        distances = np.diff(rest, prepend=before)
        given = np.isin(rest, np.array(self._unproven, dtype=np.int64)) & (distances > 0)
        # A further value of the newest tick is not earlier than what was given.
        missing = ~given & (rest < self._newest_tick)
        fresh = ~given & ~missing
        values = block.values[n_old:]
        return _Comparison(
            n_old,
            ValueRun(rest[fresh], values[fresh]),
            ValueRun(rest[missing], values[missing]),
            bool(np.any(missing & (distances < PROMPT_PERIOD_TICKS))),
        )

    def _give_from_block(self, ticks: Ticks, values: Array) -> list[TrackedItem]:
        if not ticks.size:
            return []
        items = self._close(int(ticks[0]) - 1)
        n_kept = self._count_before_end(ticks)
        self._newest_tick = int(ticks[-1])
        if n_kept:
            items.append(self._run(ticks[:n_kept], values[:n_kept]))
        return items

    def _lose(self, late: ValueRun, *, too_close: bool) -> list[TrackedItem]:
        """Count values that a block has and that did not come singly."""
        n_kept = self._count_before_end(late.ticks)
        if not n_kept:
            return []
        self.left_out += n_kept
        self.too_close = self.too_close or too_close
        reason = GapReason.TOO_CLOSE if too_close else GapReason.LOST
        late = ValueRun(late.ticks[:n_kept], late.values[:n_kept])
        first_tick, last_tick = int(late.ticks[0]), int(late.ticks[-1])
        return [self._gap(first_tick, last_tick, n_kept, reason, late)]

    def _count_lost_blocks(self, tick: int) -> None:
        """Count what lost blocks had and did not come singly, where headers tell of such blocks."""
        orphans, self._n_orphans = self._n_orphans, 0
        n_between = sum(one < tick for one in self._unproven)
        if orphans and n_between:
            size = self.variable.layout.value_count
            self._n_missing += -n_between % size
