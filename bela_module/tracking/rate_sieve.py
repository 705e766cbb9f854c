"""Which variables are assigned too often for single values, by a coarse monitor. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from itertools import pairwise
from typing import Final

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable
from bela_module.tracking.runs import Tracker

_N_VALUES: Final = 4
_NEARLY: Final = 1.3
_APART_PERIODS: Final = 2
"""Periods between two values of a slow variable."""

_DECIDED_PERIODS: Final = 30
"""Periods of which the board has told the end, after a value that no other followed."""

_DECIDED_S: Final = 0.1
"""Since that value arrived, for others that were sent meanwhile."""


class RateSieve:
    """Tells variables apart that have a value whenever the monitor's period is over.

    The period bounds what the board sends of a variable that is assigned at every tick: a monitor
    of every value would flood its network, and ours.

    Parameters
    ----------
    variables : iterable of Variable
        The variables that are monitored.
    period_ticks : int
        The monitor's period.
    """

    def __init__(self, variables: Iterable[Variable], period_ticks: int) -> None:
        self._period_ticks = period_ticks
        self._names = {variable.index: variable.name for variable in variables}
        self._ticks: dict[int, list[int]] = {index: [] for index in self._names}

    def __contains__(self, index: int) -> bool:
        """Tell whether the variable of a number is monitored for it."""
        return index in self._names

    def add(self, block: Block) -> None:
        """Take a single value of the monitor."""
        self._ticks[block.variable.index].append(block.tick)

    @property
    def fast(self) -> list[str]:
        """Names of the variables that had a value nearly as often as the monitor sends any."""
        return [self._names[index] for index, ticks in self._ticks.items() if self._is_fast(ticks)]

    @property
    def has_fast_row(self) -> bool:
        """Whether a variable had some values in a row nearly as often as the monitor sends any."""
        return any(
            self._is_fast(ticks[at : at + _N_VALUES])
            for ticks in self._ticks.values()
            for at in range(len(ticks) - _N_VALUES + 1)
        )

    def largest_distance(self, index: int) -> int:
        """Return the most ticks between two values of a variable; 0 before there are two."""
        return max((after - before for before, after in pairwise(self._ticks[index])), default=0)

    def _is_fast(self, ticks: list[int]) -> bool:
        if len(ticks) < _N_VALUES:
            return False
        return ticks[-1] - ticks[0] <= _NEARLY * self._period_ticks * (len(ticks) - 1)


class Pace(Enum):
    """How often a stream's values come."""

    UNKNOWN = auto()
    SLOW = auto()
    FAST = auto()


class StreamSieve:
    """Tells slow streams from fast ones by a coarse monitor, and keeps their first values.

    Parameters
    ----------
    variables : iterable of Variable
        The members of the stream, of which nothing has come.
    period_ticks : int
        The monitor's period.
    late_tick : float, optional
        The tick up to which something comes of a variable that is assigned all the time, when
        what is kept are the first values of the stream.
    """

    def __init__(
        self, variables: Iterable[Variable], period_ticks: int, late_tick: float | None = None
    ) -> None:
        self.from_start = late_tick is not None
        self._late_tick = late_tick
        self.kept: list[tuple[Block, float]] = []
        self._period_ticks = period_ticks
        self._rates = RateSieve(variables, period_ticks)

    def add(self, block: Block, arrived_s: float, tracker: Tracker) -> None:
        """Take a single value; its tracker learns whether its variable was silent at first."""
        if self._late_tick is not None and not self.kept and block.tick > self._late_tick:
            tracker.expect_pauses()
        self._rates.add(block)
        self.kept.append((block, arrived_s))

    def needs_tick(self, now_s: float) -> bool:
        """Tell whether a later tick of the board would show that the stream is slow."""
        return bool(self.kept) and now_s > self.kept[-1][1] + _DECIDED_S

    def pace(self, now_s: float, board_tick: int, *, final: bool = False) -> Pace:
        """Tell how often values come, as far as that has shown.

        Parameters
        ----------
        now_s : float
            The present time, LSL seconds.
        board_tick : int
            The latest tick that the board has told: while it tells none, it may be held up.
        final : bool
            Whether to decide on what has come, since no more will.
        """
        if self._rates.has_fast_row:
            return Pace.FAST
        if not self.kept:
            return Pace.UNKNOWN
        newest, arrived_s = self.kept[-1]
        apart_ticks = _APART_PERIODS * self._period_ticks
        if self._rates.largest_distance(newest.variable.index) > apart_ticks:
            return Pace.SLOW
        silent = board_tick >= newest.tick + _DECIDED_PERIODS * self._period_ticks
        decided = final or (silent and now_s > arrived_s + _DECIDED_S)
        return Pace.SLOW if decided else Pace.UNKNOWN
