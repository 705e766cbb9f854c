"""The period of the one monitor that each variable has on the board, wanted by several. Pure."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from bela_module.protocol.control_commands import Json, monitor_command
from bela_module.tracking.single_values import PROMPT_PERIOD_TICKS

_LISTED_STILL_S: Final = 1.0
"""For a list that is older than the end of a monitor to arrive."""


class MonitorUse(Enum):
    """What a monitor is wanted for."""

    PROMPT = auto()
    """START or SCHEDULE want every value."""
    MONITOR = auto()
    """A value now and then."""


@dataclass(slots=True)
class MonitorPeriods:
    """Decides which period the board is told, where a variable is wanted at two of them.

    Every value serves both uses: a use that wants fewer leaves some out.
    """

    _wanted: dict[str, dict[MonitorUse, int]] = field(default_factory=dict)
    _before: dict[str, int] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)
    """Monitors that were ended, with the time of the first list since that has them still."""

    def period_of(self, name: str) -> int:
        """Return the period that the board was told, in ticks; 0 for none."""
        wanted = self._wanted.get(name, {})
        return wanted.get(MonitorUse.PROMPT, wanted.get(MonitorUse.MONITOR, 0))

    def is_ours(self, name: str, listed_ticks: int) -> bool:
        """Tell whether a period that the board lists is ours: the present one, or the last."""
        told = (0, self.period_of(name), self._before.get(name, 0))
        return listed_ticks in told or name in self._ended

    def note_ended(self, names: Iterable[str]) -> None:
        """Keep in mind that the board was told to end monitors, which it may list for a while."""
        self._ended.update(dict.fromkeys(names, math.inf))

    def note_listed(self, names: Container[str], received_s: float) -> None:
        """Learn which variables the board lists as monitored.

        The reply may be to another client, and older than the latest command, but not by much: what
        is listed for longer another client has monitored since.
        """
        self._ended = {
            name: min(first_s, received_s)
            for name, first_s in self._ended.items()
            if name in names and received_s <= first_s + _LISTED_STILL_S
        }

    def has_ended(self, name: str) -> bool:
        """Tell whether we have ended a variable's monitor, if the board lists one still."""
        return name in self._ended

    def is_wanted(self, name: str, use: MonitorUse) -> bool:
        """Tell whether a variable is monitored for a use."""
        return use in self._wanted.get(name, {})

    def ask_prompt(
        self, names: Iterable[str], period_ticks: int = PROMPT_PERIOD_TICKS
    ) -> list[Json]:
        """Want every value of some variables, or few at first; return the commands."""
        return self._ask(dict.fromkeys(names, period_ticks), MonitorUse.PROMPT)

    def ask(self, periods: Mapping[str, int]) -> list[Json]:
        """Want values of some variables at a period, in ticks; return the commands."""
        return self._ask(periods, MonitorUse.MONITOR)

    def _ask(self, periods: Mapping[str, int], use: MonitorUse) -> list[Json]:
        for name, period in periods.items():
            self._before[name] = self.period_of(name)
            self._wanted.setdefault(name, {})[use] = period
            self._ended.pop(name, None)
        # Told again where nothing changed: the board may have been told otherwise meanwhile.
        return self._commands(name for name in periods)

    def drop(self, names: Iterable[str], use: MonitorUse) -> list[Json]:
        """Want some variables no more for a use; return the commands for the board."""
        dropped = self.leave(names, use)
        self.note_ended(name for name in dropped if name not in self._wanted)
        return self._commands(dropped)

    def leave(self, names: Iterable[str], use: MonitorUse) -> list[str]:
        """Want some variables no more, whose monitor another client has set; return which were."""
        left = [name for name in names if self._wanted.get(name, {}).pop(use, None) is not None]
        for name in left:
            if not self._wanted[name]:
                del self._wanted[name]
        return left

    def forget(self) -> None:
        """Forget everything: the board was cleared, or it restarted."""
        self._wanted.clear()
        self._before.clear()
        self._ended.clear()

    def _commands(self, names: Iterable[str]) -> list[Json]:
        told = list(names)
        return [monitor_command(told, [self.period_of(name) for name in told])] if told else []
