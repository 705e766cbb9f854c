"""Evenly spaced ticks: right, read-only, and one array for the same ticks."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.tracking.regular_ticks import RegularTicks


def test_ticks_are_as_asked_and_shared() -> None:
    ticks = RegularTicks()
    one = ticks.get(2**40, 3, 2)
    np.testing.assert_array_equal(one, [2**40, 2**40 + 2, 2**40 + 4])
    assert one.dtype == np.int64
    assert ticks.get(2**40, 3, 2) is one
    assert ticks.get(2**40, 4, 2) is not one
    assert ticks.get(2**40, 3, 1) is not one


def test_nobody_can_change_what_others_have() -> None:
    with pytest.raises(ValueError, match="read-only"):
        RegularTicks().get(0, 3, 1)[0] = 7


def test_only_some_are_remembered() -> None:
    ticks = RegularTicks()
    first = ticks.get(0, 4, 1)
    for k in range(1, 40):
        ticks.get(4 * k, 4, 1)
    assert ticks.get(0, 4, 1) is not first
