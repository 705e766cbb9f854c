"""Count how many values a dense variable has at each tick, by a watch of known length. Pure.

Monitors tell how far ticks with values are apart, not how many values each of them has: a sketch
may assign a variable twice per tick, or 16 times per audio block. A watch of *n* such distances
has *n* · *m* + 1 values, *m* at each tick, for the board ends with the first value at the end.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bela_module.protocol.control_commands import Json, watch_command
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable
from bela_module.tracking.received_block import ReceivedBlock

_FULL_BLOCK_S: Final = 0.1
"""As long as a full block may take, as one of ``char`` at 44.1 kHz does: where the next one begins
shows the count for certain, also of a trigger that is zero all the time."""
_SHORT_WATCH_S: Final = 0.02
_LEAST_SPACINGS: Final = 3
_MOST_SPACINGS: Final = 31


class ValueCount:
    """Finds the step of one dense variable whose ticks with values are known.

    Send its :attr:`command`, then feed it the variable's blocks until it is :attr:`done`.

    Parameters
    ----------
    variable : Variable
        A dense one, which nobody watches.
    spacing_ticks : int
        From one tick with values to the next.
    rate_hz : float
        Ticks a second, roughly.
    """

    def __init__(self, variable: Variable, spacing_ticks: int, rate_hz: float) -> None:
        self.spacing_ticks = spacing_ticks
        self.step_ticks: int | float | None = None
        self.done = False
        self._name = variable.name
        self._size = variable.layout.value_count
        self._first: ReceivedBlock | None = None
        self._ticks: list[int] = []
        self._is_long = self._size * spacing_ticks <= _FULL_BLOCK_S * rate_hz
        n_short = round(_SHORT_WATCH_S * rate_hz / spacing_ticks)
        n_short = min(max(n_short, _LEAST_SPACINGS), _MOST_SPACINGS)
        self._n_spacings = self._size if self._is_long else n_short

    @property
    def length_ticks(self) -> int:
        """How long the watch takes."""
        return self._n_spacings * self.spacing_ticks

    @property
    def command(self) -> Json:
        """The command for the board: watch from now on, for as long as it takes."""
        return watch_command([self._name], [0], [self.length_ticks])

    def add(self, block: Block) -> None:
        """Take a block of the watch; the step may be known then."""
        received = ReceivedBlock.of(block)
        if self._first is None:
            self._first = received
            if not self._is_long:
                self.step_ticks = self._step_of(received.n_certain)
                self.done = True
            return
        self._ticks.append(block.tick)
        if block.tick - self._first.tick >= self.length_ticks:
            self.step_ticks = self._step_of_row()
            self.done = True

    def _step_of_row(self) -> int | float | None:
        """Return the step by full blocks and one more value, if none of them was lost."""
        n_at_each = len(self._ticks)
        values = self._size * np.arange(1, n_at_each + 1) // n_at_each
        first_tick = self._first.tick if self._first is not None else 0
        complete = np.array_equal(self._ticks, first_tick + values * self.spacing_ticks)
        return self._divide(n_at_each) if complete else None

    def _step_of(self, n_values: int) -> int | float | None:
        """Return the step by the values of a block, which may end with zeros: then it is open."""
        n_at_each, rest = divmod(n_values - 1, self._n_spacings)
        if rest or n_at_each < 1 or n_values == self._size:
            return None
        return self._divide(n_at_each)

    def _divide(self, n_at_each: int) -> int | float:
        step = self.spacing_ticks / n_at_each
        return int(step) if step.is_integer() else step
