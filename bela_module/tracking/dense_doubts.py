"""What the blocks of a dense variable that wait may be: uneven, paused, of a larger step. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from bela_module.protocol.variables import Variable
from bela_module.tracking.dense_account import DenseAccount
from bela_module.tracking.dense_steps import (
    DOUBTS_TO_DECIDE,
    GROWN_TO_DECIDE,
    BlockEvidence,
    count_doubts,
    count_grown,
    has_paused,
    is_constant,
    is_late,
    is_slowed,
    limit_by_end,
)
from bela_module.tracking.received_block import ReceivedBlock
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import GapReason, TrackedItem

_RELEARN_AFTER: Final = 32
"""Distances in a row that were not expected, after which the step is taken to have changed. An
overflowing board was seen to lose every other block nine times in a row."""


_SELDOM: Final = 8
"""Ticks from one value to the next, from which on a block takes longer than networks delay it."""

_ON_TIME: Final = 8
"""A block that is late by less than this part of its length has one step."""


class DenseDoubts(DenseAccount):
    """Judges the blocks that wait by where they begin and when they came.

    `step_changes` counts how often the step proved to be another than values had been given with.
    """

    def __init__(self, variable: Variable, ticks: RegularTicks | None = None) -> None:
        super().__init__(variable, ticks)
        self.step_changes = 0
        self._step: int | float | None = None
        self._spacing: float = 0
        self._step_is_doubtful = False
        self._forget_doubts()

    def _forget_doubts(self) -> None:
        self._recent: deque[BlockEvidence] = deque(maxlen=_RELEARN_AFTER + 1)
        self._begun = False
        self._step_is_new = False
        self._step_is_seen = False
        self._step_was_told = False
        self._step_fell = False
        self._usual_late_ticks = 0.0

    @property
    def _ends_early(self) -> bool:
        """Whether the newest block was sent at the end, though it would have been full before."""
        if not self._waiting or not isinstance(self._step, int) or self._end_tick is None:
            return False
        last = self._waiting[-1].evidence
        full_tick = last.tick + self._size * self._step
        sent_tick = last.possible_tick - max(self._usual_late_ticks, 0.0)
        if not full_tick <= self._end_tick <= sent_tick < math.inf:
            return False
        if last.n_certain == self._size and not self._next_too:
            return False  # the board has sent no more, for another reason
        return sent_tick - full_tick >= 2 * last.silent_ticks

    def _awaits_next(self, newest: BlockEvidence) -> bool:
        """Tell whether the next block is to tell when the values of the newest were assigned."""
        if not isinstance(self._step, int):
            return False
        return self._step_fell or self._ends_early or is_late(newest, self._step, self._size)

    @property
    def _is_short(self) -> bool:
        """Whether the last block has too few values to reach the end: its variable has paused."""
        if len(self._waiting) > 1 or not isinstance(self._step, int) or self._end_tick is None:
            return False
        last = self._waiting[0].evidence
        reached_tick = last.tick + (last.n_certain + 1) * self._step
        pauses = self.has_paused or (self._previous is None and self._n_pauses > 0)
        return self._ends_early or (pauses and reached_tick <= self._end_tick)

    def _prove_uneven(self, evidence: BlockEvidence, step: int) -> bool:
        """Tell whether one more block makes enough doubtful distances in a row."""
        if len(self._waiting) + 1 < DOUBTS_TO_DECIDE:
            return False
        placed = self._newest_row()
        rows = ([*placed, evidence], [*placed[-len(self._waiting) :], evidence])
        return any(count_doubts(row, step, self._size) >= DOUBTS_TO_DECIDE for row in rows)

    def _see_step(self, arrival: ReceivedBlock, step: float) -> None:
        """Learn whether a block begins just where the step has it, after the one before."""
        previous = self._previous
        if previous is not None and not self._interrupted and is_constant(step, self._spacing):
            distance = arrival.tick - previous.tick
            if distance == self._size * step:
                self._step_is_seen = True
                self._note_late(previous.evidence, distance)

    def _note_late(self, block: BlockEvidence, block_ticks: float) -> None:
        """Learn how late a block came that is proven to have the known step."""
        late_ticks = block.possible_tick - block.tick - block_ticks
        self._usual_late_ticks = late_ticks if late_ticks < math.inf else 0.0

    def _is_open(self, step: int) -> bool:
        """Tell whether all blocks that wait may be an uneven variable's, or follow losses."""
        n_waiting = len(self._waiting)
        return count_doubts(self._newest_row(), step, self._size) == n_waiting

    def _is_row_open(self, step: int) -> bool:
        """Tell whether all distances after the block that waits longest may be an uneven one's."""
        row = [arrival.evidence for arrival in self._waiting]
        return count_doubts(row, step, self._size) == len(row) - 1 < DOUBTS_TO_DECIDE

    def _may_have_paused(self, block: BlockEvidence, following: int | None, step: int) -> bool:
        """Tell whether the variable, which is regular, was not assigned for a while in a block."""
        if not (self._step_is_seen or self._step_was_told):
            return False
        # Of values that come often, another client's watch and a slow network may look the same.
        is_sure = step >= _SELDOM or (self._previous is None and not self._step_is_seen)
        if is_sure and following is not None and is_slowed(block, following, step, self._size):
            return True
        return has_paused(block, following, step, self._size, self._usual_late_ticks)

    # Steps that grow

    def _may_have_grown(self, step: int) -> bool:
        """Tell whether all blocks that wait may be those of a larger step, or follow losses."""
        row = [arrival.evidence for arrival in self._waiting]
        return 0 < count_grown(row, step, self._size, self._usual_late_ticks) == len(row) - 1

    def _note_growth(self, evidence: BlockEvidence, step: int) -> list[TrackedItem]:
        """Learn that the step has grown, as soon as enough blocks have shown it."""
        row = [*(arrival.evidence for arrival in self._waiting), evidence]
        n_before = len(row) - GROWN_TO_DECIDE - 1
        if (
            n_before < 0
            or count_grown(row[n_before:], step, self._size, self._usual_late_ticks)
            < GROWN_TO_DECIDE
        ):
            return []
        items: list[TrackedItem] = []
        for _ in range(n_before):
            items += self._withhold_first(self._waiting[1].tick, step)
        self._grow()
        return items

    def _settle_growth(self, step: int) -> list[TrackedItem]:
        """Decide whether the step has grown, now that no more blocks will come."""
        last, grown = self._waiting[-1].evidence, self._grown_step
        limit = limit_by_end(last, self._end_tick, next_too=True)
        reaches = self._end_tick is not None and last.tick + last.n_certain * grown > self._end_tick
        # Of a step that was seen, late blocks and losses just before the end look alike.
        few = not self._step_is_seen and (reaches or len(self._waiting) > 2)
        if grown <= limit and (few or len(self._waiting) > GROWN_TO_DECIDE):
            self._grow()
            return []
        items: list[TrackedItem] = []
        while self._waiting:
            following = self._waiting[1].tick if len(self._waiting) > 1 else None
            items += self._withhold_first(following, step)
        return items

    def _withhold_first(self, following: int | None, step: int) -> list[TrackedItem]:
        """Withhold the block that waits longest; whole blocks missing before it are lost."""
        items: list[TrackedItem] = []
        tick, block_ticks = self._waiting[0].tick, self._size * step
        n_blocks, rest = divmod(tick - self._accounted - step, block_ticks)
        if self._begun and n_blocks > 0 and not rest:
            reason = GapReason.RECONNECTED if self._interrupted else GapReason.LOST
            items = self._lose_until(tick, step, reason)
        self._begun = True
        return items + self._withhold_pause(following, step)

    def _note_fall(self, evidence: BlockEvidence, before: float) -> None:
        """Learn that the step has fallen: some values of the block may have the one before."""
        if not isinstance(self._step, int):
            return
        block_ticks = self._size * self._step
        late_ticks = evidence.possible_tick - evidence.tick - block_ticks
        self._step_fell = block_ticks / _ON_TIME < late_ticks < math.inf
        if not self._waiting and evidence.tick == self._accounted + before:
            self._accounted = evidence.tick - self._step

    @property
    def _grown_step(self) -> int:
        """The step that the first two blocks that wait have, if nothing was lost."""
        return (self._waiting[1].tick - self._waiting[0].tick) // self._size

    def _grow(self) -> None:
        """Go on with a larger step: that of the blocks that wait."""
        self._step, self._step_is_new, self._step_is_seen = self._grown_step, self._begun, False
        self.step_changes += self._begun
        self._accounted = min(self._accounted, self._waiting[0].tick - self._step)
        self._previous, self._n_zeros = None, 0
        self._pauses, self._n_pauses = self._pauses and self._n_pauses > 1, 0
        self._recent.clear()

    def _newest_row(self) -> list[BlockEvidence]:
        """Give what is proved by the blocks that wait and by the one placed before them."""
        placed = [] if self._previous is None or self._interrupted else [self._previous]
        return [arrival.evidence for arrival in (*placed, *self._waiting)]
