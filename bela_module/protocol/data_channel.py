"""The Watcher's data channel: variables, block layouts, decoder and encoder. Pure, no I/O.

The board sends pairs of binary websocket messages. A *header* is ASCII ``id/type``, for instance
``12/f``: the position of the variable in the reply to ``list`` and its C++ type. The *payload*
starts with a little-endian uint64, the tick of its first value, and is one of

- a *watch* payload, always 4104 bytes: dense (values only; value *k* is at tick + *k* · step) or
  sparse (values, then one uint32 tick relative to the first for each);
- a *monitor* payload, tick and one value: only its length tells it from a watch payload.

When the board's queue overflows it drops messages without notice, headers and payloads
independently. So the newest header wins, a payload without one is counted and dropped, and
nothing is attributed by its position in the stream.

The control channel, JSON text, is in ``control_channel``.
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

_MAX_HEADER_BYTES: Final = 32
_HEADER = re.compile(rb"(\d{1,9})/([cjifd])")
_TICK = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One payload, attributed to its variable.

    Attributes
    ----------
    variable : Variable
        Whose values these are.
    tick : int
        Tick of the first value, in [0, 2**63).
    values : ndarray of shape (n_values,)
        Dense: everything that the payload holds, padding included, since a dense block does not
        say where it ends. Sparse: the valid values. Monitor: one value.
    relative_ticks : ndarray of uint32 of shape (n_values,) or None
        Sparse only: tick of each value minus ``tick``; never decreasing, the first is 0.
    monitor : bool
        Whether this came from a monitor and not from a watch.
    full : bool
        Whether a sparse block has no padding; true for the others, which do not tell.
    """

    variable: Variable
    tick: int
    values: Array
    relative_ticks: NDArray[np.uint32] | None = None
    monitor: bool = False
    full: bool = True

    @property
    def ticks(self) -> Ticks:
        """Tick of each value, exact; only for sparse and monitor blocks."""
        if self.monitor:
            return np.array([self.tick], dtype=np.int64)
        if self.relative_ticks is None:
            raise RequestError("a dense block has one tick: its step comes from the next block")
        return self.relative_ticks.astype(np.int64) + self.tick


def parse_header(message: bytes) -> tuple[int, ValueType] | None:
    """Read a header.

    Parameters
    ----------
    message : bytes
        One message of the data channel.

    Returns
    -------
    (int, ValueType) or None
        Position of the variable and its type; ``None`` when this is not a header.
    """
    if len(message) > _MAX_HEADER_BYTES:
        return None
    match = _HEADER.fullmatch(message)
    if match is None:
        return None
    return int(match[1]), ValueType(match[2].decode())


def decode_payload(variable: Variable, payload: bytes) -> Block:
    """Read a payload that belongs to a variable.

    Parameters
    ----------
    variable : Variable
        Whose payload it is.
    payload : bytes
        The message; its length tells watch from monitor.

    Returns
    -------
    Block
        Its arrays are read-only views of the message.

    Raises
    ------
    FrameError
        When the length is neither, the tick is 2**63 or more, or relative ticks run backwards.
    """
    layout = variable.layout
    dtype = variable.value_type.dtype
    if len(payload) not in (PAYLOAD_BYTES, layout.monitor_bytes):
        raise FrameError(
            f"a payload of {len(payload)} bytes; a {variable.value_type.label} takes "
            f"{PAYLOAD_BYTES} (watch) or {layout.monitor_bytes} (monitor)"
        )
    (tick,) = _TICK.unpack_from(payload)
    if tick >= 2**63:
        raise FrameError(f"a first tick of {tick}, which no board can have counted to")
    if len(payload) == layout.monitor_bytes:
        return Block(variable, tick, np.frombuffer(payload, dtype, 1, TICK_BYTES), monitor=True)
    count = layout.value_count
    values = np.frombuffer(payload, dtype, count, TICK_BYTES)
    if not layout.sparse:
        return Block(variable, tick, values)
    relative_ticks = np.frombuffer(payload, "<u4", count, layout.ticks_offset_bytes)
    n_valid = _count_valid(relative_ticks)
    relative_ticks = relative_ticks[:n_valid]
    if relative_ticks[0] != 0 or np.any(relative_ticks[1:] < relative_ticks[:-1]):
        raise FrameError("relative ticks that run backwards")
    return Block(variable, tick, values[:n_valid], relative_ticks, full=n_valid == count)


def _count_valid(relative_ticks: NDArray[np.uint32]) -> int:
    """Count the values before the padding: it has tick 0, as only the first tick's values have."""
    used = np.flatnonzero(relative_ticks)
    return int(used[-1]) + 1 if used.size else 1
