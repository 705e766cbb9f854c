"""Rows across variables: each tick once, each value in its place, nothing held for ever."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.errors import RequestError
from bela_module.tracking.row_alignment import AlignedRows, RowAligner
from bela_module.tracking.runs import Gap, GapReason, ValueRun


def run(first: int, stop: int, step: int = 1, offset: float = 0.0) -> ValueRun:
    """Values that are their tick and an offset that tells the member."""
    ticks = np.arange(first, stop, step, dtype=np.int64)
    return ValueRun(ticks, ticks + offset)


def gap(first: int, last: int) -> Gap:
    return Gap(first, last, last - first + 1, GapReason.LOST)


def table(rows: Iterable[AlignedRows]) -> tuple[list[int], list[list[float]]]:
    parts = list(rows)
    ticks = [int(tick) for part in parts for tick in part.ticks]
    return ticks, [row for part in parts for row in part.values.tolist()]


def test_rows_wait_for_the_slowest_member() -> None:
    aligner = RowAligner(2, "f8")
    assert aligner.add(0, run(0, 10)) == []
    ticks, values = table(aligner.add(1, run(0, 4, offset=0.5)))
    assert ticks == [0, 1, 2, 3]
    assert values == [[tick, tick + 0.5] for tick in ticks]
    ticks, _ = table(aligner.add(1, run(4, 12, offset=0.5)))
    assert ticks == list(range(4, 10))
    assert table(aligner.add(0, run(10, 12)))[0] == [10, 11]


def test_lost_values_are_nan() -> None:
    aligner = RowAligner(2, "f4")
    aligner.add(0, run(0, 6))
    rows = aligner.add(1, run(0, 2)) + aligner.add(1, gap(2, 3)) + aligner.add(1, run(4, 6))
    ticks, _ = table(rows)
    values = np.concatenate([part.values for part in rows])
    assert ticks == list(range(6))
    assert values.dtype == np.float32
    assert np.isnan(values[:, 1]).tolist() == [False, False, True, True, False, False]
    assert aligner.incomplete == 0


def test_integers_leave_such_rows_out_and_count_them() -> None:
    aligner = RowAligner(2, "i4")
    aligner.add(0, run(0, 6))
    rows = [row for item in (run(0, 2), gap(2, 3), run(4, 6)) for row in aligner.add(1, item)]
    assert table(rows)[0] == [0, 1, 4, 5]
    assert aligner.incomplete == 2


def test_what_all_members_lost_is_no_row() -> None:
    aligner = RowAligner(2, "f4")
    aligner.add(0, gap(0, 5))
    assert aligner.add(1, gap(0, 5)) == []
    assert table([*aligner.add(0, run(6, 8)), *aligner.add(1, run(6, 8))])[0] == [6, 7]


def test_members_that_begin_at_different_ticks() -> None:
    aligner = RowAligner(2, "f8")
    aligner.add(0, run(0, 6))
    ticks, values = table(aligner.add(1, run(3, 6)))
    assert ticks == list(range(6))
    assert np.isnan([row[1] for row in values]).tolist() == [True] * 3 + [False] * 3


def test_different_steps_give_the_union_of_ticks() -> None:
    aligner = RowAligner(2, "f8")
    aligner.add(0, run(0, 8, 2))
    ticks, values = table(aligner.add(1, run(0, 8, 4)))
    assert ticks == [0, 2, 4]
    assert np.isnan([row[1] for row in values]).tolist() == [False, True, False]


def test_finish_releases_what_is_held() -> None:
    aligner = RowAligner(2, "f8")
    aligner.add(0, run(0, 6))
    aligner.add(1, run(0, 2))
    ticks, values = table(aligner.finish())
    assert ticks == [2, 3, 4, 5]
    assert np.isnan([row[1] for row in values]).all()
    assert aligner.finish() == []


def test_member_that_lags_too_far_is_left_behind() -> None:
    aligner = RowAligner(2, "f8", max_held_rows=100)
    rows = [row for k in range(50) for row in aligner.add(0, run(10 * k, 10 * k + 10))]
    assert table(rows)[0] == list(range(400))
    ticks, values = table(aligner.add(1, run(395, 420)))
    assert aligner.late == 5
    assert ticks == list(range(400, 420))
    assert not np.isnan(values).any()


def test_values_all_late_are_dropped() -> None:
    aligner = RowAligner(2, "f8", max_held_rows=1)
    aligner.add(0, run(0, 50))
    assert aligner.add(1, run(0, 10)) == []
    assert aligner.late == 10


def test_last_value_of_a_tick_stands() -> None:
    aligner = RowAligner(2, "f8")
    aligner.add(0, ValueRun(np.array([1, 2, 2, 3]), np.array([1.0, 2.0, 2.5, 3.0])))
    ticks, values = table(aligner.add(1, run(1, 4)))
    assert ticks == [1, 2, 3]
    assert values[1] == [2.5, 2.0]
    assert aligner.superseded == 1


@pytest.mark.parametrize(("n_members", "held"), [(0, 10), (2, 0)])
def test_groups_that_cannot_be_are_refused(n_members: int, held: int) -> None:
    with pytest.raises(RequestError, match="at least 1"):
        RowAligner(n_members, "f4", max_held_rows=held)


LAST = 60


@given(
    cuts=st.lists(st.lists(st.integers(1, LAST - 1), max_size=6), min_size=1, max_size=4),
    lost=st.lists(st.integers(0, 6), max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_any_order_of_blocks_gives_the_same_rows(
    cuts: Sequence[Sequence[int]], lost: Sequence[int], order: Random
) -> None:
    queues: list[list[ValueRun | Gap]] = []
    expected = np.arange(LAST)[:, None] + np.linspace(0, 0.5, len(cuts))[None, :]
    for member, own in enumerate(cuts):
        edges = [0, *sorted(set(own)), LAST]
        items: list[ValueRun | Gap] = []
        for k, (first, stop) in enumerate(zip(edges, edges[1:], strict=False)):
            if member < len(lost) and lost[member] == k:
                items.append(gap(first, stop - 1))
                expected[first:stop, member] = np.nan
            else:
                items.append(run(first, stop, offset=float(np.linspace(0, 0.5, len(cuts))[member])))
        queues.append(items)
    aligner = RowAligner(len(cuts), "f8")
    rows: list[AlignedRows] = []
    while any(queues):
        member = order.choice([m for m, queue in enumerate(queues) if queue])
        rows += aligner.add(member, queues[member].pop(0))
    ticks, values = table(rows)
    known = ~np.isnan(expected).all(axis=1)
    assert ticks == np.flatnonzero(known).tolist()
    np.testing.assert_array_equal(np.array(values).reshape(-1, len(cuts)), expected[known])
    assert (aligner.late, aligner.superseded) == (0, 0)
    assert aligner.finish() == []


def test_the_slowest_of_many_members_decides_whoever_comes_last() -> None:
    rng, aligner, known = Random(5), RowAligner(7, "f8"), [0] * 7
    released = 0
    for _ in range(600):
        member = rng.randrange(7)
        n_more = rng.randrange(1, 40)
        item: ValueRun | Gap = run(known[member], known[member] + n_more)
        if rng.random() < 0.1:
            item = gap(known[member], known[member] + n_more - 1)
        known[member] += n_more
        released += sum(rows.ticks.size for rows in aligner.add(member, item))
        assert released <= min(known)
        if rng.random() < 0.5:
            assert aligner._released_tick == min(known) - 1  # noqa: SLF001
