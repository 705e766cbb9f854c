"""What is sent to the sketch, byte by byte."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.errors import FrameError, RequestError
from bela_module.protocol.sketch_buffer import SketchBuffer, decode_buffer, encode_buffer
from bela_module.protocol.variables import ValueType

STRUCT = {"c": "B", "j": "I", "i": "i", "f": "f", "d": "d"}
EXTREMES: dict[str, list[Any]] = {
    "c": [0, 127, 128, 255],
    "j": [0, 2**31 - 1, 2**31, 2**32 - 1],
    "i": [0, -1, 2**31 - 1, -(2**31)],
    "f": [0.0, -0.5, 2.0**-126, 3.0e38],
    "d": [0.0, -0.1, 5e-324, 1.7e308],
}


@pytest.mark.parametrize("kind", EXTREMES)
def test_buffers_to_the_board_byte_by_byte(kind: str) -> None:
    values = EXTREMES[kind]
    golden = (
        struct.pack("<I", 7)
        + kind.encode()
        + b"\0\0\0"
        + struct.pack("<I", 4)
        + b"\0\0\0\0"
        + struct.pack(f"<4{STRUCT[kind]}", *values)
    )
    value_type = ValueType(kind)
    buffer = SketchBuffer(7, value_type, np.array(values))
    assert encode_buffer(buffer) == golden
    back = decode_buffer(golden)
    assert (back.buffer_id, back.value_type) == (7, value_type)
    np.testing.assert_array_equal(back.values, np.array(values, value_type.dtype), strict=True)


def test_an_empty_buffer_still_has_its_sixteen_bytes() -> None:
    message = encode_buffer(SketchBuffer(2**32 - 1, ValueType.FLOAT, np.array([])))
    assert message == b"\xff\xff\xff\xfff" + bytes(11)
    assert decode_buffer(message).values.size == 0


@pytest.mark.parametrize(("kind", "most"), [("c", 15983), ("f", 3995), ("d", 1997)])
def test_what_the_board_does_not_take_at_once_is_refused(kind: str, most: int) -> None:
    assert len(encode_buffer(SketchBuffer(0, ValueType(kind), np.zeros(most)))) < 16_000
    with pytest.raises(RequestError, match=f"{most + 1} values of .*takes {most} at once"):
        encode_buffer(SketchBuffer(0, ValueType(kind), np.zeros(most + 1)))


@pytest.mark.parametrize("buffer_id", [-1, 2**32])
def test_a_buffer_id_out_of_range_is_refused(buffer_id: int) -> None:
    with pytest.raises(RequestError, match=str(buffer_id)):
        encode_buffer(SketchBuffer(buffer_id, ValueType.INT, np.array([1])))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("c", 256), ("c", -1), ("j", -1), ("j", 2**32), ("i", 2**31), ("i", -(2**31) - 1)]
    + [(kind, float("nan")) for kind in "cji"]
    + [("f", 1e39), ("f", -1e300)],
)
def test_a_value_out_of_its_types_range_is_refused(kind: str, value: float) -> None:
    with pytest.raises(RequestError, match="the range of a"):
        encode_buffer(SketchBuffer(0, ValueType(kind), np.array([1, value])))


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (b"", "0 bytes"),
        (bytes(15), "15 bytes"),
        (bytes(4) + b"x" + bytes(11), "unknown type b'x'"),
        (struct.pack("<IcxxxI4x", 1, b"d", 2) + bytes(15), "announces 32"),
        (struct.pack("<IcxxxI4x", 1, b"c", 2**32 - 1), "announces 4294967311"),
    ],
)
def test_a_buffer_that_contradicts_itself_is_refused(message: bytes, match: str) -> None:
    with pytest.raises(FrameError, match=match):
        decode_buffer(message)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_buffer_or_a_frame_error(message: bytes) -> None:
    try:
        buffer = decode_buffer(message)
    except FrameError:
        return
    assert decode_buffer(encode_buffer(buffer)).values.tobytes() == buffer.values.tobytes()
