"""Buffers of numbers that are sent to the sketch on the data channel. Pure, no I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.errors import FrameError, RequestError
from bela_module.protocol.variables import Array, ValueType

MAX_BUFFER_BYTES: Final = 15_999
"""Longest message that the board accepts."""

_HEADER = struct.Struct("<IcxxxI4x")


@dataclass(frozen=True, slots=True, eq=False)
class SketchBuffer:
    """Numbers sent to the sketch, which it reads by their id."""

    buffer_id: int
    """Id that the sketch has given to the buffer, in [0, 2**32)."""
    value_type: ValueType
    values: Array
    """Shape (n_values,)."""


def encode_buffer(buffer: SketchBuffer) -> bytes:
    """Encode a buffer for the sketch: a header of 16 bytes, then the values.

    Raises
    ------
    RequestError
        When the id or a value is outside the range of its type, or there are too many.
    """
    if not 0 <= buffer.buffer_id < 2**32:
        raise RequestError(f"buffer_id {buffer.buffer_id} is not in 0 to {2**32 - 1}")
    raw = np.asarray(buffer.values)
    dtype = buffer.value_type.dtype
    most = (MAX_BUFFER_BYTES - _HEADER.size) // dtype.itemsize
    if raw.size > most:
        raise RequestError(
            f"{raw.size} values of {buffer.value_type.label}; the board takes {most} at once: "
            "send them in parts"
        )
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    inside = (raw >= limits.min) & (raw <= limits.max)
    if dtype.kind == "f":
        inside |= ~np.isfinite(raw)  # NaN and infinity are values of a float
    outside = raw[~inside]
    if outside.size:
        raise RequestError(
            f"{outside[0]} is not in {limits.min} to {limits.max}, the range of a "
            f"{buffer.value_type.label}"
        )
    data = raw.astype(dtype)
    code = buffer.value_type.value.encode()
    return _HEADER.pack(buffer.buffer_id, code, data.size) + data.tobytes()


def decode_buffer(message: bytes) -> SketchBuffer:
    """Decode a buffer that was sent to the board.

    Raises
    ------
    FrameError
        When the header is short, names no type, or the length does not fit its count.
    """
    if len(message) < _HEADER.size:
        raise FrameError(f"a buffer of {len(message)} bytes; its header alone takes 16")
    buffer_id, code, count = _HEADER.unpack_from(message)
    try:
        value_type = ValueType(code.decode("latin-1"))
    except ValueError:
        raise FrameError(f"a buffer of the unknown type {code!r}") from None
    expected = _HEADER.size + count * value_type.dtype.itemsize
    if len(message) != expected:
        raise FrameError(f"a buffer of {len(message)} bytes; its header announces {expected}")
    values = np.frombuffer(message, value_type.dtype, count, _HEADER.size)
    return SketchBuffer(buffer_id, value_type, values)
