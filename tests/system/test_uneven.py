"""Dense variables that are assigned unevenly: recognised by their blocks, and nothing invented."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bela_module.protocol.data_channel import Block
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.runs import GapReason, TrackedItem, ValueRun
from tests.support.amount import examples
from tests.support.faulty_board import (
    RAMP,
    SIZE,
    block_of,
    gaps_of,
    ramp,
    ticks_of,
    tracker,
    zeros_at,
)


class TestUneven:
    DISTANCES = (5321, 6110, 5800, 5470, 5999, 5705)

    def _blocks(self, distances: Iterable[int]) -> list[Block]:
        ticks = [100, *(100 + np.cumsum(list(distances)))]
        return [block_of(int(tick)) for tick in ticks]

    def test_values_are_spread_up_to_the_next_block(self) -> None:
        made = tracker(None)
        items = [item for block in self._blocks(self.DISTANCES) for item in made.add(block)]
        assert made.uneven
        assert gaps_of(items) == []
        ticks = ticks_of(items)
        assert ticks == sorted(set(ticks))
        starts = [run.ticks[0] for run in items if isinstance(run, ValueRun)]
        assert starts == [block.tick for block in self._blocks(self.DISTANCES)][:-1]
        assert len(ticks_of(made.finish())) == SIZE

    def test_loss_is_estimated_from_the_usual_distance(self) -> None:
        made = tracker(None)
        distances = [*self.DISTANCES, 12000, 5500]
        items = [item for block in self._blocks(distances) for item in made.add(block)]
        [gap] = gaps_of(items)
        assert gap.reason is GapReason.LOST
        assert gap.n_values == pytest.approx(SIZE, rel=0.15)

    def test_cut_block_gives_its_certain_values(self) -> None:
        made = tracker(11.5)
        items = made.add(zeros_at(0, 100)) + made.add(block_of(1500))
        assert len(ticks_of(items)) == 100
        [gap] = gaps_of(items)
        assert gap.reason is GapReason.CUT
        assert ticks_of(items)[-1] < gap.first_tick <= gap.last_tick < 1500

    def test_end_and_interruption(self) -> None:
        made = tracker(11.5, last_tick=30_000)
        items = made.add(block_of(0)) + made.interrupted()
        assert len(ticks_of(items)) == SIZE
        items = made.add(zeros_at(20_000, 50)) + made.finish()
        assert [gap.reason for gap in gaps_of(items)] == [
            GapReason.RECONNECTED,
            GapReason.UNKNOWN_END,
        ]
        assert ticks_of(items)[0] == 20_000
        assert made.last_tick is not None
        assert made.last_tick <= 30_000

    def test_variable_that_becomes_uneven_loses_nothing(self) -> None:
        made = tracker(1)
        items = [item for block in self._blocks([SIZE] * 3) for item in made.add(block)]
        for block in self._blocks([4 * SIZE, *self.DISTANCES])[1:]:
            items += made.add(block)
        assert made.uneven
        assert made.step_changes == 1
        assert gaps_of(items + made.finish()) == []
        assert made.delivered == 11 * SIZE

    def test_uneven_variable_full_of_zeros_is_recognised_in_the_end(self) -> None:
        made = tracker(1)
        items: list[TrackedItem] = []
        for block in self._blocks(self.DISTANCES * 7):
            block.values[-1] = 0.0
            items += made.add(block)
        assert made.uneven
        ticks = ticks_of(items)
        assert ticks == sorted(set(ticks))

    def test_uneven_variable_that_becomes_regular(self) -> None:
        made = tracker(5.5)
        items: list[TrackedItem] = []
        for block in self._blocks([SIZE] * 9):
            items += made.add(block, block.tick + 1.5 * SIZE)
        assert made.step_ticks == 1
        assert ticks_of(items) == list(range(100, 100 + 10 * SIZE))

    def test_blocks_in_doubt_wait_for_the_fourth(self) -> None:
        made = tracker(1)
        blocks = self._blocks([SIZE, 560, 575, 568, 570])
        held = [made.add(block) for block in blocks]
        assert [len(ticks_of(items)) for items in held] == [SIZE, SIZE, 0, 0, 0, 3 * SIZE]
        assert gaps_of(held[-1]) == []
        starts = [int(run.ticks[0]) for run in held[-1] if isinstance(run, ValueRun)]
        assert starts == [block.tick for block in blocks[2:5]]

    @pytest.mark.parametrize("ending", ["finish", "interrupted", "regular"])
    def test_fewer_are_restarts_and_counted_exactly(self, ending: str) -> None:
        made = tracker(1)
        items = [i for block in self._blocks([560, 575, 568]) for i in made.add(block)]
        assert made.lost == 0
        match ending:
            case "finish":
                items += made.finish()
            case "interrupted":
                items += made.interrupted()
            case _:
                items += made.add(block_of(100 + 1703 + SIZE))
        assert not made.uneven
        gaps = [(gap.n_values, gap.reason) for gap in gaps_of(items)]
        assert gaps == [(n - SIZE, GapReason.RESTARTED) for n in (560, 575, 568)]
        ticks = ticks_of(items)
        assert ticks[-1] - 100 + 1 == len(ticks) + made.lost

    def test_block_cut_in_doubt_is_no_sign_of_unevenness(self) -> None:
        made = tracker(1)
        for block in [*self._blocks([560, 575]), zeros_at(1803, 100), block_of(2400)]:
            made.add(block)
        assert not made.uneven
        assert made.lost == 48 + 63 + 56 + 497

    def test_any_number_of_restarts_that_the_time_of_arrival_shows(self) -> None:
        made = tracker(1)
        blocks = self._blocks([560, 575, 568] * 4)
        items = [i for block in blocks for i in made.add(block, block.tick + SIZE + 10.0)]
        assert not made.uneven
        assert made.delivered == 13 * SIZE
        assert made.lost == blocks[-1].tick - blocks[0].tick - 12 * SIZE
        assert len(gaps_of(items)) == 12

    def test_block_among_values_in_doubt_lowers_the_step(self) -> None:
        made = tracker(4)
        made.add(block_of(0, step=4))
        assert made.add(block_of(5 * SIZE)) == []
        items = made.add(block_of(6 * SIZE))
        assert made.step_ticks == 1
        assert ticks_of(items) == list(range(5 * SIZE, 7 * SIZE))


@settings(max_examples=examples(25))
@given(
    assigned=st.one_of(
        st.tuples(st.integers(10, 60), st.integers(61, 200)).map(lambda p: ("gate", *p)),
        st.tuples(st.integers(5, 95), st.integers(0, 1000)).map(lambda p: ("chance", *p)),
    ),
    step=st.sampled_from([None, 1]),
    slack_ticks=st.one_of(st.none(), st.integers(0, 200)),
)
def test_uneven_variable_loses_nothing(
    assigned: tuple[str, int, int], step: int | None, slack_ticks: int | None
) -> None:
    ticks = np.arange(120_000)
    match assigned:
        case "gate", n_open, period:
            ticks = ticks[ticks % period < n_open]
        case _, percent, seed:
            ticks = ticks[np.random.default_rng(seed).random(ticks.size) < percent / 100]
    made = tracker(step)
    items: list[TrackedItem] = []
    n_blocks = ticks.size // SIZE
    blocks = ticks[: n_blocks * SIZE].reshape(-1, SIZE)
    assume(np.all(np.diff(blocks[:, 0]) % SIZE))  # which looks regular, by a chance of one in SIZE
    for block in blocks:
        possible = math.inf if slack_ticks is None else float(block[-1] + slack_ticks)
        items += made.add(Block(RAMP, int(block[0]), ramp(block)), possible)
    items += made.finish()
    assert (made.delivered, gaps_of(items)) == (n_blocks * SIZE, [])
    given_ticks = ticks_of(items)
    assert given_ticks == sorted(given_ticks)


class TestPauses:
    """A regular variable that is not assigned all the time, as behind a gate."""

    def _play(
        self, n_open: int, n_closed: int, n_blocks: int, slack: int = 100
    ) -> tuple[DenseTracker, list[TrackedItem]]:
        numbers = np.arange(n_blocks * SIZE)
        ticks = 5000 + numbers // n_open * (n_open + n_closed) + numbers % n_open
        made = tracker(1)
        items: list[TrackedItem] = []
        for block in ticks.reshape(-1, SIZE):
            items += made.add(Block(RAMP, int(block[0]), ramp(block)), float(block[-1] + slack))
        return made, items

    def test_what_was_assigned_around_a_pause_is_withheld_and_nothing_is_lost(self) -> None:
        made, items = self._play(1000, 87_200, 9)
        items += made.finish()
        assert {gap.reason for gap in gaps_of(items)} == {GapReason.UNKNOWN_STEP}
        assert [gap.n_values for gap in gaps_of(items)] == [SIZE] * 4
        assert made.delivered + made.lost == 9 * SIZE
        assert made.has_paused
        check_own_ticks(items)

    @settings(max_examples=examples(30))
    @given(
        n_open=st.integers(2 * SIZE, 5000),
        n_closed=st.integers(3 * SIZE, 200_000),
        slack=st.integers(0, 400),
    )
    def test_no_tick_is_false_and_all_are_counted(
        self, n_open: int, n_closed: int, slack: int
    ) -> None:
        assume(n_closed % SIZE)  # which looks like lost blocks
        assume(all(n * n_open % SIZE for n in range(1, 24)))  # pauses in no block
        made, items = self._play(n_open, n_closed, 24, slack)
        items += made.finish()
        check_own_ticks(items)
        assert made.delivered + made.lost == 24 * SIZE
        assert {gap.reason for gap in gaps_of(items)} <= {GapReason.UNKNOWN_STEP}

    def test_the_next_run_knows_and_misses_nothing_before_the_first_value(self) -> None:
        made, _ = self._play(1000, 87_200, 9)
        made.finish()
        made.begin(first_tick=1_000_000, step_ticks=1)
        made.confirm_start()
        made.expect_pauses()
        items = made.add(block_of(1_050_000), 1_050_600.0) + made.finish()
        assert ticks_of(items)[0] == 1_050_000
        assert gaps_of(items) == []

    def test_a_lost_block_is_counted_beside_pauses(self) -> None:
        made = tracker(1)
        made.expect_pauses()
        for tick in (0, SIZE, 3 * SIZE, 100_000):
            made.add(block_of(tick), tick + SIZE + 10.0)
        assert made.lost == SIZE

    def test_a_regular_variable_that_arrives_late_is_complete(self) -> None:
        made = tracker(1)
        items: list[TrackedItem] = []
        for n in range(40):
            late = 30_000.0 if 10 <= n < 30 else 10.0
            items += made.add(block_of(n * SIZE), n * SIZE + SIZE + late)
        items += made.finish()
        assert ticks_of(items) == list(range(40 * SIZE))
        assert not made.has_paused


def check_own_ticks(items: Iterable[TrackedItem]) -> None:
    """Check that each value, which is a ramp of its tick, has it."""
    for run in items:
        if isinstance(run, ValueRun):
            np.testing.assert_array_equal(run.values, ramp(run.ticks))
