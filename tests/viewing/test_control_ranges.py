"""Ranges of sliders: ends that hold the value, round steps, what a type takes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.protocol.variables import ValueType
from bela_module.viewing.control_ranges import ControlRange, first_range, short_value, type_of

TYPES = st.sampled_from(list(ValueType))
FLOAT, INT = ValueType.FLOAT, ValueType.INT


@pytest.mark.parametrize(
    ("value_type", "value", "ends"),
    [
        (FLOAT, 0.4, (0, 1)),
        (FLOAT, -0.4, (-1, 1)),
        (FLOAT, 1.0, (0, 1)),
        (FLOAT, 33.4, (0, 100)),
        (FLOAT, math.nan, (0, 1)),
        (INT, 3, (0, 100)),
        (INT, -512, (-1000, 1000)),
        (ValueType.UNSIGNED_INT, 4e9, (0, 2**32 - 1)),
        (ValueType.CHAR, 7, (0, 255)),
    ],
)
def test_the_first_range_is_round_and_has_the_value(
    value_type: ValueType, value: float, ends: tuple[float, float]
) -> None:
    offered = first_range(value_type, value)
    assert (offered.low, offered.high) == ends


@given(TYPES, st.floats(-1e12, 1e12))
def test_every_value_that_a_type_holds_gets_a_range_with_a_step(
    value_type: ValueType, value: float
) -> None:
    offered = first_range(value_type, value)
    assert offered.low < offered.high
    assert 0 < offered.step <= max(1.0, (offered.high - offered.low) / 100 * (1 + 1e-9))
    assert offered.low <= offered.rounded(value) <= offered.high
    assert offered.including(offered.rounded(value)) == offered


@pytest.mark.parametrize(
    ("low", "high", "step"), [(0, 1, 0.01), (-1, 1, 0.02), (0, 30, 0.2), (0, 1e-6, 1e-8)]
)
def test_steps_of_floats(low: float, high: float, step: float) -> None:
    assert ControlRange(FLOAT, low, high).step == pytest.approx(step)


def test_whole_numbers_have_whole_steps_and_values() -> None:
    one = ControlRange(INT, 0, 20)
    assert one.step == 1
    assert one.rounded(3.4) == 3
    assert ControlRange(FLOAT, 0, 1).rounded(0.1 + 0.2) == 0.3
    assert ControlRange(FLOAT, 0.1234, 1).rounded(-5) == 0.1234


def test_ends_are_taken_as_far_as_the_type_holds_them() -> None:
    byte = ControlRange(ValueType.CHAR, 0, 255)
    wider = byte.with_ends(-5, 300.5)
    assert wider is not None
    assert (wider.low, wider.high) == (0, 255)
    narrow = byte.with_ends(0.5, 9.9)
    assert narrow is not None
    assert (narrow.low, narrow.high) == (1, 9)
    assert byte.with_ends(5, 5) is None
    assert byte.with_ends(9, 3) is None
    assert byte.with_ends(3.2, 3.8) is None


def test_a_value_beyond_the_range_widens_it_to_a_round_one() -> None:
    one = ControlRange(FLOAT, 0.2, 0.8)
    assert one.including(0.5) is one
    wider = one.including(-7)
    assert (wider.low, wider.high) == (-10, 10)


def test_a_float_is_as_short_as_it_was_entered() -> None:
    assert short_value(FLOAT, 0.30000001192092896) == 0.3
    assert short_value(ValueType.DOUBLE, 0.30000001192092896) == 0.30000001192092896
    assert type_of("unsigned int") is ValueType.UNSIGNED_INT
