"""Types of variables and the layout of their blocks."""

from __future__ import annotations

import struct

import pytest

from bela_module.protocol.variables import PAYLOAD_BYTES, BlockLayout, ValueType
from tests.support.golden_blocks import LAYOUTS, STRUCT


@pytest.mark.parametrize("kind", LAYOUTS)
def test_layout_is_the_measured_one(kind: str) -> None:
    n_dense, n_sparse, ticks_at, pad = LAYOUTS[kind]
    value_type = ValueType(kind)
    dense, sparse = BlockLayout(value_type, False), BlockLayout(value_type, True)
    assert dense.value_count == n_dense
    assert dense.ticks_offset_bytes == PAYLOAD_BYTES == 4104
    assert sparse.value_count == n_sparse
    assert sparse.ticks_offset_bytes == ticks_at
    assert PAYLOAD_BYTES - ticks_at - 4 * n_sparse == pad
    size = struct.calcsize(STRUCT[kind])
    assert dense.monitor_bytes == sparse.monitor_bytes == 8 + size
    assert value_type.dtype.itemsize == size


def test_types_have_their_names_in_cpp() -> None:
    labels = {value_type.value: value_type.label for value_type in ValueType}
    assert labels == {
        "c": "char",
        "j": "unsigned int",
        "i": "int",
        "f": "float",
        "d": "double",
    }
