"""What the board sends, written byte by byte."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.protocol.block_encoder import encode_block, encode_monitor
from bela_module.protocol.data_channel import decode_payload
from bela_module.protocol.variables import ValueType
from tests.support.golden_blocks import (
    LAYOUTS,
    STRUCT,
    golden_dense,
    golden_sparse,
    variable,
)

EXTREMES: dict[str, list[Any]] = {
    "c": [0, 127, 128, 255],
    "j": [0, 2**31 - 1, 2**31, 2**32 - 1],
    "i": [0, -1, 2**31 - 1, -(2**31)],
    "f": [0.0, -0.5, 2.0**-126, 3.0e38],
    "d": [0.0, -0.1, 5e-324, 1.7e308],
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_dense_payload_is_read_and_written_byte_by_byte(kind: str) -> None:
    count = LAYOUTS[kind][0]
    values = list(itertools.islice(itertools.cycle(EXTREMES[kind]), count))
    payload = golden_dense(kind, 2**33 + 5, values)
    var = variable(kind)
    block = decode_payload(var, payload)
    assert (block.variable, block.tick, block.monitor, block.full) == (var, 2**33 + 5, False, True)
    assert block.relative_ticks is None
    expected = np.array(values, dtype=ValueType(kind).dtype)
    np.testing.assert_array_equal(block.values, expected, strict=True)
    assert encode_block(var, 2**33 + 5, expected) == payload


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("part", [1, 2, 3], ids=["full", "half", "third"])
def test_sparse_payload_is_read_and_written_byte_by_byte(kind: str, part: int) -> None:
    count = LAYOUTS[kind][1] // part
    values = list(itertools.islice(itertools.cycle(EXTREMES[kind]), count))
    relative = [12 * k for k in range(count)]
    payload = golden_sparse(kind, 24_000, values, relative)
    var = variable(kind, sparse=True)
    block = decode_payload(var, payload)
    expected = np.array(values, dtype=ValueType(kind).dtype)
    np.testing.assert_array_equal(block.values, expected, strict=True)
    assert block.ticks.tolist() == [24_000 + 12 * k for k in range(count)]
    assert block.full is (part == 1)
    assert not block.monitor
    assert encode_block(var, 24_000, expected, np.array(relative)) == payload


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_monitor_payload_is_read_and_written_byte_by_byte(kind: str, sparse: bool) -> None:
    var = variable(kind, sparse=sparse)
    for value in EXTREMES[kind]:
        payload = struct.pack(f"<Q{STRUCT[kind]}", 2**40, value)
        block = decode_payload(var, payload)
        assert block.monitor
        expected = np.array([value], dtype=ValueType(kind).dtype)
        np.testing.assert_array_equal(block.values, expected, strict=True)
        assert block.ticks.tolist() == [2**40]
        assert encode_monitor(var, 2**40, value) == payload


@pytest.mark.parametrize(
    ("values", "relative", "sparse", "match"),
    [
        (np.zeros(1025), None, False, "1 to 1024"),
        (np.zeros(0), None, False, "1 to 1024"),
        (np.zeros((2, 2)), None, False, "one dimension"),
        (np.zeros(513), np.arange(513), True, "1 to 512"),
        (np.zeros(3), None, True, "relative ticks"),
        (np.zeros(3), np.arange(3), False, "relative ticks"),
        (np.zeros(3), np.arange(2), True, "2 relative ticks for 3 values"),
    ],
)
def test_a_block_that_does_not_fit_is_not_written(
    values: Any, relative: Any, sparse: bool, match: str
) -> None:
    with pytest.raises(RequestError, match=match):
        encode_block(variable("f", sparse=sparse), 0, values, relative)
