"""Values that a client sent to the sketch, which assigns them to a variable. No I/O."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.sketch_buffer import SketchBuffer
from bela_module.protocol.variables import Ticks
from bela_module.simulator.sketches.assignments import BEYOND_ALL_TICKS, AssignmentPattern
from bela_module.simulator.sketches.signals import Times
from bela_module.simulator.sketches.sketch import Sketch


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
