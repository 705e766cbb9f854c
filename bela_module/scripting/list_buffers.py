"""Buffers as scripts get them: with lists, in whole blocks, and single monitored values. Pure.

Inside, buffers hold NumPy arrays (``recording.buffers.BufferData``). Scripts that were written for
pybela count on lists, for which ``data * 2`` or ``times + data`` mean something else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Final, Generic, NotRequired, TypedDict, TypeVar

import numpy as np

from bela_module.protocol.variables import BlockLayout, ValueType, Variable
from bela_module.recording.buffers import BufferData, StreamBuffer, join_buffers
from bela_module.streams.sink import Stamps

Item = TypeVar("Item")


class ListBuffer(TypedDict):
    """Consecutive values of one variable, in a list.

    Attributes
    ----------
    ref_timestamp : int
        Tick of the first value.
    data : list
        The values, as numbers of Python.
    rel_timestamps : list of int
        Only of sparse variables: tick of each value, counted from ``ref_timestamp``.
    lsl_timestamps : ndarray of float64 of shape (n_values,)
        LSL time, in seconds, at which the board took each value.
    lost : int
        Values that are missing between the buffer before and this one.
    """

    ref_timestamp: int
    data: list[Any]
    rel_timestamps: NotRequired[list[int]]
    lsl_timestamps: Stamps
    lost: int


class MonitoredValue(TypedDict):
    """A single value of a monitored variable.

    Attributes
    ----------
    timestamp : int
        Its tick.
    value : float or int
        The value.
    lsl_timestamp : float
        LSL time, in seconds, at which the board took it.
    """

    timestamp: int
    value: Any
    lsl_timestamp: float


def as_lists(buffer: BufferData, *, sparse: bool) -> ListBuffer:
    """Give a buffer whose values, and relative ticks if it is sparse, are lists."""
    lists = ListBuffer(
        ref_timestamp=buffer["ref_timestamp"],
        data=buffer["data"].tolist(),
        lsl_timestamps=buffer["lsl_timestamps"],
        lost=buffer["lost"],
    )
    if sparse:
        lists["rel_timestamps"] = buffer["rel_timestamps"].tolist()
    return lists


def monitored_values(buffer: BufferData) -> list[MonitoredValue]:
    """Give the values of a buffer one by one."""
    columns = (
        (buffer["rel_timestamps"] + buffer["ref_timestamp"]).tolist(),
        buffer["data"].tolist(),
        buffer["lsl_timestamps"].tolist(),
    )
    return [
        MonitoredValue(timestamp=tick, value=value, lsl_timestamp=stamp_s)
        for tick, value, stamp_s in zip(*columns, strict=True)
    ]


def split_partial(
    variable: Variable, buffers: Sequence[BufferData]
) -> tuple[list[BufferData], BufferData | None]:
    """Separate the last block of a run, which the board had not filled, from whole ones.

    Parameters
    ----------
    variable : Variable
        Whose buffers they are.
    buffers : sequence of BufferData
        All of a run that has ended.

    Returns
    -------
    list of BufferData
        The buffers. One that is the only one of a run is among them, however short it is.
    BufferData or None
        What follows after a whole block, if it is none.
    """
    kept, size = list(buffers), variable.layout.value_count
    if len(kept) > 1 and kept[-1]["data"].size < size == kept[-2]["data"].size:
        return kept[:-1], kept[-1]
    return kept, None


def ticks_of(buffer: BufferData) -> list[int]:
    """Give the tick of each value of a buffer."""
    ticks: list[int] = (buffer["rel_timestamps"] + buffer["ref_timestamp"]).tolist()
    return ticks


def join_values(buffers: Sequence[BufferData]) -> list[Any]:
    """Give the values of some buffers in one list."""
    if not buffers:
        return []
    values: list[Any] = np.concatenate([buffer["data"] for buffer in buffers]).tolist()
    return values


class BlockJoiner:
    """Joins what comes of one block of a dense variable in parts, as zeros at its end do.

    Zeros come with the next block only, since until then they may be padding. Values that come
    one by one are never kept waiting.
    """

    def __init__(self) -> None:
        self._held: dict[str, BufferData] = {}
        self._in_parts: set[str] = set()

    def add(self, variable: Variable, buffer: BufferData) -> list[BufferData]:
        """Take a variable's next buffer; return those that are complete, or will not be."""
        name, size = variable.name, variable.layout.value_count
        given: list[BufferData] = []
        if (held := self._held.pop(name, None)) is not None:
            if held["data"].size + buffer["data"].size <= size and _follows(held, buffer):
                lost = held["lost"]
                buffer = join_buffers([held, buffer])
                buffer["lost"] = lost
            else:
                given.append(held)
                self._in_parts.add(name)
        if buffer["data"].size >= size:
            self._in_parts.discard(name)
        if variable.sparse or name in self._in_parts or not 1 < buffer["data"].size < size:
            return [*given, buffer]
        self._held[name] = buffer
        return given

    def take_held(self, name: str) -> BufferData | None:
        """Return what waits of a variable, which nothing more will complete."""
        return self._held.pop(name, None)


def _follows(before: BufferData, after: BufferData) -> bool:
    """Tell whether a buffer begins one step after another, with nothing lost between."""
    step = before["rel_timestamps"][-1] - before["rel_timestamps"][-2]
    last_tick = before["ref_timestamp"] + before["rel_timestamps"][-1]
    return after["lost"] == 0 and bool(after["ref_timestamp"] == last_tick + step)


class ConvertedQueues(Generic[Item]):
    """Converts the buffers of queues, each once, for readers that look again and again."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, tuple[BufferData, list[Item]]]] = {}
        self._lock = threading.Lock()

    def of(
        self,
        queues: Mapping[str, Sequence[BufferData]],
        convert: Callable[[str, BufferData], list[Item]],
    ) -> dict[str, list[Item]]:
        """Convert queues; what has left them since the last call is forgotten.

        Parameters
        ----------
        queues : mapping of str to sequence of BufferData
            Buffers of each variable.
        convert : callable
            Gives what a buffer of a variable becomes, of which there may be several.
        """
        with self._lock:
            before = self._known
            self._known = {
                name: {
                    # The buffer is kept beside what it became, so that no other can have its id.
                    id(buffer): before.get(name, {}).get(id(buffer))
                    or (buffer, convert(name, buffer))
                    for buffer in queue
                }
                for name, queue in queues.items()
            }
            return {
                name: [item for _, items in known.values() for item in items]
                for name, known in self._known.items()
            }


def with_lists(callback: Callable[..., Any], variables: Sequence[Variable]) -> Callable[..., Any]:
    """Make a callback of buffers with arrays from one of buffers with lists."""
    sparse = {variable.name for variable in variables if variable.sparse}

    def call(buffer: StreamBuffer, *arguments: Any) -> Any:
        return callback(_named_lists(buffer, sparse), *arguments)

    return call


def with_lists_of_block(
    callback: Callable[..., Any], variables: Sequence[Variable]
) -> Callable[..., Any]:
    """Make a callback of blocks with arrays from one of blocks with lists."""
    sparse = {variable.name for variable in variables if variable.sparse}

    def call(block: Sequence[StreamBuffer], *arguments: Any) -> Any:
        return callback([_named_lists(buffer, sparse) for buffer in block], *arguments)

    return call


def _named_lists(buffer: StreamBuffer, sparse: Container[str]) -> dict[str, Any]:
    name = buffer["name"]
    return {"name": name, "buffer": as_lists(buffer["buffer"], sparse=name in sparse)}


_WHOLE_BLOCKS: Final = {
    BlockLayout(kind, sparse).value_count for kind in ValueType for sparse in (False, True)
}


def without_partial(buffers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the last buffer of a file when it follows a whole block and is none."""
    kept = list(buffers)
    if len(kept) > 1 and len(kept[-1]["data"]) < len(kept[-2]["data"]) in _WHOLE_BLOCKS:
        return kept[:-1]
    return kept
