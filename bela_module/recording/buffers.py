"""Buffers in the shape that the Streamer tutorial uses, and blocks of them aligned by tick. Pure.

A *buffer* holds consecutive values of one variable. A *block* holds one buffer for each variable
of a run, all of the same span of ticks, whatever the rates, the types and the sizes of the
board's own blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypedDict

import numpy as np

from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.sink import Stamps

_BEFORE_ALL: Final = -1


class BufferData(TypedDict):
    """Consecutive values of one variable.

    Attributes
    ----------
    ref_timestamp : int
        Tick of the first value.
    data : ndarray of shape (n_values,)
        The values, of the variable's own type.
    rel_timestamps : ndarray of int64 of shape (n_values,)
        Tick of each value, counted from ``ref_timestamp``.
    lsl_timestamps : ndarray of float64 of shape (n_values,)
        LSL time, in seconds, at which the board took each value.
    lost : int
        Values that are missing between the buffer before and this one.
    """

    ref_timestamp: int
    data: Array
    rel_timestamps: Ticks
    lsl_timestamps: Stamps
    lost: int


class StreamBuffer(TypedDict):
    """A buffer as callbacks are given it.

    Attributes
    ----------
    name : str
        The variable.
    buffer : BufferData
        Its values.
    """

    name: str
    buffer: BufferData


AlignedBlock = list[StreamBuffer]


def make_buffer(ticks: Ticks, values: Array, stamps_s: Stamps, lost: int = 0) -> BufferData:
    """Shape values as the tutorial does.

    Parameters
    ----------
    ticks : ndarray of int64 of shape (n_values,)
        Tick of each value; at least one.
    values : ndarray of shape (n_values,)
        The values.
    stamps_s : ndarray of float64 of shape (n_values,)
        LSL time of each.
    lost : int
        Values that are missing before them.
    """
    first_tick = int(ticks[0])
    return BufferData(
        ref_timestamp=first_tick,
        data=values,
        rel_timestamps=ticks - first_tick,
        lsl_timestamps=stamps_s,
        lost=lost,
    )


def native_values(variable: Variable, column: Array) -> Array:
    """Give one column of a stream the variable's own type again, on a copy.

    LSL has no unsigned types, so that streams carry bytes as int8 and unsigned int as doubles.

    Parameters
    ----------
    variable : Variable
        Whose values they are.
    column : ndarray of shape (n_values,)
        The values as they are streamed.
    """
    dtype = variable.value_type.dtype
    if column.dtype.itemsize == dtype.itemsize == 1:
        return np.ascontiguousarray(column).view(dtype).copy()
    return np.array(column, dtype=dtype)


def insert_late(buffers: list[BufferData], late: BufferData) -> None:
    """Put values that became known late in their place among buffers.

    Buffers whose times overlap with theirs become one.

    Parameters
    ----------
    buffers : list of BufferData
        In the order of their times; changed in place.
    late : BufferData
        Values of the same variable, or rows of the same stream.
    """
    first_s, last_s = late["lsl_timestamps"][0], late["lsl_timestamps"][-1]
    stop = len(buffers)
    while stop and buffers[stop - 1]["lsl_timestamps"][0] > last_s:
        stop -= 1
    start = stop
    while start and buffers[start - 1]["lsl_timestamps"][-1] > first_s:
        start -= 1
    parts = [*buffers[start:stop], late]
    whole = join_buffers(parts)
    order = np.argsort(whole["lsl_timestamps"], kind="stable")
    buffers[start:stop] = [
        make_buffer(
            (whole["rel_timestamps"] + whole["ref_timestamp"])[order],
            whole["data"][order],
            whole["lsl_timestamps"][order],
            sum(part["lost"] for part in parts),
        )
    ]


@dataclass(slots=True)
class _Lane:
    """Buffers of one variable that wait, and the last tick up to which it is known."""

    parts: deque[BufferData] = field(default_factory=deque)
    n_values: int = 0
    last_tick: int = _BEFORE_ALL
    known_tick: int = _BEFORE_ALL
    lost: int = 0

    def put(self, buffer: BufferData) -> None:
        """Append a buffer."""
        self.parts.append(buffer)
        self.n_values += buffer["data"].size
        self.lost += buffer["lost"]
        self.last_tick = _last_tick(buffer)
        self.known_tick = max(self.known_tick, self.last_tick)

    def put_late(self, buffer: BufferData) -> None:
        """Put values that became known late where they belong."""
        parts = list(self.parts)
        insert_late(parts, buffer)
        self.parts = deque(parts)
        self.n_values += buffer["data"].size

    def take(self, last_tick: int, empty: BufferData) -> BufferData:
        """Remove what waits up to a tick, inclusive, as one buffer."""
        taken: list[BufferData] = []
        while self.parts and self.parts[0]["ref_timestamp"] <= last_tick:
            part = self.parts.popleft()
            last = last_tick - part["ref_timestamp"]
            at = int(np.searchsorted(part["rel_timestamps"], last, "right"))
            if at < part["data"].size:
                self.parts.appendleft(_slice(part, at, None))
                part = _slice(part, 0, at)
            taken.append(part)
        lost, self.lost = self.lost, 0
        whole = join_buffers(taken) if taken else empty
        self.n_values -= whole["data"].size
        whole["lost"] = lost
        return whole


def _last_tick(buffer: BufferData) -> int:
    return buffer["ref_timestamp"] + int(buffer["rel_timestamps"][-1])


def _slice(part: BufferData, start: int, stop: int | None) -> BufferData:
    ticks = part["rel_timestamps"][start:stop] + part["ref_timestamp"]
    return make_buffer(ticks, part["data"][start:stop], part["lsl_timestamps"][start:stop])


def join_buffers(parts: Sequence[BufferData]) -> BufferData:
    """Make one buffer of some, in their order; what was lost before them is not carried over."""
    if len(parts) == 1:
        return parts[0].copy()
    return make_buffer(
        np.concatenate([part["rel_timestamps"] + part["ref_timestamp"] for part in parts]),
        np.concatenate([part["data"] for part in parts]),
        np.concatenate([part["lsl_timestamps"] for part in parts]),
    )


class BlockAligner:
    """Makes blocks from the buffers of several variables.

    A block is given once every variable is known up to its last tick, so it waits for the
    slowest: a sparse variable is known only when its own block is full.

    Parameters
    ----------
    variables : sequence of Variable
        The variables, in the order that they have in each block.
    max_waiting_values : int
        How many values of one variable wait at most for those of the others. Beyond that, blocks
        are given without what lags, which is part of a later block then.
    """

    def __init__(self, variables: Sequence[Variable], max_waiting_values: int = 500_000) -> None:
        self._variables = tuple(variables)
        self._lanes = {variable.name: _Lane() for variable in variables}
        self._max_waiting_values = max_waiting_values
        self._given_tick = _BEFORE_ALL

    def add(self, name: str, buffer: BufferData) -> list[AlignedBlock]:
        """Take a variable's next buffer.

        Returns
        -------
        list of list of StreamBuffer
            The blocks that are complete now, of which there are two only when the board restarted.
        """
        lane = self._lanes[name]
        # Ticks go back only when the board's tick counter was reset.
        blocks = self._restart_ticks() if buffer["ref_timestamp"] < lane.last_tick else []
        lane.put(buffer)
        return blocks + self._give_known(lane)

    def add_late(self, name: str, buffer: BufferData) -> None:
        """Take values that became known after later ones.

        They are part of the block of their ticks or, when that was given already, begin the
        variable's buffer in the next one.
        """
        self._lanes[name].put_late(buffer)

    def lose(self, name: str, last_tick: int) -> list[AlignedBlock]:
        """Learn that of a variable nothing more comes up to a tick.

        Returns
        -------
        list of list of StreamBuffer
            The blocks that are complete now: none or one.
        """
        lane = self._lanes[name]
        lane.known_tick = max(lane.known_tick, last_tick)
        return self._give_known(lane)

    def finish(self) -> list[AlignedBlock]:
        """Give all that still waits, as one block.

        Returns
        -------
        list of list of StreamBuffer
            None or one.
        """
        return self._give(max(lane.known_tick for lane in self._lanes.values()))

    def _restart_ticks(self) -> list[AlignedBlock]:
        blocks = self.finish()
        self._given_tick = _BEFORE_ALL
        for lane in self._lanes.values():
            lane.last_tick = lane.known_tick = _BEFORE_ALL
        return blocks

    def _give_known(self, changed: _Lane) -> list[AlignedBlock]:
        last_tick = min(lane.known_tick for lane in self._lanes.values())
        if changed.n_values > self._max_waiting_values:
            last_tick = max(last_tick, _last_tick(changed.parts[0]))
        return self._give(last_tick)

    def _give(self, last_tick: int) -> list[AlignedBlock]:
        if last_tick <= self._given_tick:
            return []
        first_tick, self._given_tick = self._given_tick + 1, last_tick
        nothing = np.empty(0, np.int64)
        block: AlignedBlock = []
        for variable in self._variables:
            empty = BufferData(
                ref_timestamp=first_tick,
                data=np.empty(0, variable.value_type.dtype),
                rel_timestamps=nothing,
                lsl_timestamps=np.empty(0),
                lost=0,
            )
            buffer = self._lanes[variable.name].take(last_tick, empty)
            block.append(StreamBuffer(name=variable.name, buffer=buffer))
        return [block] if any(buffer["buffer"]["data"].size for buffer in block) else []
