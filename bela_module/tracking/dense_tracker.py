"""Dense variables: values at a regular distance, one tick per block. Pure, no I/O.

The board pads a block that ends early with zeros and does not say where they begin, so the zeros
at the end of a block are held back until what follows proves them; so is a block that begins where
none should, until it shows whether values were lost or are assigned unevenly. The rules, and why
each of them is safe, are in ``docs/decisions/0003-what-a-block-proves.md``.
"""

from __future__ import annotations

import math

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable
from bela_module.tracking.dense_doubts import DenseDoubts
from bela_module.tracking.dense_steps import (
    LATE_BLOCKS,
    MAX_EVIDENCE,
    BlockEvidence,
    infer_step,
    is_constant,
    is_splice,
    limit_by_end,
    mean_step,
    steady_step,
    step_of_repeats,
)
from bela_module.tracking.received_block import ReceivedBlock
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import GapReason, TrackedItem


class DenseTracker(DenseDoubts):
    """Tracks a dense variable; see ``Tracker`` for how to use it."""

    def __init__(self, variable: Variable, ticks: RegularTicks | None = None) -> None:
        super().__init__(variable, ticks)
        self._forget()

    def _forget(self) -> None:
        """Forget the blocks of an earlier run."""
        self._forget_account()
        self._forget_doubts()
        self._start_tick: int | None = None

    @property
    def step_ticks(self) -> int | float | None:
        """Ticks from one value to the next; a fraction, the mean, for an uneven variable."""
        return self._step

    @property
    def uneven(self) -> bool:
        """Whether the sketch assigns the variable unevenly: its ticks are then interpolated."""
        return isinstance(self._step, float)

    @property
    def finished(self) -> bool:
        """Whether the known end has been reached: :meth:`finish` gives what is still held."""
        if self._end_tick is None:
            return False
        step = self._step or 1
        if self._begun and self._accounted + step > self._end_tick:
            return True
        newest = self._newest
        if newest is None or self._interrupted:
            return False
        last_tick = newest.tick + (self._size - 1) * step
        return min(last_tick, newest.evidence.possible_tick) + step > self._end_tick

    @property
    def _newest(self) -> ReceivedBlock | None:
        return self._waiting[-1] if self._waiting else self._previous

    def begin(
        self,
        first_tick: int | None = None,
        last_tick: int | None = None,
        step_ticks: float | None = None,
    ) -> None:
        """Begin a new run of the stream: see the base class."""
        super().begin(first_tick, last_tick, step_ticks)
        self._forget()
        self._start_tick = first_tick
        self._step_was_told = step_ticks is not None
        self._spacing = step_ticks or 0
        self._step_is_doubtful = False
        if step_ticks is not None:
            self._step = int(step_ticks) if step_ticks == int(step_ticks) else step_ticks

    def expect_spacing(self, ticks: int, *, doubtful: bool) -> None:
        """Learn how far ticks with values are apart: see the base class."""
        self._spacing = ticks
        self._step_is_doubtful = doubtful and isinstance(self._step, int)

    @property
    def is_step_proven(self) -> bool:
        """Whether blocks have shown that the step is right."""
        return self._step_is_seen

    def add(self, block: Block, possible_tick: float = math.inf) -> list[TrackedItem]:
        """Take the next block: see the base class."""
        if self._is_stale(block):
            self.stale += 1
            return []
        if self._follows(block, possible_tick):
            return [self._give_next(block, possible_tick)]
        # What is known to pause needs no other to show that it was not the board.
        silent_ticks = 0.0 if self._pauses else self._silent_ticks
        arrival = ReceivedBlock.of(block, possible_tick, silent_ticks)
        self._silent_ticks = 0.0
        newest = self._newest
        if newest is not None and block.tick <= newest.tick:
            self.repeated += arrival.n_certain
            return []
        items: list[TrackedItem] = []
        if self._step is not None:
            if type(self._step) is int:
                items = self._note_growth(arrival.evidence, self._step)
            self._reconsider(arrival, self._step)
        else:
            self._recent.append(arrival.evidence)
        self._waiting.append(arrival)
        return items + self._place_waiting()

    def _follows(self, block: Block, possible_tick: float) -> bool:
        """Tell whether a block is full and follows the one before it, with nothing in doubt.

        Almost all do; what is done with the others has the same result, but takes longer.
        """
        step, previous = self._step, self._previous
        if type(step) is not int or previous is None or self._waiting or self._n_zeros:
            return False
        if self._interrupted or self._end_tick is not None or self._step_is_doubtful:
            return False
        block_ticks = self._size * step
        late_ticks = possible_tick - block.tick - block_ticks  # much where it has paused or slowed
        longest = min(block_ticks, LATE_BLOCKS * self._size)
        return bool(
            block.tick == self._accounted + step
            and block.tick == previous.evidence.tick + block_ticks
            and (-step <= late_ticks <= longest or late_ticks == math.inf)
            and block.values[-1] != 0
        )

    def _give_next(self, block: Block, possible_tick: float) -> TrackedItem:
        """Give a whole block."""
        step = int(self._step or 1)
        late_ticks = possible_tick - block.tick - self._size * step
        self._usual_late_ticks = late_ticks if late_ticks < math.inf else 0.0
        evidence = BlockEvidence(block.tick, self._size, possible_tick)
        self._recent.clear()
        self._recent.append(evidence)
        self._previous = ReceivedBlock(block.values, evidence)
        self._step_is_new, self._step_is_seen, self._silent_ticks = False, True, 0.0
        return self._give(block.values, block.tick, step)

    def end_at(self, last_tick: int, *, next_too: bool = False) -> list[TrackedItem]:
        """Set the end, inclusive, now that it is known: see the base class."""
        items = super().end_at(last_tick, next_too=next_too)
        self._complete_end()
        if self._step is not None and self._end_tick is not None:
            n_before_end = int((self._end_tick - self._accounted) // self._step)
            self._n_zeros = min(self._n_zeros, max(n_before_end, 0))
        return items

    def _complete_end(self) -> None:
        """Move the end to the value that the board ends with, once values' ticks are known."""
        if self._next_too and self._begun and self._end_tick is not None:
            n_more_ticks = self._end_tick - self._accounted
            if isinstance(self._step, int) and n_more_ticks > 0:
                self._end_tick = self._accounted + math.ceil(n_more_ticks / self._step) * self._step

    def interrupted(self) -> list[TrackedItem]:
        """Record that the connection was lost: see the base class."""
        items = self._place_waiting(final=True) if self._step is not None else []
        self._dropped += self._waiting
        self._waiting = []
        self._recent.clear()
        self._usual_late_ticks = 0.0
        self._interrupted = True
        return items

    def finish(self) -> list[TrackedItem]:
        """Account for everything: see the base class."""
        items = self._place_waiting(final=True)
        if self._step is None:
            return items + self._lose_dropped() + self._withhold_waiting()
        if not self._begun:
            if self._start_tick is None:
                return items
            self._begin_after(self._start_tick - math.ceil(self._step))
        pauses = self._pauses and (isinstance(self._step, int) or not self._interrupted)
        if self._end_tick is None or pauses:
            return items + self._withhold_zeros(self._step)
        return items + self._close_end(self._end_tick, self._step)

    # What a block proves

    def _reconsider(self, arrival: ReceivedBlock, step: float) -> None:
        """Look for proof that the step is another than was thought."""
        recent, evidence = self._recent, arrival.evidence
        before = recent[-1] if recent else None
        if before is not None and evidence.tick - before.tick == self._size * step:
            recent.clear()
        recent.append(evidence)
        new: int | float | None = step
        if isinstance(step, float):
            if len(recent) > MAX_EVIDENCE:
                new = steady_step(recent, self._size) or step
                # Blocks begin at whole ticks, which several values at each of them do not divide.
                same = is_constant(step, self._spacing) and abs(new - step) * self._size < 1
                self._step = step if same else new
            return
        if evidence.step_limit < 1 <= step:
            new = None  # several values a tick: how many, the next blocks tell
        elif 1 <= evidence.step_limit < step:
            new = infer_step([evidence], self._size)
        elif before is not None and self._contradicts(arrival, step):
            new = infer_step([before, evidence], self._size)
        elif self._prove_uneven(evidence, step):
            new = mean_step([*self._newest_row(), evidence], self._size)
        elif len(recent) == recent.maxlen:
            new = steady_step(recent, self._size) or step
        if new != step:
            self._step, self._step_is_new, self._step_is_seen = new, self._begun, False
            self._note_fall(evidence, step)
            self.step_changes += self._begun
            self._previous, self._n_zeros = None, 0
            recent.clear()
            recent.append(evidence)

    def _contradicts(self, arrival: ReceivedBlock, step: int) -> bool:
        """Tell whether a block begins among values that the one before held for certain."""
        previous = self._newest
        if previous is None or self._interrupted:
            return False
        return previous.is_contradicted_by(arrival, step)

    # Placing blocks

    def _place_waiting(self, *, final: bool = False) -> list[TrackedItem]:
        """Place the blocks that can be, all of them when no more will come."""
        items: list[TrackedItem] = []
        while self._waiting:
            if self._step is None:
                evidence = [arrival.evidence for arrival in self._waiting]
                enough = final or len(evidence) >= MAX_EVIDENCE
                # The board may have ended with the next value, also where nothing is known of it.
                limit = limit_by_end(evidence[-1], self._end_tick, next_too=True)
                self._step = infer_step(evidence, self._size, final=enough, limit=limit)
            if self._step is None or (self.uneven and len(self._waiting) == 1 and not final):
                break
            if self._step_is_doubtful and not (final or self._settle_step()):
                break
            if isinstance(self._step, int) and not final and self._is_open(self._step):
                break
            self._see_step(self._waiting[0], self._step)
            following = self._waiting[1].tick if len(self._waiting) > 1 else None
            if isinstance(self._step, int) and self._may_have_grown(self._step):
                if not final:
                    break
                items += self._settle_growth(self._step)
                continue
            first = self._waiting[0].evidence
            if following is None and not final and self._awaits_next(first):
                break
            if following is not None and self._is_splice(first, following):
                items += self._lose_splice(following)
                continue
            if isinstance(self._step, int) and (
                self._may_have_paused(first, following, self._step) or (final and self._is_short)
            ):
                if not final and self._is_row_open(self._step):
                    break
                if following is not None or self._pauses or self._is_short:
                    items += self._withhold_first(following, self._step)
                    continue
            self._step_fell = False
            arrival = self._waiting.pop(0)
            if not self._begun:
                self._begin_after(self._before_first(arrival.tick, self._step))
            if isinstance(self._step, int):
                items += self._place(arrival, self._step)
            else:
                items += self._place_uneven(arrival, following, self._step)
            self._previous = arrival
            self._interrupted = self._step_is_new = False
        return items

    def _is_splice(self, block: BlockEvidence, following: int) -> bool:
        """Tell whether a block has values from before a silence of the board and from after it."""
        step = self._step
        return isinstance(step, int) and is_splice(block, following, step, self._size)

    def _lose_splice(self, following: int) -> list[TrackedItem]:
        """Count a block whose values are of two times, with what lies between them."""
        arrival, step = self._waiting.pop(0), self._step or 1
        if not self._begun:
            self._begin_after(self._before_first(arrival.tick, step))
        self._previous = None
        reason = GapReason.RECONNECTED if self._interrupted else GapReason.LOST
        return self._lose_until(following, step, reason)

    def _settle_step(self) -> bool:
        """Compare the first two blocks: at each tick there may be several values, all alike."""
        if len(self._waiting) < 2:
            return False
        self._step_is_doubtful = False
        distance = self._waiting[1].tick - self._waiting[0].tick
        self._step = step_of_repeats(distance, self._size, self._step or 1) or self._step
        return True

    def _begin_after(self, tick: int) -> None:
        self._begun, self._accounted = True, tick
        self._complete_end()

    def _before_first(self, tick: int, step: float) -> int:
        """Give the last tick before those that count, given the first block of the run."""
        just_before = tick - math.ceil(step)
        if self._dropped:
            return self._dropped[0].tick - math.ceil(step)
        if self._start_tick is None or self.uneven or self._pauses:
            return just_before
        if tick - self._start_tick < self._spacing and not self._interrupted:
            return just_before
        if self._interrupted or self._start_is_certain:
            return self._start_tick - math.ceil(step)
        # A start in time is within a step; whole blocks later, those were lost; else it was late.
        blocks, late = divmod(tick - self._start_tick, self._size * int(step))
        return just_before - (blocks * self._size * int(step) if late < step else 0)

    def _place(self, arrival: ReceivedBlock, step: int) -> list[TrackedItem]:
        items = self._close_block(arrival.tick, step)
        # Values whose ticks are accounted for already.
        n_old = max(0, -((arrival.tick - self._accounted - step) // step))
        size = self._size
        if self._end_tick is not None:
            size = min(max((self._end_tick - arrival.tick) // step + 1, 0), size)
        n_certain = min(arrival.n_certain, size)
        if n_old == 0:
            self._accounted = arrival.tick - step
        elif self._step_is_new and n_certain:
            n_late = min(n_old, n_certain)
            last_tick = arrival.tick + (n_late - 1) * step
            items.append(self._gap(arrival.tick, last_tick, n_late, GapReason.STEP))
        else:
            self.repeated += min(n_old, n_certain)
        if n_certain > n_old:
            items.append(
                self._give(arrival.values[n_old:n_certain], arrival.tick + n_old * step, step)
            )
        self._n_zeros = max(0, size - max(n_certain, n_old))
        return items

    def _close_block(self, tick: int, step: int) -> list[TrackedItem]:
        """Account for what comes before a block: zeros that it proves, and values that are lost."""
        items: list[TrackedItem] = []
        previous = self._previous
        reason = GapReason.LOST
        if self._interrupted:
            reason = GapReason.RECONNECTED
        elif previous is not None:
            block_ticks = self._size * step
            last_tick = previous.tick + block_ticks - step
            cut = self._n_zeros > 0 and previous.evidence.possible_tick < last_tick
            if tick == previous.tick + block_ticks and self._n_zeros and not cut:
                items.append(self._give_zeros(previous, step))
            elif cut or tick <= last_tick:
                reason = GapReason.CUT
            elif (tick - previous.tick) % block_ticks:
                reason = GapReason.RESTARTED
        return items + self._lose_until(tick, step, reason)
