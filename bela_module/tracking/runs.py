"""Runs of values with exact ticks, gaps with exact counts, and the base class of trackers.

Pure, no I/O.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.tracking.single_values import Transport


@dataclass(frozen=True, slots=True, eq=False)
class ValueRun:
    """Values of one variable that were certainly assigned by the sketch, with their ticks.

    Attributes
    ----------
    ticks : ndarray of int64 of shape (n_values,)
        Tick of each value; never decreasing, and later than those of the run before.
    values : ndarray of shape (n_values,)
        The values, of the variable's own type.
    """

    ticks: Ticks
    values: Array


class GapReason(StrEnum):
    """Why values are missing, as shown to users."""

    LOST = "blocks were lost on the way"
    RESTARTED = "the board began the block again (another client's watch or log)"
    CUT = "the block ended early (another client's unlog or unwatch)"
    RECONNECTED = "the connection was lost for a while"
    STEP = "the time between values changed"
    UNKNOWN_END = "the end is not known: zeros that may be padding were left out"
    UNKNOWN_STEP = "when they were assigned is not known"
    TOO_CLOSE = "assigned less than two ticks apart: single values do not carry all of them"


@dataclass(frozen=True, slots=True)
class Gap:
    """Values that will not be delivered.

    Attributes
    ----------
    first_tick, last_tick : int
        Ticks of the first and of the last of them; with ``STEP`` they lie among ticks that were
        given to other values.
    n_values : int
        How many: exact for dense variables; for sparse ones what is known to be missing, which
        after a lost connection may be 0. With ``UNKNOWN_END``: at most as many.
    reason : GapReason
        Why.
    late : ValueRun or None
        The values, where they became known after later ones were given: for sinks that can take
        them out of order.
    """

    first_tick: int
    last_tick: int
    n_values: int
    reason: GapReason
    late: ValueRun | None = field(default=None, compare=False)


TrackedItem: TypeAlias = ValueRun | Gap


class Tracker(ABC):
    """Turns one variable's blocks, in order of arrival, into value runs and gaps.

    One run of the stream is ``begin``, then ``add`` for each block, then ``finish``. Whatever
    order of lost, cut, repeated or spliced blocks comes: each value that is given has its own
    tick, no tick is given backwards (nor twice, but for values that are assigned more than once in
    a tick), no padding is given, and what is missing is counted.

    Attributes
    ----------
    delivered : int
        Values given in runs, over all runs of the stream, as are the other counters.
    lost : int
        Values of all gaps, but for those that may have been padding.
    withheld : int
        Zeros that may have been values or padding (``GapReason.UNKNOWN_END``).
    gaps : int
        Number of losses.
    repeated : int
        Values that came again and were dropped.
    stale : int
        Blocks that began before the stream, or before a reconnect, and were dropped.
    last_tick : int or None
        Last tick that was delivered or accounted for in this run of the stream.
    left_out : int
        Values that a block has and that did not come singly, which are counted as lost.
    too_close : bool
        Whether values were seen that were assigned less than two ticks apart, so that single
        values do not carry all of them.
    """

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self.delivered = 0
        self.lost = 0
        self.withheld = 0
        self.gaps = 0
        self.left_out = 0
        self.repeated = 0
        self.stale = 0
        self.last_tick: int | None = None
        self.too_close = False
        self._floor_tick: int | None = None
        self._end_tick: int | None = None
        self._next_too = False
        self._start_is_certain = False
        self._interrupted = False

    @property
    def step_ticks(self) -> int | float | None:
        """Ticks from one value to the next; ``None`` when not known, or without a meaning."""
        return None

    @property
    def transport(self) -> Transport:
        """Where the values are taken from."""
        return Transport.BLOCK

    @property
    def awaits_block(self) -> bool:
        """Whether single values are held until a block has what came before them."""
        return False

    def take_singles(self, *, from_start: bool = False) -> None:  # noqa: B027 - some have none
        """Take the values that come singly from now on: the board was asked for all of them.

        Parameters
        ----------
        from_start : bool
            Whether nothing is on its way in blocks that comes before the first of them, as at the
            beginning of a run and after a reconnect; otherwise single values are held until a
            block closes what came before.
        """

    def ignore_singles(self) -> list[TrackedItem]:
        """Take values from blocks again, from the last one given on."""
        return []

    @property
    def end_tick(self) -> int | None:
        """The end of this run of the stream, inclusive, as far as it is known."""
        return self._end_tick

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether the known end has been reached: :meth:`finish` gives what is still held."""

    def begin(
        self,
        first_tick: int | None = None,
        last_tick: int | None = None,
        step_ticks: float | None = None,
    ) -> None:
        """Begin a new run of the stream; the counters go on.

        Call :meth:`finish` for the run before first: what it holds is forgotten. After a
        reset of the tick counter begin a new run, since older ticks are dropped.

        Parameters
        ----------
        first_tick : int, optional
            Where the stream was asked to begin; blocks that begin earlier are dropped. When only
            a bound is known, and not the beginning, use ``begin()`` and then :meth:`resume`.
        last_tick : int, optional
            The known end, inclusive.
        step_ticks : float, optional
            Ticks between values, when known from elsewhere; otherwise that of the run before.
        """
        self.last_tick = None
        self._floor_tick = first_tick
        self._end_tick = last_tick
        self._next_too = False
        self._start_is_certain = False
        self._interrupted = False
        self.too_close = False

    def confirm_start(self) -> None:
        """Record that the board knew of the start in time.

        Then whatever is missing between the start and the first block was lost; otherwise the
        board may have begun late.
        """
        self._start_is_certain = True

    def expect_spacing(self, ticks: int, *, doubtful: bool) -> None:  # noqa: B027 - some have none
        """Learn how far ticks with values are apart, at each of which several may come.

        Parameters
        ----------
        ticks : int
            Ticks between them.
        doubtful : bool
            Whether the step was never seen in blocks: then a second one is waited for.
        """

    def expect_pauses(self) -> None:  # noqa: B027 - some have none
        """Learn that the variable is not assigned all the time: what is missing may be pauses."""

    @property
    def has_paused(self) -> bool:
        """Whether the variable, which is regular, was again and again not assigned for a while."""
        return False

    def note_silence(self, ticks: float) -> None:  # noqa: B027 - some do not mind
        """Learn, before the next block, for how long the board had sent nothing at all."""

    @property
    def is_step_proven(self) -> bool:
        """Whether blocks have shown that the step is right."""
        return False

    @abstractmethod
    def add(self, block: Block, possible_tick: float = math.inf) -> list[TrackedItem]:
        """Take the next block; return what is now known, in the order of ticks.

        Parameters
        ----------
        block : Block
            A block of this variable.
        possible_tick : float, optional
            The latest tick that the board can have reached when the block arrived: values do not
            come from the future, so that zeros beyond it are padding.
        """

    def end_at(self, last_tick: int, *, next_too: bool = False) -> list[TrackedItem]:
        """Set the end, inclusive, now that it is known; blocks may still be to come.

        Parameters
        ----------
        last_tick : int
            The end.
        next_too : bool, optional
            Whether a value that has no value at that tick is to end with its next one: so does
            the board, which looks at the time only when a value is assigned.
        """
        self._end_tick = last_tick
        self._next_too = next_too
        return []

    def not_assigned_at_end(self) -> None:  # noqa: B027 - some do not mind
        """Learn that the variable was not assigned any more when the end came, nor since.

        What its last block has is not sent, and nobody can tell how much.
        """

    def sent_by(self, tick: int) -> None:  # noqa: B027 - some do not mind
        """Learn that all blocks which have come were sent by a tick, however late they came.

        Where that is before the end, what the last one lacks was not taken by the variable's pause.
        """

    def missed_block(self) -> list[TrackedItem]:
        """Record that a header of this variable came without its payload."""
        return []

    def interrupted(self) -> list[TrackedItem]:
        """Record that the connection was lost: what is held will not be completed.

        The gap itself is returned with the block that ends it.
        """
        self._interrupted = True
        return []

    def resume(self, first_tick: int) -> None:
        """Drop blocks that begin before a tick: after a reconnect they are splices.

        The first block after a reconnect has its old tick and old values, then new ones with a
        hole between them that cannot be seen.

        Parameters
        ----------
        first_tick : int
            The earliest tick at which a block can have begun since then.
        """
        self._floor_tick = first_tick

    @abstractmethod
    def finish(self) -> list[TrackedItem]:
        """Account for everything: no more blocks will come in this run of the stream.

        Called again, it returns nothing.
        """

    def _run(self, ticks: Ticks, values: Array) -> ValueRun:
        self.delivered += values.size
        self.last_tick = int(ticks[-1])
        return ValueRun(ticks, values)

    def _gap(
        self,
        first_tick: int,
        last_tick: int,
        n_values: int,
        reason: GapReason,
        late: ValueRun | None = None,
    ) -> Gap:
        if reason is GapReason.UNKNOWN_END:
            self.withheld += n_values
        else:
            self.gaps += 1
            self.lost += n_values
        self.last_tick = last_tick if self.last_tick is None else max(last_tick, self.last_tick)
        return Gap(first_tick, last_tick, n_values, reason, late)

    def _is_stale(self, block: Block) -> bool:
        return self._floor_tick is not None and block.tick < self._floor_tick
