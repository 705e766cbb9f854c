"""Headers and payloads of the Watcher's data channel: format and parsing. Pure, no I/O.

The board sends pairs of binary websocket messages. A *header* is ASCII ``id/type``, for instance
``12/f``: the position of the variable in the reply to ``list`` and its C++ type. The *payload*
starts with a little-endian uint64, the tick of its first value, and is one of

- a *watch* payload, always 4104 bytes: dense (values only; value *k* is at tick + *k* · step) or
  sparse (values, then one uint32 tick relative to the first for each);
- a *monitor* payload, tick and one value: only its length tells it from a watch payload.

When the board's queue overflows it drops messages without notice, headers and payloads
independently. So the newest header wins, a payload without one is counted and dropped, and
nothing is attributed by its position in the stream: see ``data_decoder``.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import FrameError, RequestError
from bela_module.protocol.variables import (
    PAYLOAD_BYTES,
    TICK_BYTES,
    Array,
    Ticks,
    ValueType,
    Variable,
)

MAX_HEADER_BYTES: Final = 32
"""No header is longer."""

_HEADER = re.compile(rb"(\d{1,9})/([cjifd])")
_TICK = struct.Struct("<Q")


@dataclass(slots=True, eq=False)
class Block:
    """A payload with the variable that its header names."""

    variable: Variable
    tick: int
    """Tick of the first value, in [0, 2**63)."""
    values: Array
    """Shape (n_values,). Dense: all values of the payload, padding included, since a dense block
    does not say where it ends. Sparse: the valid values. Monitor: one value."""
    relative_ticks: NDArray[np.uint32] | None = None
    """Sparse only, shape (n_values,): tick of each value minus ``tick``, never decreasing."""
    monitor: bool = False
    """Whether the payload came from ``monitor`` and not from ``watch``."""
    full: bool = True
    """Whether a sparse block has no padding; true for the others, which do not tell."""

    @property
    def ticks(self) -> Ticks:
        """Exact tick of each value; only for sparse and monitor blocks."""
        if self.monitor:
            return np.array([self.tick], dtype=np.int64)
        if self.relative_ticks is None:
            raise RequestError("a dense block has one tick: its step comes from the next block")
        return self.relative_ticks.astype(np.int64) + self.tick


def parse_header(message: bytes) -> tuple[int, ValueType] | None:
    """Parse a header: position of the variable and its type; ``None`` for another message."""
    if len(message) > MAX_HEADER_BYTES:
        return None
    match = _HEADER.fullmatch(message)
    if match is None:
        return None
    return int(match[1]), ValueType(match[2].decode())


def decode_payload(variable: Variable, payload: bytes) -> Block:
    """Parse a payload of a variable; the arrays are read-only views of the message.

    Raises
    ------
    FrameError
        When the length is neither, the tick is 2**63 or more, or relative ticks run backwards.
    """
    layout, size = variable.layout, len(payload)
    if size not in (PAYLOAD_BYTES, layout.monitor_bytes):
        raise FrameError(
            f"a payload of {size} bytes; a {variable.value_type.label} takes "
            f"{PAYLOAD_BYTES} (watch) or {layout.monitor_bytes} (monitor)"
        )
    (tick,) = _TICK.unpack_from(payload)
    if tick >= 2**63:
        raise FrameError(f"a first tick of {tick}, which no board can have counted to")
    if size == layout.monitor_bytes:
        value = np.frombuffer(payload, layout.dtype, 1, TICK_BYTES)
        return Block(variable, tick, value, monitor=True)
    count = layout.value_count
    values = np.frombuffer(payload, layout.dtype, count, TICK_BYTES)
    if not layout.sparse:
        return Block(variable, tick, values)
    relative_ticks = np.frombuffer(payload, "<u4", count, layout.ticks_offset_bytes)
    n_valid = _count_valid(relative_ticks)
    relative_ticks = relative_ticks[:n_valid]
    if relative_ticks[0] != 0 or np.any(relative_ticks[1:] < relative_ticks[:-1]):
        raise FrameError("relative ticks that run backwards")
    return Block(variable, tick, values[:n_valid], relative_ticks, full=n_valid == count)


def _count_valid(relative_ticks: NDArray[np.uint32]) -> int:
    """Count the values before the padding, whose ticks are 0, as only the first tick's may be."""
    used = np.flatnonzero(relative_ticks)
    return int(used[-1]) + 1 if used.size else 1
