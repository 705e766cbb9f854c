"""Sparse and monitored variables: each value has its own tick, and comes once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.runs import Gap, GapReason, TrackedItem, ValueRun
from bela_module.tracking.sparse_tracker import SparseTracker
from bela_module.tracking.trackers import tracker_for

TOUCH = Variable(3, "touch", ValueType.DOUBLE, sparse=True)
POT = Variable(0, "pot", ValueType.FLOAT)
SIZE = TOUCH.layout.value_count


def block_at(*ticks: int) -> Block:
    """A block in which each value is its own tick."""
    relative = np.array([tick - ticks[0] for tick in ticks], np.uint32)
    return Block(TOUCH, ticks[0], np.array(ticks, float), relative, full=len(ticks) == SIZE)


def sparse(**begin: int) -> SparseTracker:
    made = SparseTracker(TOUCH)
    made.begin(**begin)
    return made


def ticks_of(items: Iterable[TrackedItem]) -> list[int]:
    return [int(tick) for item in items if isinstance(item, ValueRun) for tick in item.ticks]


class TestSparse:
    def test_values_keep_their_ticks(self) -> None:
        made = sparse()
        [run] = made.add(block_at(10, 11, 500))
        assert isinstance(run, ValueRun)
        assert run.ticks.tolist() == [10, 11, 500]
        assert run.values.tolist() == [10.0, 11.0, 500.0]
        assert (made.delivered, made.last_tick, made.step_ticks) == (3, 500, None)

    def test_two_values_in_one_tick_are_two_values(self) -> None:
        made = sparse()
        assert ticks_of(made.add(block_at(10, 20, 20))) == [10, 20, 20]
        assert ticks_of(made.add(block_at(20, 30))) == [20, 30]

    def test_repeated_block_gives_nothing(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        assert made.add(block_at(10, 20)) == []
        assert made.repeated == 2

    def test_overlapping_block_gives_what_is_new(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        assert ticks_of(made.add(block_at(15, 20, 25))) == [25]

    def test_blocks_from_before_the_start_are_dropped(self) -> None:
        made = sparse(first_tick=100)
        assert made.add(block_at(99, 150)) == []
        assert (made.stale, made.lost) == (1, 0)

    def test_values_past_the_end_are_dropped(self) -> None:
        made = sparse(last_tick=25)
        assert ticks_of(made.add(block_at(10, 25, 25, 26))) == [10, 25, 25]
        assert made.finished
        assert made.add(block_at(27)) == []
        assert made.finish() == []

    def test_end_that_becomes_known_later(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        assert made.end_at(30) == []
        assert not made.finished
        assert ticks_of(made.add(block_at(25, 31))) == [25]
        assert made.finished

    def test_end_with_the_next_value(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        assert made.end_at(30, next_too=True) == []
        assert ticks_of(made.add(block_at(25, 31, 31, 32))) == [25, 31]
        assert made.finished
        assert made.add(block_at(33)) == []

    def test_lost_block_is_reported_with_the_block_that_ends_the_gap(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        assert made.missed_block() == []
        made.missed_block()
        items = made.add(block_at(90))
        assert items[0] == Gap(21, 89, 2 * SIZE, GapReason.LOST)
        assert ticks_of(items) == [90]
        assert (made.lost, made.gaps) == (2 * SIZE, 1)

    @pytest.mark.parametrize(("end", "last_tick"), [({}, 20), ({"last_tick": 50}, 50)])
    def test_lost_block_is_reported_at_the_end(self, end: dict[str, int], last_tick: int) -> None:
        made = sparse(**end)
        made.add(block_at(10, 20))
        made.missed_block()
        [gap] = made.finish()
        assert isinstance(gap, Gap)
        assert (gap.n_values, gap.last_tick) == (SIZE, max(last_tick, 21))
        assert made.finish() == []

    def test_lost_first_block(self) -> None:
        made = sparse(first_tick=5)
        made.missed_block()
        assert made.add(block_at(90))[0] == Gap(5, 89, SIZE, GapReason.LOST)

    def test_reconnecting_leaves_a_gap_of_unknown_count(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        made.interrupted()
        made.resume(50)
        items = made.add(block_at(60))
        assert items[0] == Gap(21, 59, 0, GapReason.RECONNECTED)
        assert ticks_of(items) == [60]

    def test_splice_is_dropped_and_its_values_counted(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        made.interrupted()
        made.resume(50)
        assert made.add(block_at(21, 22, 55)) == []
        assert made.add(block_at(60))[0] == Gap(21, 59, 3, GapReason.RECONNECTED)

    def test_splice_is_counted_when_nothing_comes_after(self) -> None:
        made = sparse(last_tick=100)
        made.add(block_at(10, 20))
        made.interrupted()
        made.resume(50)
        made.add(block_at(21, 22, 55))
        assert made.finish() == [Gap(21, 100, 3, GapReason.RECONNECTED)]

    def test_interruption_before_the_first_value_or_at_the_end_is_no_gap(self) -> None:
        made = sparse()
        made.interrupted()
        assert ticks_of(made.add(block_at(10))) == [10]
        assert made.gaps == 0
        made.interrupted()
        assert made.finish() == []

    def test_new_run_begins_anew(self) -> None:
        made = sparse()
        made.add(block_at(10, 20))
        made.begin()
        assert made.last_tick is None
        assert ticks_of(made.add(block_at(5))) == [5]
        assert made.delivered == 3


@given(
    gaps=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    sizes=st.lists(st.integers(2, 9), max_size=30),
    fates=st.lists(st.sampled_from(["send", "drop", "repeat"]), max_size=30),
)
def test_any_pattern_of_lost_and_repeated_blocks(
    gaps: Sequence[int], sizes: Sequence[int], fates: Sequence[str]
) -> None:
    ticks = np.cumsum(gaps).tolist()
    made = sparse()
    items: list[TrackedItem] = []
    arrived: list[int] = []
    for size, fate in zip(sizes, fates, strict=False):
        own, ticks = ticks[:size], ticks[size:]
        if not own or own[0] == own[-1]:
            continue  # all in one tick: a repetition could not be told from further values
        if fate == "drop":
            made.missed_block()
            continue
        arrived += own
        for _ in range(1 + (fate == "repeat")):
            items += made.add(block_at(*own))
    items += made.finish()
    assert ticks_of(items) == arrived
    assert made.delivered == len(arrived)
    assert made.lost == sum(item.n_values for item in items if isinstance(item, Gap))


class TestMonitor:
    def _value(self, tick: int) -> Block:
        return Block(POT, tick, np.array([float(tick)], "<f4"), monitor=True)

    def test_only_newer_ticks_are_given(self) -> None:
        made = tracker_for(POT, monitor=True)
        made.begin(first_tick=10)
        given_ticks = [ticks_of(made.add(self._value(t))) for t in (9, 10, 10, 30, 20, 40)]
        assert given_ticks == [[], [10], [], [30], [], [40]]
        assert (made.stale, made.repeated, made.delivered) == (1, 2, 3)

    def test_lone_header_is_not_held_against_it(self) -> None:
        made = tracker_for(POT, monitor=True)
        made.begin()
        made.add(self._value(1))
        assert made.missed_block() == []
        assert ticks_of(made.add(self._value(2))) == [2]
        assert made.lost == 0
