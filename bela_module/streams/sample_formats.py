"""LSL channel formats for the C++ types of the board. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np

from bela_module.protocol.variables import Array, ValueType


class SampleFormat(StrEnum):
    """The LSL channel formats that are used, by LSL's names."""

    INT8 = "int8"
    INT32 = "int32"
    FLOAT32 = "float32"
    DOUBLE64 = "double64"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy type of one value."""
        return _SAMPLE_DTYPES[self]


_SAMPLE_DTYPES: Final[dict[SampleFormat, np.dtype[Any]]] = {
    SampleFormat.INT8: np.dtype("i1"),
    SampleFormat.INT32: np.dtype("i4"),
    SampleFormat.FLOAT32: np.dtype("f4"),
    SampleFormat.DOUBLE64: np.dtype("f8"),
}

# LSL has no unsigned types: an unsigned int fits without loss only into a double.
_FORMATS: Final = {
    ValueType.CHAR: SampleFormat.INT8,
    ValueType.UNSIGNED_INT: SampleFormat.DOUBLE64,
    ValueType.INT: SampleFormat.INT32,
    ValueType.FLOAT: SampleFormat.FLOAT32,
    ValueType.DOUBLE: SampleFormat.DOUBLE64,
}


def sample_format(types: Sequence[ValueType]) -> SampleFormat:
    """Choose the smallest format that holds every value of some types, at least one."""
    formats = {_FORMATS[value_type] for value_type in types}
    if len(formats) == 1:
        return formats.pop()
    if formats == {SampleFormat.INT8, SampleFormat.INT32}:
        return SampleFormat.INT32
    if formats == {SampleFormat.INT8, SampleFormat.FLOAT32}:
        return SampleFormat.FLOAT32
    return SampleFormat.DOUBLE64  # a float32 does not hold every int32


def to_format(values: Array, target: SampleFormat) -> Array:
    """Cast a variable's values to the format of its stream.

    A byte above 127 becomes the negative int8 with the same bits: LSL has no unsigned type.
    """
    if target is SampleFormat.INT8 and values.dtype.itemsize == 1:
        return values.view(np.int8)
    return values if values.dtype == target.dtype else values.astype(target.dtype)
