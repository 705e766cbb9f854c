"""LSL formats of the board's types, alone and in a group."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType
from bela_module.streams.sample_formats import SampleFormat, sample_format, to_format

C, J, I, F, D = ValueType  # noqa: E741


@pytest.mark.parametrize(
    ("value_type", "expected"),
    [
        (C, SampleFormat.INT8),
        (J, SampleFormat.DOUBLE64),
        (I, SampleFormat.INT32),
        (F, SampleFormat.FLOAT32),
        (D, SampleFormat.DOUBLE64),
    ],
)
def test_each_type_has_its_format(value_type: ValueType, expected: SampleFormat) -> None:
    assert sample_format([value_type]) is expected
    assert sample_format([value_type, value_type]) is expected


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((C, I), SampleFormat.INT32),
        ((C, F), SampleFormat.FLOAT32),
        ((I, F), SampleFormat.DOUBLE64),
        ((C, I, F), SampleFormat.DOUBLE64),
        ((J, I), SampleFormat.DOUBLE64),
        ((F, D), SampleFormat.DOUBLE64),
    ],
)
def test_a_group_takes_the_smallest_format_that_holds_its_members(
    types: tuple[ValueType, ...], expected: SampleFormat
) -> None:
    for order in itertools.permutations(types):
        assert sample_format(order) is expected


@pytest.mark.parametrize(
    "types", [pair for size in (2, 3) for pair in itertools.combinations(ValueType, size)], ids=str
)
def test_a_group_loses_no_digit_of_any_member(types: tuple[ValueType, ...]) -> None:
    target = sample_format(types)
    for value_type in types:
        dtype = value_type.dtype
        limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
        values = np.array([limits.min, 0, 1, limits.max - 1, limits.max], dtype=dtype)
        cast = to_format(values, target)
        assert cast.dtype == target.dtype
        np.testing.assert_array_equal(cast.astype(dtype), values)


def test_unsigned_values_stay_unsigned() -> None:
    values = np.array([2**31, 2**32 - 1], dtype="<u4")
    assert to_format(values, SampleFormat.DOUBLE64).tolist() == [2.0**31, 2.0**32 - 1]


def test_bytes_above_127_keep_their_bits_alone_and_their_value_in_a_group() -> None:
    values = np.array([0, 127, 128, 255], dtype="u1")
    assert to_format(values, SampleFormat.INT8).tolist() == [0, 127, -128, -1]
    assert to_format(values, SampleFormat.INT32).tolist() == [0, 127, 128, 255]
    assert to_format(values, SampleFormat.FLOAT32).tolist() == [0.0, 127.0, 128.0, 255.0]


def test_what_has_the_format_already_is_not_copied() -> None:
    values = np.zeros(3, dtype="<f4")
    assert to_format(values, SampleFormat.FLOAT32) is values
