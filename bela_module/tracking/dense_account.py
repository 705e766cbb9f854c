"""What of a dense variable is given, lost or withheld, up to which tick. Pure, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.tracking.dense_steps import BlockEvidence
from bela_module.tracking.received_block import ReceivedBlock
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import GapReason, TrackedItem, Tracker

_PAUSES_TO_TELL: Final = 2
"""Pauses after which a variable is taken to have them again and again."""
_LOSS_FACTOR: Final = 1.9
"""Distance of two blocks, in usual distances, above which one was lost between them."""


class DenseAccount(Tracker):
    """Keeps the tick up to which all values are accounted for, and what is held back.

    ``_accounted`` is that tick; ``_n_zeros`` zeros at the end of the previous block may be values
    or padding; ``_waiting`` blocks have no place yet, and ``_dropped`` ones never get one.
    """

    def __init__(self, variable: Variable, ticks: RegularTicks | None = None) -> None:
        super().__init__(variable)
        self._ticks = ticks if ticks is not None else RegularTicks()
        self._size = variable.layout.value_count
        self._forget_account()

    def _forget_account(self) -> None:
        self._waiting: list[ReceivedBlock] = []
        self._dropped: list[ReceivedBlock] = []
        self._previous: ReceivedBlock | None = None
        self._accounted = 0
        self._n_zeros = 0
        self._pauses = False
        self._n_pauses = 0
        self._silent_ticks = 0.0

    def expect_pauses(self) -> None:
        """Learn that the variable is not assigned all the time: see the base class."""
        self._pauses = True

    @property
    def has_paused(self) -> bool:
        """Whether the variable, which is regular, was again and again not assigned for a while."""
        return self._n_pauses >= _PAUSES_TO_TELL

    def not_assigned_at_end(self) -> None:
        """Learn that the variable was not assigned any more: see the base class."""
        self._end_tick = None

    def sent_by(self, tick: int) -> None:
        """Learn that all blocks which have come were sent by a tick: see the base class."""
        placed = [] if self._previous is None else [self._previous]
        if any(each.tick + each.n_certain - 1 > tick for each in (*placed, *self._waiting)):
            return  # it was watched again since
        self._waiting = [arrival.sent_by(tick) for arrival in self._waiting]
        if self._previous is not None:
            self._previous = self._previous.sent_by(tick)

    def note_silence(self, ticks: float) -> None:
        """Learn that the board has sent nothing at all for a while: see the base class."""
        self._silent_ticks = ticks

    def _lose_until(self, tick: int, step: float, reason: GapReason) -> list[TrackedItem]:
        """Count what is missing before a tick (exclusive) as lost; it may be nothing.

        Of a variable that pauses only whole blocks are missing for certain.
        """
        self._n_zeros = 0
        first_tick = self._accounted + math.ceil(step)
        n_lost = int((tick - first_tick) // step)
        if self._pauses and isinstance(step, int) and n_lost % self._size:
            self._accounted += n_lost * step
            return []
        if self._end_tick is not None:
            n_lost = min(n_lost, int((self._end_tick - first_tick) // step) + 1)
        if n_lost <= 0:
            return []
        self._accounted = first_tick + int((n_lost - 1) * step)
        return [self._gap(first_tick, self._accounted, n_lost, reason)]

    def _withhold_pause(self, following: int | None, step: int) -> list[TrackedItem]:
        """Count a block in which the variable has paused: nobody can tell when its values were."""
        arrival, self._pauses = self._waiting.pop(0), True
        self._n_pauses += 1
        n_values = self._size if following is not None else arrival.n_certain
        last_tick = int(arrival.evidence.possible_tick) if following is None else following - 1
        if self._end_tick is not None:
            last_tick = max(min(last_tick, self._end_tick), arrival.tick)
            n_values = min(n_values, max((self._end_tick - arrival.tick) // step + 1, 0))
        self._previous, self._n_zeros = None, 0
        self._accounted = last_tick + 1 - step
        return [self._gap(arrival.tick, last_tick, n_values, GapReason.UNKNOWN_STEP)]

    def _withhold_zeros(self, step: float) -> list[TrackedItem]:
        """Count the zeros that may be values, now that nothing will tell."""
        previous, accounted = self._previous, self._accounted
        n_zeros, self._n_zeros = self._n_zeros, 0
        if previous is None or n_zeros == 0:
            return []
        last_tick = min(accounted + n_zeros * step, previous.evidence.possible_tick)
        n_zeros = int((last_tick - accounted) // step)
        if n_zeros <= 0:
            return []
        self._accounted = accounted + int(n_zeros * step)
        first_tick = accounted + math.ceil(step)
        return [self._gap(first_tick, self._accounted, n_zeros, GapReason.UNKNOWN_END)]

    def _close_end(self, end_tick: int, step: float) -> list[TrackedItem]:
        """Account for everything up to the known end."""
        items: list[TrackedItem] = []
        previous, accounted = self._previous, self._accounted
        reason = GapReason.RECONNECTED if self._interrupted else GapReason.LOST
        if isinstance(step, float):
            reason = GapReason.UNKNOWN_END if self._n_zeros else reason
        elif previous is not None and self._n_zeros and not self._interrupted:
            last_tick = accounted + self._n_zeros * step
            if previous.evidence.possible_tick < last_tick:
                reason = GapReason.CUT
            elif last_tick + step > end_tick:
                items.append(self._give_zeros(previous, step))
        return items + self._lose_until(end_tick + math.ceil(step), step, reason)

    def _lose_dropped(self) -> list[TrackedItem]:
        """Count the values of blocks whose step never became known."""
        dropped, self._dropped = self._dropped, []
        n_values = sum(arrival.n_certain for arrival in dropped)
        if n_values == 0:
            return []
        return [self._gap(dropped[0].tick, dropped[-1].tick, n_values, GapReason.RECONNECTED)]

    def _withhold_waiting(self) -> list[TrackedItem]:
        """Count the values of blocks whose step is not known, as nobody can tell their ticks."""
        waiting, self._waiting = self._waiting, []
        n_values = sum(arrival.n_certain for arrival in waiting)
        if n_values == 0:
            return []
        last_tick = waiting[-1].tick if self._end_tick is None else self._end_tick
        first_tick = waiting[0].tick
        reason = GapReason.UNKNOWN_STEP
        return [self._gap(first_tick, max(first_tick, last_tick), n_values, reason)]

    def _give(self, values: Array, first_tick: int, step: int) -> TrackedItem:
        ticks = self._ticks.get(first_tick, values.size, step)
        self._accounted = first_tick + (values.size - 1) * step
        return self._run(ticks, values)

    def _give_zeros(self, previous: ReceivedBlock, step: int) -> TrackedItem:
        """Give the zeros at the end of the block before, which are values after all."""
        first_tick = self._accounted + step
        at = (first_tick - previous.tick) // step
        values = previous.values[at : at + self._n_zeros]
        self._n_zeros = 0
        return self._give(values, first_tick, step)

    def _place_uneven(
        self, arrival: ReceivedBlock, following: int | None, step: float
    ) -> list[TrackedItem]:
        """Give a block's values with interpolated ticks."""
        items: list[TrackedItem] = []
        if self._interrupted:
            items += self._lose_until(arrival.tick, step, GapReason.RECONNECTED)
        spread = interpolate_ticks(arrival.evidence, self._size, step, following, self._end_tick)
        n_given = spread.ticks.size
        items += self._give_uneven(spread.ticks, arrival.values[:n_given])
        if spread.missing is not None and following is not None and not self._pauses:
            items += self._lose_until(following, step, spread.missing)
        self._n_zeros = self._size - n_given if following is None else 0
        return items

    def _give_uneven(self, ticks: Ticks, values: Array) -> list[TrackedItem]:
        items: list[TrackedItem] = []
        n_late = int(np.searchsorted(ticks, self._accounted, "right"))
        if n_late:
            items.append(self._gap(int(ticks[0]), int(ticks[n_late - 1]), n_late, GapReason.STEP))
            ticks, values = ticks[n_late:], values[n_late:]
        if self._end_tick is not None:
            n_kept = int(np.searchsorted(ticks, self._end_tick, "right"))
            ticks, values = ticks[:n_kept], values[:n_kept]
        if ticks.size:
            items.append(self._run(ticks, values))
            self._accounted = int(ticks[-1])
        return items


@dataclass(frozen=True, slots=True, eq=False)
class InterpolatedTicks:
    """Ticks for the first values of a block, and why values are missing after them, if any are."""

    ticks: Ticks
    missing: GapReason | None = None


def interpolate_ticks(
    block: BlockEvidence,
    block_values: int,
    step: float,
    next_tick: int | None,
    end_tick: int | None,
) -> InterpolatedTicks:
    """Spread a block's values over the time until the next block, or by the mean step.

    Parameters
    ----------
    block : BlockEvidence
        The block.
    block_values : int
        Number of values that a full block holds.
    step : float
        Mean distance of two values, in ticks.
    next_tick : int or None
        First tick of the next block, if there is one.
    end_tick : int or None
        The known end of the stream, inclusive.
    """
    n_values, spacing, missing = block_values, step, None
    if next_tick is None:
        n_values = block.n_certain
        if end_tick is not None and n_values > 1:  # by then all of them were assigned
            spacing = min(step, max(end_tick - block.tick, 0) / (n_values - 1))
    else:
        distance = next_tick - block.tick
        n_blocks = distance / (block_values * step)
        spacing = distance / block_values
        if n_blocks > _LOSS_FACTOR:
            n_values, spacing, missing = block.n_certain, step, GapReason.LOST
        elif block.n_certain < block_values and n_blocks < 1 / _LOSS_FACTOR:
            n_values, missing = block.n_certain, GapReason.CUT
            spacing = min(step, distance / max(n_values, 1))
    return InterpolatedTicks(block.tick + (np.arange(n_values) * spacing).astype(np.int64), missing)
