"""Which sparse variables are assigned too often for single values, by a coarse monitor. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable

_N_VALUES: Final = 4
_NEARLY: Final = 1.3


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

    def _is_fast(self, ticks: list[int]) -> bool:
        if len(ticks) < _N_VALUES:
            return False
        return ticks[-1] - ticks[0] <= _NEARLY * self._period_ticks * (len(ticks) - 1)
