"""Encoder of headers and payloads of the data channel, as the board writes them. Pure."""

from __future__ import annotations

import struct

import numpy as np

from bela_module.errors import RequestError
from bela_module.protocol.variables import PAYLOAD_BYTES, TICK_BYTES, Array, Variable

_TICK = struct.Struct("<Q")


def encode_header(variable: Variable) -> bytes:
    """Encode the header of a variable's payloads."""
    return f"{variable.index}/{variable.value_type.value}".encode()


def encode_block(
    variable: Variable, tick: int, values: Array, relative_ticks: Array | None = None
) -> bytes:
    """Encode a watch payload, padded with zeros as the board does.

    ``values`` and, for a sparse variable alone, ``relative_ticks`` have shape (n_values,), with at
    most as many values as the layout holds; they are cast to the variable's type.

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
    """Encode a monitor payload: the tick and one value."""
    return _TICK.pack(tick) + np.array([value]).astype(variable.value_type.dtype).tobytes()
