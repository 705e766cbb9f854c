"""Dense variables whose values come one by one, with blocks beside them as proof. Pure, no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Ticks
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.received_block import ReceivedBlock
from bela_module.tracking.runs import GapReason, TrackedItem, Tracker
from bela_module.tracking.single_values import (
    PROMPT_PERIOD_TICKS,
    SingleValue,
    Transport,
    count_up_to_last,
    join,
)

_MAX_UNPROVEN: Final = 100_000
_EQUAL_SPACINGS: Final = 5
"""Equal distances of single values in a row that are taken for the step."""


class PromptDenseTracker(DenseTracker):
    """Tracks a dense variable by blocks, by single values, or from one to the other.

    A block tells how many values were assigned from its first tick to that of the next, so that
    those which did not come singly are counted. Where a block is in part delivered, its values are
    matched with the single ones, and the rest lies between the last of them and the next block.
    See ``Tracker`` for how to use it.
    """

    def _forget(self) -> None:
        super()._forget()
        self._transport = Transport.BLOCK
        self._bridges = False
        self._unproven: list[SingleValue] = []
        self._held: list[SingleValue] = []
        self._open_block: ReceivedBlock | None = None
        self._single_tick = -1
        self._spaced_from_tick = -1
        self._first_single_tick = -1
        self._n_counted = 0
        self._given_tick = -1
        self._block_after_end = False
        self._spacings: list[int] = []
        self._is_irregular = False
        self.was_irregular = False

    # ---- where values come from -------------------------------------------------------------

    @property
    def transport(self) -> Transport:
        """Where the values are taken from."""
        return self._transport

    @property
    def awaits_block(self) -> bool:
        """Whether single values are held until a block has what came before them."""
        return self._transport is Transport.AWAITED and bool(self._held)

    @property
    def step_ticks(self) -> int | float | None:
        """Ticks from one value to the next; a fraction, the mean, for an uneven variable."""
        return None if self._is_irregular and self.is_irregular else self._step

    @property
    def is_irregular(self) -> bool:
        """Whether values come singly, and not at one distance."""
        return self._is_irregular and self._transport is Transport.SINGLE

    @property
    def spacing_ticks(self) -> int | None:
        """Ticks between the last two single values; None before there were three of them."""
        return self._spacings[-1] if len(self._spacings) > 1 else None

    @property
    def _by_blocks(self) -> bool:
        """Whether all is as if there were no single values."""
        waits = self._transport is Transport.AWAITED and not self._held
        return waits or (self._transport is Transport.BLOCK and not self._bridges)

    @property
    def finished(self) -> bool:
        """Whether the known end has been reached: :meth:`finish` gives what is still held."""
        if self._by_blocks:
            return super().finished
        if self._end_tick is None:
            return False
        return self._single_tick >= self._end_tick and self._block_after_end

    def take_singles(self, *, from_start: bool = False) -> None:
        """Take single values, which the board was asked for: see the base class.

        Not while a block is waited for that single values have in part: try again later.
        """
        if self._transport is not Transport.BLOCK or self._bridges:
            return
        self._transport = Transport.SINGLE if from_start else Transport.AWAITED
        if self._begun:
            self._given_tick = self._accounted
        elif self._interrupted and self._start_tick is not None:
            self._given_tick = self._start_tick - 1

    def ignore_singles(self) -> list[TrackedItem]:
        """Take values from blocks again: see the base class."""
        if self._transport is Transport.SINGLE:
            self._bridges = True
        self._held.clear()  # the blocks have them, too
        self._transport = Transport.BLOCK
        self._forget_spacings()
        return []

    # ---- blocks and values ------------------------------------------------------------------

    def add(self, block: Block, possible_tick: float = math.inf) -> list[TrackedItem]:
        """Take the next block or single value: see the base class."""
        if block.monitor:
            return self._add_single(block)
        if self._by_blocks:
            return super().add(block, possible_tick)
        if self._is_stale(block):
            self.stale += 1
            return []
        if self._transport is Transport.AWAITED:
            return self._add_awaited(block, possible_tick)
        if self._open_block is not None and block.tick <= self._open_block.tick:
            self.repeated += block.values.size
            return []
        return self._add_proof(block, possible_tick)

    def end_at(self, last_tick: int, *, next_too: bool = False) -> list[TrackedItem]:
        """Set the end, inclusive, now that it is known: see the base class."""
        if self._by_blocks:
            return super().end_at(last_tick, next_too=next_too)
        return Tracker.end_at(self, last_tick, next_too=next_too)

    def interrupted(self) -> list[TrackedItem]:
        """Record that the connection was lost: see the base class."""
        if self._by_blocks:
            self._transport = Transport.BLOCK
            return super().interrupted()
        items = self._end_blocks(self._last_before_held) + self._give_held()
        self._unproven.clear()
        self._open_block = None
        self._transport, self._bridges = Transport.BLOCK, False
        self._forget_spacings()
        self._begin_blocks_after(self._given_tick)
        self._interrupted = True
        return items

    def finish(self) -> list[TrackedItem]:
        """Account for everything: see the base class."""
        if self._by_blocks:
            return super().finish()
        items = self._end_blocks(self._last_before_held) + self._give_held()
        block, self._open_block = self._open_block, None
        if block is not None and self._bridges:
            items += self._cross(block, None)
        elif block is not None:
            items += self._prove(block, None)
        self._unproven.clear()
        if self._interrupted and self._end_tick is not None:
            items += self._lose_to_end(self._end_tick)
        return items

    # ---- single values ----------------------------------------------------------------------

    def _add_single(self, block: Block) -> list[TrackedItem]:
        if self._transport is Transport.BLOCK or self._is_stale(block):
            return []
        if block.tick <= self._single_tick:
            self.repeated += 1
            return []
        if self._spaced_from_tick >= 0:
            self._learn_spacing(block.tick - self._spaced_from_tick)
        self._single_tick = self._spaced_from_tick = block.tick
        if self._first_single_tick < 0:
            self._first_single_tick = block.tick
            self._n_counted = self.delivered + self.lost
        single = SingleValue(block.tick, block.values)
        if self._transport is Transport.AWAITED:
            self._held.append(single)
            if len(self._held) <= 2 * self._size:
                return []
            # As many would have filled a block: it does not come any more.
            return self._end_blocks(self._last_before_held) + self._give_held()
        return self._give_singles([single])

    def _learn_spacing(self, spacing: int) -> None:
        self._spacings = [*self._spacings[1 - _EQUAL_SPACINGS :], spacing]
        equal = len(set(self._spacings)) == 1
        self._is_irregular = self._is_irregular or not equal
        self.was_irregular = self.was_irregular or self._is_irregular
        # Values that come at every tick or more often look as if they were two ticks apart.
        many = len(self._spacings) == _EQUAL_SPACINGS and spacing > PROMPT_PERIOD_TICKS
        # Blocks that are waited for have the step that they had.
        if equal and many and self._transport is Transport.SINGLE:
            self._step = spacing

    def _forget_spacings(self) -> None:
        """Measure no distance from the last value to the next: others come between."""
        self._spacings = []
        self._spaced_from_tick = -1

    def _give_singles(self, singles: Sequence[SingleValue]) -> list[TrackedItem]:
        """Give single values that are later than all before and not after the end."""
        given: list[SingleValue] = []
        last_tick = self._given_tick
        for single in singles:
            if single.tick <= last_tick:
                continue
            self._unproven.append(single)
            end_tick = self._end_tick
            is_next = self._next_too and end_tick is not None and last_tick < end_tick
            if end_tick is None or single.tick <= end_tick or is_next:
                given.append(single)
                last_tick = single.tick
        del self._unproven[:-_MAX_UNPROVEN]
        if not given:
            return []
        items = self._close_interruption(given[0].tick) if self._interrupted else []
        self._given_tick = last_tick
        return [*items, self._run(*join(given))]

    def _give_held(self) -> list[TrackedItem]:
        """Give what was held, and hold no more."""
        held, self._held = self._held, []
        if self._transport is Transport.AWAITED:
            self._transport = Transport.SINGLE
        return self._give_singles(held)

    def _close_interruption(self, tick: int) -> list[TrackedItem]:
        """Report what is missing since the connection was lost: counted where the step is known."""
        self._interrupted = False
        if self._given_tick < 0:
            return []
        n_lost = 0
        if isinstance(self._step, int) and not self._is_irregular:
            n_steps, off_grid = divmod(tick - self._given_tick, self._step)
            n_lost = max(n_steps - 1, 0) if not off_grid else 0  # it was assigned otherwise
        first_tick = self._given_tick + 1
        return [self._gap(first_tick, max(first_tick, tick - 1), n_lost, GapReason.RECONNECTED)]

    def _lose_to_end(self, end_tick: int) -> list[TrackedItem]:
        """Count what is missing up to the end of a run whose connection did not come back."""
        self._interrupted = False
        if self._given_tick < 0 or not isinstance(self._step, int) or self._is_irregular:
            return []
        n_lost = (end_tick - self._given_tick) // self._step
        if n_lost <= 0:
            return []
        return [self._gap(self._given_tick + 1, end_tick, n_lost, GapReason.RECONNECTED)]

    # ---- blocks as proof --------------------------------------------------------------------

    def _add_proof(self, block: Block, possible_tick: float) -> list[TrackedItem]:
        """Take a block beside single values, or after them."""
        if self._end_tick is not None and self._single_tick >= self._end_tick:
            self._block_after_end = True
        before, self._open_block = self._open_block, ReceivedBlock.of(block, possible_tick)
        came_in_part = any(single.tick >= block.tick for single in self._unproven)
        items: list[TrackedItem] = []
        if not self._bridges or came_in_part:
            if before is not None:
                items += self._prove(before, block.tick)
            self._unproven = [single for single in self._unproven if single.tick >= block.tick]
            return items
        if before is not None:
            items += self._cross(before, block.tick)
        self._unproven.clear()
        self._open_block, self._bridges = None, False
        self._begin_blocks_after(self._given_tick)
        if self.was_irregular:
            self._expect_pauses(block.tick)
        if before is not None or not isinstance(self._step, int):
            self._begin_after(block.tick - math.ceil(self._step or 1))
        return items + super().add(block, possible_tick)

    def _expect_pauses(self, tick: int) -> None:
        """Take the variable for an uneven one, whose values are spread over their blocks."""
        n_values = max(self.delivered + self.lost - self._n_counted, 1)
        self._step = float(max(tick - self._first_single_tick, 1)) / n_values
        self._pauses = True

    def _prove(self, block: ReceivedBlock, next_tick: int | None) -> list[TrackedItem]:
        """Count those values of a block that did not come singly."""
        until_tick = math.inf if next_tick is None else next_tick
        n_came = sum(block.tick <= s.tick < until_tick for s in self._unproven)
        n_lost = block.n_certain - n_came
        if n_lost <= 0:
            regular = next_tick is not None and next_tick - block.tick == self._size * (
                self._step or math.nan
            )
            self._step_is_seen = self._step_is_seen or (regular and not self._is_irregular)
            return []
        self.left_out += n_lost
        last_tick = self._given_tick if next_tick is None else next_tick - 1
        close = last_tick - block.tick + 1 < 2 * block.n_certain
        self.too_close = self.too_close or close
        reason = GapReason.TOO_CLOSE if close else GapReason.LOST
        return [self._gap(block.tick, max(block.tick, last_tick), n_lost, reason)]

    def _cross(self, block: ReceivedBlock, next_tick: int | None) -> list[TrackedItem]:
        """Give what a block has after the last single value, when single values are no more taken.

        They lie evenly between that value and the next block, which gives the step from then on.
        """
        came = [single for single in self._unproven if single.tick >= block.tick]
        n_old = count_up_to_last(block.values[: block.n_certain], came)
        items: list[TrackedItem] = []
        if n_old > len(came):
            n_lost = n_old - len(came)
            items.append(self._gap(block.tick, self._given_tick, n_lost, GapReason.LOST))
        rest = block.values[n_old : self._size if next_tick is not None else block.n_certain]
        if not rest.size:
            return items
        since_tick, first = (came[-1].tick, 1) if came else (block.tick, 0)
        step = self._step_after(since_tick, rest.size - 1 + first, next_tick)
        if step is None:
            last_tick = max(since_tick, self._end_tick or since_tick)
            return [*items, self._gap(since_tick, last_tick, rest.size, GapReason.UNKNOWN_STEP)]
        self._step, self._is_irregular = step, False
        ticks = since_tick + np.floor((first + np.arange(rest.size)) * step).astype(np.int64)
        n_late = int(np.searchsorted(ticks, self._given_tick, "right"))
        n_kept = self._count_before_end(ticks)
        if n_kept > n_late:
            items.append(self._run(ticks[n_late:n_kept], rest[n_late:n_kept]))
            self._given_tick = int(ticks[n_kept - 1])
        return items

    def _count_before_end(self, ticks: Ticks) -> int:
        """Count how many of some ticks, in order, belong to the run."""
        if self._end_tick is None:
            return ticks.size
        if self._next_too and self._given_tick < self._end_tick:
            return min(int(np.searchsorted(ticks, self._end_tick)) + 1, ticks.size)
        return int(np.searchsorted(ticks, self._end_tick, "right"))

    def _step_after(
        self, since_tick: int, n_steps: int, next_tick: int | None
    ) -> int | float | None:
        """Return the step with which values reach the next block, or the end."""
        if next_tick is not None:
            step = (next_tick - since_tick) / (n_steps + 1)
            return int(step) if step.is_integer() else step
        return None if self._is_irregular else self._step

    # ---- from blocks to single values ---------------------------------------------------------

    def _add_awaited(self, block: Block, possible_tick: float) -> list[TrackedItem]:
        """Take a block while single values are held: the one with the first of them is the last."""
        first_tick = self._held[0].tick
        received = ReceivedBlock.of(block, possible_tick)
        if block.tick > first_tick:  # the block that had it was lost
            items = self._end_blocks(self._last_before_held)
        else:
            found = self._find(received)
            if found is None:
                self._pauses = self._pauses or self._came_late(received)
                return super().add(block, possible_tick)
            at = found
            if isinstance(self._step, int) and first_tick - block.tick == at * self._step:
                items = self._end_blocks(first_tick - 1, (block, possible_tick))
            else:
                items = self._end_blocks(block.tick - 1)
                if at:
                    items.append(self._gap(block.tick, first_tick - 1, at, GapReason.UNKNOWN_STEP))
        return items + self._give_held()

    def _find(self, block: ReceivedBlock) -> int | None:
        """Find the place of the first held value in a block; None when the block ended before."""
        first = self._held[0]
        values = block.values[: block.n_certain]
        if isinstance(self._step, int):
            at, off_grid = divmod(first.tick - block.tick, self._step)
            if not off_grid and at < self._size and self._fits(block, at):
                return int(at)
        for at in range(max(values.size - len(self._held), 0), values.size):
            if self._fits(block, at):
                return at
        return None

    def _fits(self, block: ReceivedBlock, at: int) -> bool:
        """Tell whether a block's values from a place on are those that are held."""
        # Those that came after the block ended are not in it.
        n_shared = max(block.n_certain - at, 1)
        held = np.concatenate([single.value for single in self._held[:n_shared]])
        return held.size > 0 and bool(np.array_equal(block.values[at : at + held.size], held))

    def _came_late(self, block: ReceivedBlock) -> bool:
        """Tell whether a block took so long to fill that the variable had become slow in it."""
        block_ticks = self._size * (self._step or math.inf)
        return 2 * block_ticks < block.evidence.possible_tick - block.tick < math.inf

    @property
    def _last_before_held(self) -> int | None:
        """The last tick before the first value that is held, if it ends a regular row of values."""
        return self._held[0].tick - 1 if self._held and isinstance(self._step, int) else None

    def _end_blocks(
        self, last_tick: int | None, last_block: tuple[Block, float] | None = None
    ) -> list[TrackedItem]:
        """Finish what came in blocks at a tick, with one more block, without ending the run."""
        has_any = self._begun or self._waiting or last_block is not None
        if self._transport is not Transport.AWAITED or not has_any:
            return []
        end_tick, next_too = self._end_tick, self._next_too
        self._end_tick, self._next_too = None, False
        items = super().end_at(last_tick) if last_tick is not None else []
        items += super().add(*last_block) if last_block is not None else []
        items += super().finish()
        self._end_tick, self._next_too = end_tick, next_too
        self._given_tick = max(self._given_tick, self.last_tick or -1)
        return items

    def _begin_blocks_after(self, tick: int) -> None:
        """Begin with blocks after a tick that was given, or where the run began if none was."""
        start_tick, step = self._start_tick, self._step
        super()._forget()
        self._start_tick, self._step = start_tick, step
        if tick >= 0:
            self._begin_after(tick)
