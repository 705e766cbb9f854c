"""Measure the step of dense variables beforehand by monitoring them with two periods. Pure.

A dense block does not say how far its values are apart, and the nominal rate of an LSL stream
must be known before its first sample. Monitors tell: with period P a monitor sends the first
value assigned P or more ticks after the last one, so with a value every *s* ticks its messages
are d = ceil(P / s) · s ticks apart. Asked next for a period of d + 1, they are d + s apart, and
the difference is *s*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bela_module.protocol.control_commands import Json, monitor_command
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable


@dataclass(slots=True)
class _SurveyedVariable:
    """One variable of the survey: the period asked for, and the ticks that came."""

    variable: Variable
    period_ticks: int
    first_spacing_ticks: int = 0
    ticks: list[int] = field(default_factory=list)
    step_ticks: int = 0

    def spacing_ticks(self, above: int) -> int | None:
        """Return a spacing that came twice running and is above one, when there is one."""
        *_, a, b, c = (-1, -1, -1, *self.ticks)
        if a < 0 or c - b != b - a or c - b <= above:
            return None
        return c - b


class StepSurvey:
    """Finds the step of dense variables that nobody monitors.

    Feed it the monitor blocks and send the commands that it returns. `period_ticks`, at least 2,
    is the period of the first round.
    """

    def __init__(self, variables: Iterable[Variable], period_ticks: int) -> None:
        self._period_ticks = max(2, period_ticks)
        self._asked = {v.index: _SurveyedVariable(v, self._period_ticks) for v in variables}

    def __contains__(self, index: int) -> bool:
        """Tell whether the variable of a number is surveyed."""
        return index in self._asked

    @property
    def steps(self) -> dict[int, int]:
        """Ticks between two values, by the variable's index, as far as found."""
        return {index: asked.step_ticks for index, asked in self._asked.items() if asked.step_ticks}

    def slow_spacings(self, first_tick: int, last_tick: int) -> dict[int, int]:
        """Give how far values are apart, on average or at least, of variables that are slow.

        What sends nothing has not been assigned for all that time, if the board sends data at all.

        Parameters
        ----------
        first_tick, last_tick : int
            When the survey began and ended.

        Returns
        -------
        dict of int to int
            Ticks by the variable's index, of those that are more than twice the first period apart.
        """
        slow: dict[int, int] = {}
        for index, asked in self._asked.items():
            ticks = asked.ticks
            if len(ticks) > 1:
                spacing = (ticks[-1] - ticks[0]) // (len(ticks) - 1)
            else:
                spacing = last_tick - (ticks[0] if ticks else first_tick)
            if not asked.step_ticks and spacing > 2 * self._period_ticks:
                slow[index] = spacing
        return slow

    @property
    def silent(self) -> set[int]:
        """Variables, by their index, of which no two values came: they may be fast at any time."""
        return {index for index, asked in self._asked.items() if len(asked.ticks) < 2}

    @property
    def in_progress(self) -> bool:
        """Whether something has come of a variable whose step is not found yet."""
        return any(asked.ticks and not asked.step_ticks for asked in self._asked.values())

    @property
    def done(self) -> bool:
        """Whether every step is found."""
        return all(asked.step_ticks for asked in self._asked.values())

    @property
    def spacing_ticks(self) -> int:
        """The largest distance of the last two values of any variable still searched."""
        searched = [asked.ticks for asked in self._asked.values() if not asked.step_ticks]
        return max((ticks[-1] - ticks[-2] for ticks in searched if len(ticks) > 1), default=0)

    @property
    def awaits_second(self) -> bool:
        """Whether of some variable a single value has come."""
        return any(len(asked.ticks) == 1 for asked in self._asked.values() if not asked.step_ticks)

    @property
    def answered(self) -> bool:
        """Whether the board has sent anything at all."""
        return any(asked.ticks for asked in self._asked.values())

    def first_commands(self) -> Sequence[Json]:
        """Return the commands that start the survey."""
        return self._monitor(self._asked.values())

    def last_commands(self) -> Sequence[Json]:
        """Return the commands that end the survey, whatever was found."""
        names = [asked.variable.name for asked in self._asked.values()]
        return [monitor_command(names, [0] * len(names))] if names else []

    def add(self, block: Block) -> Sequence[Json]:
        """Take a monitor block; return the commands to send next, mostly none."""
        asked = self._asked.get(block.variable.index)
        if asked is None or asked.step_ticks:
            return []
        asked.ticks.append(block.tick)
        spacing = asked.spacing_ticks(above=asked.first_spacing_ticks)
        if spacing is None:
            return []
        if not asked.first_spacing_ticks:
            asked.first_spacing_ticks = spacing
            asked.period_ticks = spacing + 1
            return self._monitor([asked])
        step_ticks = spacing - asked.first_spacing_ticks
        first = asked.first_spacing_ticks
        off_grid = any((tick - block.tick) % step_ticks for tick in asked.ticks)
        if off_grid or first - self._period_ticks >= step_ticks:
            asked.first_spacing_ticks = 0  # an uneven variable with equal spacings by chance
            asked.period_ticks = self._period_ticks
            asked.ticks.clear()
            return self._monitor([asked])
        asked.step_ticks = step_ticks
        return [monitor_command([asked.variable.name], [0])]

    def _monitor(self, asked: Iterable[_SurveyedVariable]) -> Sequence[Json]:
        pairs = [(one.variable.name, one.period_ticks) for one in asked]
        return [monitor_command([n for n, _ in pairs], [p for _, p in pairs])] if pairs else []
