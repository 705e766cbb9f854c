"""A block that follows the one before takes a short way, with the result of the long one."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.runs import Gap, TrackedItem
from tests.support.faulty_board import SIZE, block_of, tracker, zeros_at


class TestShortWay:
    """Both ways, side by side."""

    @given(
        steps=st.sampled_from([1, 2, 7]),
        events=st.lists(
            st.sampled_from(["whole", "whole", "whole", "lost", "again", "zeros", "early", "cut"]),
            max_size=30,
        ),
        end=st.one_of(st.none(), st.integers(0, 20_000)),
    )
    def test_both_ways_give_the_same(self, steps: int, events: list[str], end: int | None) -> None:
        short, long = tracker(steps), tracker(steps)
        long._follows = lambda *_: False  # type: ignore[method-assign]  # noqa: SLF001
        tick, n_short = 1000, 0
        given: list[list[list[object]]] = [[], []]
        for number, event in enumerate(events):
            possible = math.inf
            if event == "lost":
                tick += SIZE * steps
            elif event == "again":
                tick -= SIZE * steps
            block = block_of(tick, step=steps)
            if event == "zeros":
                block = zeros_at(tick, SIZE // 3)
            elif event == "early":
                possible = tick + SIZE * steps // 2
            elif event == "cut":
                tick -= steps * 5
            n_short += short._follows(block, possible)  # noqa: SLF001
            for items, made in zip(given, (short, long), strict=True):
                items.append([_plain(item) for item in made.add(block, possible)])
            if end is not None and number == len(events) // 2:
                for items, made in zip(given, (short, long), strict=True):
                    items.append([_plain(item) for item in made.end_at(tick + end)])
            tick += SIZE * steps
        for items, made in zip(given, (short, long), strict=True):
            items.append([_plain(item) for item in made.finish()])
        assert given[0] == given[1]
        assert vars_of(short) == vars_of(long)

    def test_a_regular_variable_takes_it(self) -> None:
        made = tracker(1)
        made.add(block_of(100))
        assert made._follows(block_of(100 + SIZE), math.inf)  # noqa: SLF001
        assert not made._follows(block_of(100 + SIZE), 100 + SIZE + 5)  # noqa: SLF001
        assert not made._follows(zeros_at(100 + SIZE, 5), math.inf)  # noqa: SLF001
        assert not made._follows(block_of(101 + SIZE), math.inf)  # noqa: SLF001
        made.end_at(100 + 2 * SIZE)
        assert not made._follows(block_of(100 + SIZE), math.inf)  # noqa: SLF001


def _plain(item: TrackedItem) -> object:
    if isinstance(item, Gap):
        return item
    return item.ticks.tolist(), item.values.tolist()


def vars_of(made: DenseTracker) -> tuple[object, ...]:
    """Give the counters that are shown."""
    return (made.delivered, made.lost, made.withheld, made.gaps, made.repeated, made.step_ticks)
