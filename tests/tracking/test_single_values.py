"""Single values of a monitor, joined to arrays."""

from __future__ import annotations

import numpy as np

from bela_module.tracking.single_values import PROMPT_PERIOD_TICKS, SingleValue, join


def test_single_values_are_joined_in_order_with_their_ticks() -> None:
    values = [SingleValue(tick, np.array([tick / 2], np.float32)) for tick in (7, 9, 2**40)]
    ticks, joined = join(values)
    assert ticks.tolist() == [7, 9, 2**40]
    assert ticks.dtype == np.int64
    assert joined.dtype == np.float32
    np.testing.assert_array_equal(joined, np.array([3.5, 4.5, 2**39], np.float32))


def test_a_period_of_one_would_mean_once() -> None:
    assert PROMPT_PERIOD_TICKS == 2
