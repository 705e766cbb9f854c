"""Lines in two columns, and cut out of them again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bela_module.viewing.signals.line_columns import line_columns

LINE = st.lists(st.tuples(st.integers(-100, 100), st.integers(-100, 100) | st.none()), max_size=9)


@given(st.lists(LINE, max_size=9))
def test_each_line_ends_with_a_time_that_is_none(lines: list[list[tuple[int, int | None]]]) -> None:
    columns = line_columns(
        [
            (np.array([x for x, _ in line], float), np.array([y for _, y in line], float))
            for line in lines
        ]
    )
    assert columns["x"].dtype == columns["y"].dtype == np.float32
    assert columns["x"].size == columns["y"].size
    cut: list[list[tuple[int, int | None]]] = [[]]
    for x, y in zip(columns["x"], columns["y"], strict=True):
        if np.isnan(x):
            cut.append([])
        else:
            cut[-1].append((int(x), None if np.isnan(y) else int(y)))
    assert cut[:-1] == lines
    assert cut[-1] == []
