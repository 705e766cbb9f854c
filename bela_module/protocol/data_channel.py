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
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import FrameError, RequestError

PAYLOAD_BYTES: Final = 4104
"""Size of every watch payload: a uint64 tick and 4096 bytes."""

TICK_BYTES: Final = 8
_RELATIVE_TICK_BYTES: Final = 4
_MAX_HEADER_BYTES: Final = 32
_HEADER = re.compile(rb"(\d{1,9})/([cjifd])")
_TICK = struct.Struct("<Q")

Array = NDArray[Any]
Ticks = NDArray[np.int64]


class ValueType(StrEnum):
    """The C++ types that a Watcher variable can have, by the letter that the board uses."""

    CHAR = "c"
    UNSIGNED_INT = "j"
    INT = "i"
    FLOAT = "f"
    DOUBLE = "d"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy type of one value on the wire; ``char`` is unsigned, as on the board's ARM."""
        return _DTYPES[self]

    @property
    def label(self) -> str:
        """The type's name in C++."""
        return self.name.lower().replace("_", " ")


_DTYPES: Final[dict[ValueType, np.dtype[Any]]] = {
    ValueType.CHAR: np.dtype("<u1"),
    ValueType.UNSIGNED_INT: np.dtype("<u4"),
    ValueType.INT: np.dtype("<i4"),
    ValueType.FLOAT: np.dtype("<f4"),
    ValueType.DOUBLE: np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Where values and relative ticks stand in a watch payload.

    Parameters
    ----------
    value_type : ValueType
        Type of the values.
    sparse : bool
        Whether each value carries its own tick.

    Notes
    -----
    As measured on the board's code, with *s* the size of a value: the values of a sparse payload
    end at 8 + floor(4096 / (s + 4)) · s, rounded down to a multiple of 4; the relative ticks
    follow, then zeros.
    """

    value_type: ValueType
    sparse: bool

    @property
    def ticks_offset_bytes(self) -> int:
        """Where the values end (and, in a sparse payload, the relative ticks begin)."""
        if not self.sparse:
            return PAYLOAD_BYTES
        size = self.value_type.dtype.itemsize
        room = (PAYLOAD_BYTES - TICK_BYTES) // (size + _RELATIVE_TICK_BYTES)
        return (TICK_BYTES + room * size) // 4 * 4

    @property
    def value_count(self) -> int:
        """Number of values that a full payload holds."""
        return (self.ticks_offset_bytes - TICK_BYTES) // self.value_type.dtype.itemsize

    @property
    def monitor_bytes(self) -> int:
        """Size of a monitor payload of this type."""
        return TICK_BYTES + self.value_type.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the sketch, as a reply to ``list`` describes it.

    Parameters
    ----------
    index : int
        Position in the list, which is the id on the data channel.
    name : str
        Name in the sketch; may be empty or repeated with older versions of Watcher.
    value_type : ValueType
        C++ type.
    sparse : bool
        Whether each value carries its own tick (``timestampMode`` 1).
    value, value_input : float
        What the sketch reads (the controlled value while controlled), and what it last assigned;
        NaN when the board had no finite number.
    watched, controlled, logged : bool
        State on the board, whoever asked for it.
    monitor_period_ticks : int
        Period of its monitor in ticks, 0 when off.
    log_file_name : str
        File on the board that it was last logged to.
    """

    index: int
    name: str
    value_type: ValueType
    sparse: bool = False
    value: float = 0.0
    value_input: float = 0.0
    watched: bool = False
    controlled: bool = False
    logged: bool = False
    monitor_period_ticks: int = 0
    log_file_name: str = ""

    @property
    def identity(self) -> tuple[str, ValueType, bool]:
        """What it is, whatever its number."""
        return self.name, self.value_type, self.sparse

    @property
    def layout(self) -> BlockLayout:
        """Layout of its watch payloads."""
        return BlockLayout(self.value_type, self.sparse)


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


class RefusalReason(StrEnum):
    """Why the decoder gave no block for a message."""

    ORPHAN_HEADER = "a header was followed by another header: its payload was lost"
    ORPHAN_PAYLOAD = "a payload came without a header"
    BAD_FRAME = "a message is neither a header nor a payload of the announced type"
    UNKNOWN_VARIABLE = "a header names a variable that the board's list does not have"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that gave no block, and why."""

    reason: RefusalReason
    detail: str


@dataclass(slots=True)
class DecoderCounters:
    """How many messages became what."""

    blocks: int = 0
    orphan_headers: int = 0
    orphan_payloads: int = 0
    bad_frames: int = 0
    unknown_variables: int = 0


@dataclass(slots=True)
class DataDecoder:
    """Turns the messages of the data channel into blocks.

    Give each message to :meth:`receive`, in order. What comes back is ``None`` (a header: wait
    for its payload), a :class:`Block`, or a :class:`Refusal`, which is also counted. No input
    whatever makes it raise.

    Parameters
    ----------
    variables : sequence of Variable
        The board's variables in the order of its list; give new ones with :meth:`describe`.
    """

    variables: Sequence[Variable] = ()
    counters: DecoderCounters = field(default_factory=DecoderCounters)
    _pending: tuple[int, ValueType] | None = None

    def describe(self, variables: Sequence[Variable]) -> None:
        """Use a newer list of the board's variables."""
        self.variables = variables

    def restart(self) -> None:
        """Forget a header whose payload cannot come any more (the connection ended)."""
        self._pending = None

    def receive(self, message: bytes | str) -> Block | Refusal | None:
        """Take the next message.

        Parameters
        ----------
        message : bytes or str
            One whole websocket message; text is refused, the board sends none here.

        Returns
        -------
        Block, Refusal or None
            ``None`` after a header that opens a pair.
        """
        if isinstance(message, str):
            return self._refuse(RefusalReason.BAD_FRAME, f"text {message[:40]!r}")
        header = parse_header(message)
        if header is not None:
            return self._open(header)
        if self._pending is None:
            if len(message) in _PAYLOAD_SIZES:
                return self._refuse(RefusalReason.ORPHAN_PAYLOAD, f"{len(message)} bytes")
            return self._refuse(RefusalReason.BAD_FRAME, f"{len(message)} bytes")
        (index, value_type), self._pending = self._pending, None
        return self._close(index, value_type, message)

    def _open(self, header: tuple[int, ValueType]) -> Refusal | None:
        lost, self._pending = self._pending, header
        if lost is None:
            return None
        return self._refuse(RefusalReason.ORPHAN_HEADER, f"{lost[0]}/{lost[1].value}")

    def _close(self, index: int, value_type: ValueType, message: bytes) -> Block | Refusal:
        name = f"{index}/{value_type.value}"
        if index >= len(self.variables) or self.variables[index].value_type is not value_type:
            return self._refuse(RefusalReason.UNKNOWN_VARIABLE, name)
        try:
            block = decode_payload(self.variables[index], message)
        except FrameError as error:
            return self._refuse(RefusalReason.BAD_FRAME, f"{name}: {error}")
        self.counters.blocks += 1
        return block

    def _refuse(self, reason: RefusalReason, detail: str) -> Refusal:
        counters = self.counters
        match reason:
            case RefusalReason.ORPHAN_HEADER:
                counters.orphan_headers += 1
            case RefusalReason.ORPHAN_PAYLOAD:
                counters.orphan_payloads += 1
            case RefusalReason.UNKNOWN_VARIABLE:
                counters.unknown_variables += 1
            case RefusalReason.BAD_FRAME:
                counters.bad_frames += 1
        return Refusal(reason, detail)


_PAYLOAD_SIZES: Final = frozenset(
    {PAYLOAD_BYTES, *(TICK_BYTES + dtype.itemsize for dtype in _DTYPES.values())}
)


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


def encode_header(variable: Variable) -> bytes:
    """Write the header of a variable's payloads."""
    return f"{variable.index}/{variable.value_type.value}".encode()


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


def encode_block(
    variable: Variable, tick: int, values: Array, relative_ticks: Array | None = None
) -> bytes:
    """Write a watch payload, padded with zeros as the board does.

    Parameters
    ----------
    variable : Variable
        Whose values they are.
    tick : int
        Tick of the first value.
    values : array of shape (n_values,)
        At most as many as the layout holds; cast to the variable's type.
    relative_ticks : array of shape (n_values,), optional
        Sparse only, and required there.

    Raises
    ------
    RequestError
        When the arrays do not fit the layout.
    """
    layout = variable.layout
    data = np.asarray(values).astype(variable.value_type.dtype, copy=False)
    if data.ndim != 1 or not 0 < data.size <= layout.value_count:
        raise RequestError(
            f"{data.size} values of shape {data.shape}; a block of {variable.name!r} holds "
            f"1 to {layout.value_count} in one dimension"
        )
    if not 0 <= tick < 2**63:
        raise RequestError(f"tick {tick} is not in 0 to 2**63 - 1")
    if layout.sparse != (relative_ticks is not None):
        raise RequestError("relative ticks go with sparse variables, and only with them")
    payload = bytearray(PAYLOAD_BYTES)
    _TICK.pack_into(payload, 0, tick)
    payload[TICK_BYTES : TICK_BYTES + data.nbytes] = data.tobytes()
    if relative_ticks is not None:
        ticks = np.asarray(relative_ticks).astype("<u4", copy=False)
        if ticks.shape != data.shape:
            raise RequestError(f"{ticks.size} relative ticks for {data.size} values")
        offset = layout.ticks_offset_bytes
        payload[offset : offset + ticks.nbytes] = ticks.tobytes()
    return bytes(payload)


def encode_monitor(variable: Variable, tick: int, value: float) -> bytes:
    """Write a monitor payload: the tick and one value."""
    return _TICK.pack(tick) + np.array([value]).astype(variable.value_type.dtype).tobytes()
