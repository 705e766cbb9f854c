"""Values that a client sent to the sketch, which assigns them to variables. No I/O."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.sketch_buffer import SketchBuffer
from bela_module.protocol.variables import Ticks
from bela_module.simulator.sketches.assignments import BEYOND_ALL_TICKS, AssignmentPattern
from bela_module.simulator.sketches.signals import Times
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable

_N_RECENT: Final = 4096  # commands of which a block of a dense variable can hold the values


class ReceivedValues(AssignmentPattern):
    """Assignments of received values, all of a buffer at one tick.

    All values are kept until the board restarts.
    """

    def __init__(self) -> None:
        self._starts = [0]  # number of the first value of each buffer, and of the next one
        self._ticks: list[int] = []
        self._values: list[NDArray[np.float32]] = []

    def add(self, tick: int, values: NDArray[np.float32]) -> None:
        """Assign the values of a buffer at a tick, which is after all earlier ones."""
        if values.size:
            self._starts.append(self._starts[-1] + values.size)
            self._ticks.append(tick)
            self._values.append(values)

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return the tick of each assignment; one that never comes for those not yet made."""
        return np.array([self.tick(int(number)) for number in numbers], dtype=np.int64)

    def tick(self, number: int) -> int:
        """Return the tick of one assignment."""
        if number < 0:
            return -1
        if number >= self._starts[-1]:
            return BEYOND_ALL_TICKS
        return self._ticks[bisect_right(self._starts, number) - 1]

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""
        return self._starts[bisect_left(self._ticks, tick)]

    def signal(self, numbers: NDArray[np.int64], _times_s: Times) -> NDArray[Any]:
        """Return the value of each assignment."""
        buffers = np.searchsorted(self._starts, numbers, side="right") - 1
        return np.array(
            [
                self._values[buffer][number - self._starts[buffer]]
                for buffer, number in zip(buffers, numbers, strict=True)
            ]
        )


class BufferEcho:
    """Assigns received buffers to the variables of a sketch: buffer 0 to the first, and so on.

    Each buffer, whatever its id, is one tick.
    """

    def __init__(self, sketch: Sketch, first_tick: int) -> None:
        self.tick = first_tick
        self._received = [ReceivedValues() for _ in sketch.variables]
        self.variables = tuple(
            replace(variable, signal=values.signal, assignments=values, by_number=True)
            for variable, values in zip(sketch.variables, self._received, strict=True)
        )

    def receive(self, buffer: SketchBuffer) -> None:
        """Assign the values of a buffer, whose bytes are taken for floats."""
        self.tick += 1
        if buffer.buffer_id < len(self._received):
            whole = buffer.values.nbytes // 4 * 4
            values = np.frombuffer(buffer.values.tobytes()[:whole], "<f4")
            self._received[buffer.buffer_id].add(self.tick, values[: buffer.values.size])


class CopiedCommands:
    """Commands in buffer 0 of a sketch, each of which takes effect in one audio block.

    The first number of a command is its sequence number, by which the sketch tells a new one from
    the one before. Of several that come within one block the last one alone is seen, as on the
    board. A sparse variable is assigned at the last tick of the block, whose time is that at which
    the block was computed; a dense one has the value from that tick on.
    """

    def __init__(self, sketch: Sketch) -> None:
        self.ticks: list[int] = []
        self._rows: list[NDArray[np.float64]] = []
        self.variables = tuple(self._connect(variable) for variable in sketch.variables)

    @staticmethod
    def is_in(sketch: Sketch) -> bool:
        """Tell whether a sketch copies anything."""
        return any(variable.copies is not None for variable in sketch.variables)

    def receive(self, buffer: SketchBuffer, tick: int) -> None:
        """Take a buffer, which the block that ends with a tick reads."""
        if buffer.buffer_id != 0 or not buffer.values.size:
            return
        row = np.asarray(buffer.values, np.float64)
        if self.ticks and self.ticks[-1] == tick:
            self.ticks.pop()
            self._rows.pop()
        if not self._rows or self._rows[-1][0] != row[0]:
            self.ticks.append(tick)
            self._rows.append(row)

    def taken(self) -> list[tuple[int, tuple[float, ...]]]:
        """Give the tick and the numbers of each command."""
        return [(t, tuple(row.tolist())) for t, row in zip(self.ticks, self._rows, strict=True)]

    def _connect(self, variable: SketchVariable) -> SketchVariable:
        if variable.copies is None:
            return variable
        if not variable.sparse:
            return replace(variable, signal=_LatestCommand(self, variable.copies).signal)
        pattern = _CommandAssignments(self, variable.copies)
        return replace(variable, signal=pattern.signal, assignments=pattern, by_number=True)

    def number(self, command: int, copies: int) -> float:
        """Return a number of a command, 0 when it has none there."""
        row = self._rows[command]
        return float(row[copies]) if copies < row.size else 0.0


class _CommandAssignments(AssignmentPattern):
    """Assignments of one number of each command."""

    def __init__(self, commands: CopiedCommands, copies: int) -> None:
        self._commands = commands
        self._copies = copies

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Return the tick of each assignment; one that never comes for those not yet made."""
        return np.array([self.tick(int(number)) for number in numbers], dtype=np.int64)

    def tick(self, number: int) -> int:
        """Return the tick of one assignment."""
        ticks = self._commands.ticks
        if number < 0:
            return -1
        return ticks[number] if number < len(ticks) else BEYOND_ALL_TICKS

    def first_at_or_after(self, tick: int) -> int:
        """Return the number of the first assignment at or after a tick."""
        return bisect_left(self._commands.ticks, tick)

    def signal(self, numbers: NDArray[np.int64], _times_s: Times) -> NDArray[Any]:
        """Return the value of each assignment."""
        return np.array([self._commands.number(int(n), self._copies) for n in numbers])


class _LatestCommand:
    """A number of the latest command at each tick."""

    def __init__(self, commands: CopiedCommands, copies: int) -> None:
        self._commands = commands
        self._copies = copies

    def signal(self, ticks: Ticks, _times_s: Times) -> NDArray[Any]:
        """Return the value at each tick, 0 before the first command."""
        commands = self._commands
        first = max(0, len(commands.ticks) - _N_RECENT)
        numbers = [commands.number(n, self._copies) for n in range(first, len(commands.ticks))]
        since = np.asarray(commands.ticks[first:], np.int64)
        before = commands.number(first - 1, self._copies) if first else 0.0
        return np.array([before, *numbers])[np.searchsorted(since, ticks, side="right")]
