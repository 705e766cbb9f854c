"""Infer the step of a dense variable: the ticks between two of its values. Pure, no I/O.

A dense block carries the tick of its first value alone. The step shows from the next block, but a
lost block looks like a larger step, and a block cut short like a smaller one. What bounds it:

- values do not come from the future: those that are certainly there (the last that is not zero,
  and all before it) were taken by the time the block arrived;
- nor do blocks overlap: they were taken before the next block began;
- it is a whole number, at least 1, if the sketch assigns the variable regularly.

Whether it does so shows from where blocks begin: what the board loses are whole blocks, so that the
distance of those that are left is a multiple of a full one. A single other distance is the work of
another client, which made the board begin its block again; several in a row are an uneven variable.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

MAX_EVIDENCE: Final = 5
"""Blocks after which a step is decided, be it by the most frequent distance."""

DOUBTS_TO_DECIDE: Final = 4
"""Doubtful distances in a row after which a variable is taken to be assigned unevenly."""

GROWN_TO_DECIDE: Final = 3
"""Equal distances in a row, each of them the time that its block took, after which a step is taken
to have grown."""

LATE_BLOCKS: Final = 2
"""Blocks of step 1 that may fill while another is on its way: one that is later is doubtful."""

_EVENLY: Final = 8
"""A block that is longer by less than this part of its length is one of an uneven variable."""


class BlockEvidence(NamedTuple):
    """What one block proves about the step.

    Attributes
    ----------
    tick : int
        Tick of its first value.
    n_certain : int
        Number of values that are no padding for certain: up to the last that is not zero.
    possible_tick : float
        The latest tick that the board can have reached when the block arrived.
    silent_ticks : float
        For how long the board had sent nothing at all just before.
    """

    tick: int
    n_certain: int
    possible_tick: float = math.inf
    silent_ticks: float = 0.0

    @property
    def step_limit(self) -> float:
        """The largest step at which none of the values comes from the future."""
        if self.n_certain < 2:
            return math.inf
        return (self.possible_tick - self.tick) / (self.n_certain - 1)


def largest_step(evidence: Sequence[BlockEvidence]) -> float:
    """Return the largest step that successive blocks allow; infinite when they do not limit it."""
    limits = [block.step_limit for block in evidence]
    limits += [
        (after.tick - before.tick) / before.n_certain
        for before, after in pairwise(evidence)
        if after.tick > before.tick and before.n_certain > 0
    ]
    return min(limits, default=math.inf)


def infer_step(
    evidence: Sequence[BlockEvidence],
    block_values: int,
    *,
    final: bool = False,
    limit: float = math.inf,
) -> int | float | None:
    """Infer the step from successive blocks.

    Parameters
    ----------
    evidence : sequence of BlockEvidence
        Successive blocks, in order.
    block_values : int
        Number of values that a full block holds.
    final : bool, optional
        Whether to decide on what is there, since no more will come.
    limit : float, optional
        The largest step that is possible for another reason, such as a known end.

    Returns
    -------
    int, float or None
        A whole number for a regular variable, a fraction for one that is assigned unevenly,
        ``None`` when the blocks leave it open.

    Notes
    -----
    Some blocks alone cannot tell a step of 2 from a step of 1 with every other block lost, which
    an overflowing board does for nine blocks in a row. A step of 1 is certain as soon as nothing
    larger is possible, or two distances say so; a larger one is decided when no more blocks are
    to be waited for. With but one distance to go by, which is not regular, it stays open.
    """
    limit = min(limit, largest_step(evidence))
    if 1 <= limit < 2:
        return 1
    pairs = [(before, after) for before, after in pairwise(evidence) if after.tick > before.tick]
    distances = [after.tick - before.tick for before, after in pairs]
    # After a block that is full for certain, the next cannot be too near.
    solid = [
        after.tick - before.tick for before, after in pairs if before.n_certain == block_values
    ]
    regular = Counter(d // block_values for d in solid or distances if d % block_values == 0)
    if regular:
        # The most frequent one; of equals the smallest, which needs the fewest assumptions.
        step, times = min(regular.items(), key=lambda item: (-item[1], item[0]))
        if final or (step == 1 and times > 1):
            return _divisor_up_to(step, limit) if limit >= 1 else step
        return None
    if not final:
        return None
    if distances and limit < 1:
        return median(distances) / block_values
    if len(distances) < 2:
        return None
    largest = int(min(limit, *distances))
    if all(distance % largest == 0 for distance in distances) and largest > 1:
        return largest
    return median(distances) / block_values


def _divisor_up_to(step: int, limit: float) -> int:
    """Return the largest step not above a limit that explains the distance by lost blocks."""
    largest = int(min(step, limit))
    return next(divisor for divisor in range(largest, 0, -1) if step % divisor == 0)


def steady_step(evidence: Sequence[BlockEvidence], block_values: int) -> int | float | None:
    """Return the step that a long row of blocks agrees on, or None.

    That is a whole number when all distances are the same multiple of a full block and the blocks
    arrived late enough for it; the median distance when none is a multiple; else ``None``: what
    lies in between are losses.
    """
    distances = [after.tick - before.tick for before, after in pairwise(evidence)]
    if all(distance % block_values for distance in distances):
        return mean_step(evidence, block_values)
    step = distances[0] // block_values
    alike = all(distance == step * block_values for distance in distances)
    limit = min(block.step_limit for block in evidence)
    return step if alike and step <= limit < math.inf else None


def is_doubtful(before: BlockEvidence, after: BlockEvidence, step: int, block_values: int) -> bool:
    """Tell whether the time between two blocks may be an uneven variable's instead of a loss.

    That is so when the first block is full for certain, the second begins later than it should but
    not by whole blocks, and the surplus may lie among the first block's values: it did not arrive
    before half of the surplus had passed. Otherwise the surplus is a hole after the first block.
    """
    block_ticks = block_values * step
    distance = after.tick - before.tick
    if distance <= block_ticks or distance % block_ticks == 0 or before.n_certain < block_values:
        return False
    surplus = distance - block_ticks
    return before.possible_tick >= before.tick + block_ticks - step + surplus / 2


def is_late(block: BlockEvidence, step: int, block_values: int) -> bool:
    """Tell whether a block came so late that some of its values may be further apart than thought.

    Then the next block tells. One that is late by less gives its values: most are, on their way.
    """
    block_ticks = block_values * step
    late_ticks = block.possible_tick - block.tick - block_ticks
    longest = min(block_ticks, LATE_BLOCKS * block_values)
    return longest < late_ticks < math.inf


def has_paused(
    block: BlockEvidence,
    next_tick: int | None,
    step: int,
    block_values: int,
    usual_late_ticks: float = 0.0,
) -> bool:
    """Tell whether a regular variable was not assigned for a while in the middle of a block.

    Such a block was sent late, while the board sent others. It shows when the next one begins
    later than it should, by more than another client's watch can take away, and this one came when
    most of that time had passed. For as long as the one before had waited to be read, so had this
    one: that is no pause.

    Parameters
    ----------
    block : BlockEvidence
        The block.
    next_tick : int or None
        First tick of the next block; ``None`` when it has not come: then whether it is possible.
    step : int
        Ticks from one value to the next.
    block_values : int
        Number of values that a full block holds.
    usual_late_ticks : float
        How late the block before came, which had the known step.
    """
    block_ticks = block_values * step
    if block.possible_tick == math.inf:
        return False
    late_ticks = block.possible_tick - block.tick - block_ticks - max(usual_late_ticks, 0.0)
    if late_ticks < 2 * block.silent_ticks:
        return False  # the board, or the network, had paused
    if next_tick is None:
        return late_ticks > block_ticks
    surplus = next_tick - block.tick - block_ticks
    late = late_ticks + step >= surplus / 2  # its last value alone may have come late
    return late and surplus >= block_ticks and surplus % block_ticks != 0


def is_splice(block: BlockEvidence, next_tick: int, step: int, block_values: int) -> bool:
    """Tell whether a block has values from before a silence of the board and from after it.

    So it is where the board took none meanwhile: the block came late, after the silence, and the
    next one does not begin where it or further whole blocks would end. If only the network was
    silent, it does.
    """
    block_ticks = block_values * step
    late_ticks = block.possible_tick - block.tick - block_ticks
    if not block_ticks < late_ticks < 2 * block.silent_ticks:
        return False
    surplus = next_tick - block.tick - block_ticks
    return 0 < surplus <= 2 * late_ticks and surplus % block_ticks != 0


def is_grown(
    block: BlockEvidence,
    next_tick: int,
    step: float,
    block_values: int,
    usual_late_ticks: float = 0.0,
) -> bool:
    """Tell whether the time between two blocks may be that of a larger step instead of a loss.

    It is one when the first block took all of that time to fill: it came when the second began, and
    later than blocks of the known step, which come late, too, on a busy board.
    """
    distance, block_ticks = next_tick - block.tick, block_values * step
    if distance <= block_ticks or distance % block_values:
        return False
    waited = block.possible_tick - block.tick - block_ticks
    if block.possible_tick == math.inf or waited < 2 * block.silent_ticks:
        return False
    surplus = distance - block_ticks
    is_later = waited - max(usual_late_ticks, 0.0) >= surplus / 2
    return is_later and surplus - distance / block_values <= waited <= 1.5 * surplus


def is_slowed(block: BlockEvidence, next_tick: int, step: int, block_values: int) -> bool:
    """Tell whether some values of a block are further apart than others.

    The next block begins later than it should, and this one came when that began.
    """
    block_ticks = block_values * step
    surplus = next_tick - block.tick - block_ticks
    waited = block.possible_tick - block.tick - block_ticks
    if surplus < block_ticks / _EVENLY or block.possible_tick == math.inf:
        return False
    if waited < 2 * block.silent_ticks:
        return False
    return surplus % block_ticks != 0 and surplus / 2 <= waited <= 1.5 * surplus


def count_grown(
    evidence: Sequence[BlockEvidence],
    step: float,
    block_values: int,
    usual_late_ticks: float = 0.0,
) -> int:
    """Count the equal distances at the head of a row that may be those of a larger step."""
    count, last = 0, 0
    for before, after in pairwise(evidence):
        distance = after.tick - before.tick
        grown = is_grown(before, after.tick, step, block_values, usual_late_ticks)
        if last not in (0, distance) or not grown:
            break
        count, last = count + 1, distance
    return count


def count_doubts(evidence: Sequence[BlockEvidence], step: int, block_values: int) -> int:
    """Count the distances at the head of a row of blocks that are doubtful one after the other."""
    for count, (before, after) in enumerate(pairwise(evidence)):
        if not is_doubtful(before, after, step, block_values):
            return count
    return max(len(evidence) - 1, 0)


def mean_step(evidence: Sequence[BlockEvidence], block_values: int) -> float:
    """Return the usual mean distance of an uneven variable's values.

    The median over the blocks, in ticks, since one of them may have been lost.
    """
    return median(after.tick - before.tick for before, after in pairwise(evidence)) / block_values


def limit_by_end(newest: BlockEvidence, end_tick: int | None, *, next_too: bool) -> float:
    """Give the largest step at which the values of the last block lie before the end.

    Parameters
    ----------
    newest : BlockEvidence
        What the last block proves.
    end_tick : int or None
        The end of the stream, inclusive, if it is known.
    next_too : bool
        Whether the board ends with the next value: all but the last come before that tick.
    """
    if end_tick is None:
        return math.inf
    n_steps = newest.n_certain - (2 if next_too else 1)
    return (end_tick - newest.tick) / n_steps if n_steps > 0 else math.inf


def is_constant(step: float, spacing_ticks: float = 1) -> bool:
    """Tell a constant distance of values from the mean of an uneven variable.

    Parameters
    ----------
    step : float
        Ticks from one value to the next; an integer for a constant one, for a mean may be whole.
    spacing_ticks : float
        Ticks from one tick with values to the next, where each of them has several.
    """
    n_at_each = max(spacing_ticks, 1) / step
    return isinstance(step, int) or math.isclose(n_at_each, max(round(n_at_each), 1))


def step_of_repeats(distance_ticks: int, size: int, step: float) -> int | float | None:
    """Infer the step where each tick has several values, all alike, from two full blocks.

    Parameters
    ----------
    distance_ticks : int
        From the first tick of a block to that of the next.
    size : int
        Values in a block.
    step : float
        The step if each tick had one value.

    Returns
    -------
    int, float or None
        The step, a part of the given one; ``None`` when the blocks do not show any.
    """
    full_ticks = size * step
    if not 0 < distance_ticks < full_ticks or full_ticks % distance_ticks:
        return None
    repeated = distance_ticks / size
    return int(repeated) if repeated.is_integer() else repeated
