"""Values of blocks as they are, without times."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.streams.unstamped_values import unstamped_values

DENSE = Variable(0, "dense", ValueType.FLOAT)
SPARSE = Variable(1, "sparse", ValueType.FLOAT, sparse=True)


@pytest.mark.parametrize(("is_last", "n_values"), [(False, 1024), (True, 3)])
def test_zeros_at_the_end_count_unless_they_may_be_padding(is_last: bool, n_values: int) -> None:
    values = np.zeros(1024, np.float32)
    values[:3] = (0, 5, 7)
    ticks, given = unstamped_values(Block(DENSE, 9, values), is_last=is_last)
    assert given.tolist() == values[:n_values].tolist()
    assert set(ticks.tolist()) == {9}
    assert ticks.size == n_values


def test_of_nothing_but_zeros_none_is_certain_at_the_end() -> None:
    ticks, values = unstamped_values(Block(DENSE, 9, np.zeros(1024, np.float32)), is_last=True)
    assert ticks.size == values.size == 0


def test_sparse_values_have_their_own_ticks() -> None:
    values, relative = np.array([1.0, 0.0], np.float32), np.array([0, 4], np.uint32)
    ticks, given = unstamped_values(Block(SPARSE, 9, values, relative), is_last=True)
    assert (ticks.tolist(), given.tolist()) == ([9, 13], [1.0, 0.0])
