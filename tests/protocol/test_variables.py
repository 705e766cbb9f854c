"""Types of variables and the layout of their blocks."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from bela_module.protocol.variables import (
    PAYLOAD_BYTES,
    BlockLayout,
    ValueType,
    Variable,
    same_variables,
)
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


def test_lists_are_the_same_by_identities_in_order_whatever_the_values() -> None:
    a, b = Variable(0, "a", ValueType.FLOAT), Variable(1, "b", ValueType.INT, sparse=True)
    assert same_variables((a, b), (replace(a, value=2.0, watched=True), replace(b, index=7)))
    assert not same_variables((a, b), (a,))
    assert not same_variables((a, b), (b, a))
    for other in (
        replace(b, name="c"),
        replace(b, value_type=ValueType.CHAR),
        replace(b, sparse=False),
    ):
        assert not same_variables((a, b), (a, other))
    assert same_variables((), ())
