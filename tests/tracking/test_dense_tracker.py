"""Dense variables: whatever happens to a ramp's blocks, nothing is invented and all is counted."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.data_channel import Block
from bela_module.tracking.runs import Gap, GapReason, TrackedItem, ValueRun
from tests.support.faulty_board import (
    RAMP,
    SIZE,
    block_of,
    gaps_of,
    ticks_of,
    tracker,
    zeros_at,
)


class TestStep:
    def test_first_block_waits_for_the_second(self) -> None:
        made = tracker(None)
        assert made.add(block_of(100)) == []
        items = made.add(block_of(100 + SIZE))
        assert ticks_of(items) == list(range(100, 100 + 2 * SIZE))
        assert made.step_ticks == 1

    def test_known_step_waits_for_nothing(self) -> None:
        assert ticks_of(tracker(2).add(block_of(100, step=2))) == list(
            range(100, 100 + 2 * SIZE, 2)
        )

    def test_prompt_first_block_proves_a_step_of_one(self) -> None:
        assert len(ticks_of(tracker(None).add(block_of(100), 100 + SIZE + 20))) == SIZE

    def test_larger_step_needs_several_distances(self) -> None:
        made = tracker(None)
        for k in range(4):
            assert made.add(block_of(2 * SIZE * k, step=2)) == []
        items = made.add(block_of(8 * SIZE, step=2))
        assert ticks_of(items) == list(range(0, 10 * SIZE, 2))

    def test_larger_step_is_decided_when_the_run_ends(self) -> None:
        made = tracker(None)
        made.add(block_of(0, step=2))
        made.add(block_of(2 * SIZE, step=2))
        assert ticks_of(made.finish()) == list(range(0, 4 * SIZE, 2))

    def test_block_lost_between_the_first_two_is_no_double_step(self) -> None:
        made = tracker(None)
        made.add(zeros_at(0, 1))
        made.add(block_of(2 * SIZE))
        items = made.add(block_of(3 * SIZE))
        assert made.step_ticks == 1
        assert gaps_of(items) == [Gap(1, 2 * SIZE - 1, 2 * SIZE - 1, GapReason.LOST)]
        assert ticks_of(items) == [0, *range(2 * SIZE, 4 * SIZE)]

    def test_single_block_with_nothing_else_known_is_withheld(self) -> None:
        made = tracker(None)
        made.add(block_of(0))
        assert made.finish() == [Gap(0, 0, SIZE, GapReason.UNKNOWN_STEP)]
        assert (made.delivered, made.lost, made.step_ticks) == (0, SIZE, None)
        assert made.finish() == []

    @pytest.mark.parametrize("next_too", [False, True])
    def test_single_block_up_to_a_known_end_has_a_step_of_one(self, next_too: bool) -> None:
        made = tracker(None)
        made.add(zeros_at(0, 300))
        made.end_at(400, next_too=next_too)
        assert ticks_of(made.finish()) == list(range(401))

    @pytest.mark.parametrize("next_too", [False, True])
    def test_single_block_up_to_a_later_end_is_withheld(self, next_too: bool) -> None:
        made = tracker(None)
        made.add(zeros_at(0, 57))
        made.end_at(880_000, next_too=next_too)
        assert made.finish() == [Gap(0, 880_000, 57, GapReason.UNKNOWN_STEP)]

    def test_two_values_a_tick_wait_for_enough_blocks(self) -> None:
        made = tracker(1)
        items: list[TrackedItem] = []
        for k in range(6):
            tick = SIZE // 2 * k
            items += made.add(block_of(tick), tick + SIZE // 2)
        assert made.step_ticks == 0.5
        assert gaps_of(items) == []
        expected = np.repeat(np.arange(5 * SIZE // 2), 2).tolist()
        assert ticks_of(items) == expected

    def test_step_that_proves_smaller_is_lowered_and_counted(self) -> None:
        made = tracker(2)
        made.add(block_of(0))
        items = made.add(block_of(SIZE))
        assert made.step_ticks == 1
        assert made.step_changes == 1
        [gap] = gaps_of(items)
        assert gap.reason is GapReason.STEP
        assert made.delivered + made.lost == 2 * SIZE
        assert ticks_of(made.add(block_of(2 * SIZE))) == list(range(2 * SIZE, 3 * SIZE))

    def test_value_from_the_future_lowers_the_step_before_it_is_given(self) -> None:
        made = tracker(2)
        items = made.add(block_of(0), possible_tick=SIZE)
        assert ticks_of(items) == list(range(SIZE))
        assert made.step_ticks == 1

    def test_step_that_grows_is_followed_in_the_end(self) -> None:
        made = tracker(1)
        items: list[TrackedItem] = []
        for k in range(40):
            tick = 2 * SIZE * k
            items += made.add(block_of(tick, step=2), tick + 2 * SIZE)
        assert made.step_ticks == 2
        ticks = ticks_of(items)
        assert ticks == sorted(set(ticks))
        assert ticks[-SIZE:] == list(range(78 * SIZE, 80 * SIZE, 2))

    def test_every_other_block_lost_is_no_larger_step(self) -> None:
        made = tracker(1)
        for k in range(40):
            made.add(block_of(2 * SIZE * k), 2 * SIZE * k + 1.5 * SIZE)
        assert made.step_ticks == 1
        assert (made.delivered, made.lost) == (40 * SIZE, 39 * SIZE)

    def test_step_stays_for_the_next_run(self) -> None:
        made = tracker(2)
        made.begin(first_tick=10)
        assert made.step_ticks == 2
        assert made.last_tick is None


class TestPadding:
    def test_zeros_wait_for_the_next_block(self) -> None:
        made = tracker()
        assert ticks_of(made.add(zeros_at(0, 10))) == list(range(10))
        items = made.add(block_of(SIZE))
        assert ticks_of(items) == list(range(10, 2 * SIZE))
        assert [item.values[0] for item in items if isinstance(item, ValueRun)] == [0.0, SIZE + 1.0]

    def test_negative_zero_is_no_padding(self) -> None:
        values = np.zeros(SIZE)
        values[20] = -0.0
        items = tracker().add(Block(RAMP, 0, values))
        assert ticks_of(items) == list(range(21))

    def test_cut_block_ends_where_the_next_begins(self) -> None:
        made = tracker()
        made.add(zeros_at(0, 10))
        items = made.add(block_of(10))
        assert gaps_of(items) == []
        assert ticks_of(items) == list(range(10, 10 + SIZE))

    def test_zeros_before_an_early_block_are_not_given(self) -> None:
        made = tracker()
        made.add(zeros_at(0, 10))
        assert gaps_of(made.add(block_of(15))) == [Gap(10, 14, 5, GapReason.CUT)]

    def test_zeros_before_a_loss_are_not_given(self) -> None:
        made = tracker()
        made.add(zeros_at(0, 10))
        items = made.add(block_of(2 * SIZE))
        assert gaps_of(items) == [Gap(10, 2 * SIZE - 1, 2 * SIZE - 10, GapReason.LOST)]
        assert ticks_of(items)[0] == 2 * SIZE

    def test_zeros_from_the_future_are_padding_even_if_the_next_block_fits(self) -> None:
        made = tracker()
        made.add(zeros_at(0, 10), possible_tick=12)
        items = made.add(block_of(SIZE))
        assert gaps_of(items) == [Gap(10, SIZE - 1, SIZE - 10, GapReason.CUT)]

    def test_zeros_up_to_a_known_end_are_values(self) -> None:
        made = tracker(last_tick=20)
        assert ticks_of(made.add(zeros_at(0, 10))) == list(range(10))
        assert made.finished
        assert ticks_of(made.finish()) == list(range(10, 21))
        assert (made.delivered, made.lost, made.withheld) == (21, 0, 0)

    def test_zeros_before_an_unknown_end_are_counted_as_withheld(self) -> None:
        made = tracker()
        made.add(zeros_at(0, 10), possible_tick=14.5)
        assert made.finish() == [Gap(10, 14, 5, GapReason.UNKNOWN_END)]
        assert (made.lost, made.withheld, made.last_tick) == (0, 5, 14)
        assert made.finish() == []


class TestEnds:
    def test_nothing_is_given_past_the_end(self) -> None:
        made = tracker(last_tick=SIZE + 9)
        items = made.add(block_of(0)) + made.add(block_of(SIZE)) + made.add(block_of(2 * SIZE))
        assert ticks_of(items) == list(range(SIZE + 10))
        assert made.finished
        assert made.finish() == []

    def test_end_may_become_known_after_its_block(self) -> None:
        made = tracker()
        items = made.add(zeros_at(0, 10))
        assert not made.finished
        items += made.end_at(11)
        assert made.finished
        assert ticks_of(items + made.finish()) == list(range(12))

    @pytest.mark.parametrize("end_tick", [16, 17, 18])
    @pytest.mark.parametrize("known", ["before the block", "after it"])
    def test_end_with_the_next_value(self, end_tick: int, known: str) -> None:
        made = tracker(3)
        items: list[TrackedItem] = []
        if known == "before the block":
            made.end_at(end_tick, next_too=True)
        items += made.add(zeros_at(0, 7))
        if known == "after it":
            made.end_at(end_tick, next_too=True)
        assert made.finished
        assert ticks_of(items + made.finish()) == [0, 3, 6, 9, 12, 15, 18]
        assert made.lost == 0

    def test_uneven_values_lie_before_the_end(self) -> None:
        made = tracker(11.5)
        made.end_at(1000, next_too=True)
        items = made.add(zeros_at(0, 100)) + made.finish()
        assert len(ticks_of(items)) == 100
        assert ticks_of(items)[-1] in (999, 1000)

    def test_missing_last_block_is_lost(self) -> None:
        made = tracker(last_tick=SIZE + 9)
        made.add(block_of(0))
        assert not made.finished
        assert made.finish() == [Gap(SIZE, SIZE + 9, 10, GapReason.LOST)]

    def test_zeros_before_a_missing_last_block_are_not_given(self) -> None:
        made = tracker(last_tick=SIZE + 9)
        made.add(zeros_at(0, 10))
        assert made.finish() == [Gap(10, SIZE + 9, SIZE, GapReason.LOST)]

    def test_loss_is_counted_up_to_the_end_only(self) -> None:
        made = tracker(last_tick=SIZE + 9)
        made.add(block_of(0))
        assert made.add(block_of(3 * SIZE)) == [Gap(SIZE, SIZE + 9, 10, GapReason.LOST)]

    def test_last_block_that_was_cut_long_before_the_end(self) -> None:
        made = tracker(last_tick=200)
        made.add(zeros_at(0, 10), possible_tick=30)
        assert not made.finished
        assert made.finish() == [Gap(10, 200, 191, GapReason.CUT)]

    def test_nothing_came_of_a_known_stretch(self) -> None:
        made = tracker(2, first_tick=100, last_tick=110)
        assert made.finish() == [Gap(100, 110, 6, GapReason.LOST)]

    def test_nothing_came_and_nothing_is_known(self) -> None:
        assert tracker().finish() == []
        assert tracker(None, first_tick=1, last_tick=9).finish() == []

    @pytest.mark.parametrize(
        ("late_ticks", "n_lost"),
        [(0, 0), (1, 0), (7, 0), (2 * SIZE, SIZE), (4 * SIZE + 1, 2 * SIZE), (2 * SIZE + 2, 0)],
    )
    def test_lost_first_blocks_differ_from_a_late_start(self, late_ticks: int, n_lost: int) -> None:
        made = tracker(2, first_tick=100)
        items = made.add(block_of(100 + late_ticks, step=2))
        assert sum(gap.n_values for gap in gaps_of(items)) == n_lost
        assert ticks_of(items)[0] == 100 + late_ticks

    def test_blocks_from_before_the_start_are_dropped(self) -> None:
        made = tracker(first_tick=100)
        assert made.add(block_of(99)) == []
        assert (made.stale, made.lost) == (1, 0)


class TestLosses:
    def test_lost_blocks_are_counted_exactly(self) -> None:
        made = tracker()
        made.add(block_of(0))
        items = made.add(block_of(3 * SIZE))
        assert gaps_of(items) == [Gap(SIZE, 3 * SIZE - 1, 2 * SIZE, GapReason.LOST)]

    def test_restarted_block(self) -> None:
        made = tracker(2)
        made.add(block_of(0, step=2))
        assert made.add(block_of(2 * SIZE + 60, step=2)) == []
        items = made.add(block_of(4 * SIZE + 60, step=2))
        assert gaps_of(items) == [Gap(2 * SIZE, 2 * SIZE + 58, 30, GapReason.RESTARTED)]
        assert ticks_of(items) == list(range(2 * SIZE + 60, 6 * SIZE + 60, 2))

    def test_restart_that_the_time_of_arrival_shows_delays_nothing(self) -> None:
        made = tracker(2)
        made.add(block_of(0, step=2), possible_tick=2 * SIZE + 20)
        items = made.add(block_of(2 * SIZE + 60, step=2))
        assert gaps_of(items) == [Gap(2 * SIZE, 2 * SIZE + 58, 30, GapReason.RESTARTED)]
        assert ticks_of(items)[0] == 2 * SIZE + 60

    def test_repeated_block(self) -> None:
        made = tracker()
        made.add(block_of(0))
        assert made.add(block_of(0)) == []
        assert made.repeated == SIZE

    def test_overlapping_block_gives_what_is_new(self) -> None:
        made = tracker()
        made.add(block_of(0))
        items = made.add(block_of(SIZE - 12))
        assert ticks_of(items) == list(range(SIZE, 2 * SIZE - 12))
        assert made.repeated == 12

    def test_shift_within_a_step_loses_nothing(self) -> None:
        made = tracker(16)
        made.add(block_of(0, step=16))
        made.add(block_of(16 * SIZE + 5, step=16))
        items = made.add(block_of(32 * SIZE + 5, step=16))
        assert gaps_of(items) == []
        assert ticks_of(items)[0] == 16 * SIZE + 5

    def test_header_without_payload_is_left_to_the_ticks(self) -> None:
        made = tracker()
        assert made.missed_block() == []
        assert made.lost == 0


class TestReconnecting:
    def test_gap_is_measured_from_the_last_accounted_tick(self) -> None:
        made = tracker()
        made.add(zeros_at(0, 10))
        assert made.interrupted() == []
        made.resume(5000)
        assert made.add(block_of(SIZE)) == []
        assert made.stale == 1
        items = made.add(block_of(5003))
        assert gaps_of(items) == [Gap(10, 5002, 4993, GapReason.RECONNECTED)]
        assert ticks_of(items) == list(range(5003, 5003 + SIZE))

    def test_distance_over_a_lost_connection_is_in_no_doubt(self) -> None:
        made = tracker()
        made.add(block_of(0))
        made.interrupted()
        made.resume(5000)
        items = made.add(block_of(5003))
        assert gaps_of(items) == [Gap(SIZE, 5002, 5003 - SIZE, GapReason.RECONNECTED)]
        assert ticks_of(items) == list(range(5003, 5003 + SIZE))

    def test_held_blocks_of_unknown_step_are_counted_when_it_is_known(self) -> None:
        made = tracker(None)
        made.add(block_of(0))
        made.interrupted()
        made.resume(3000)
        made.add(block_of(3000))
        items = made.add(block_of(3000 + SIZE))
        assert gaps_of(items) == [Gap(0, 2999, 3000, GapReason.RECONNECTED)]
        assert made.delivered == 2 * SIZE

    def test_held_blocks_are_counted_when_nothing_comes_after(self) -> None:
        made = tracker(None)
        made.add(block_of(0))
        made.interrupted()
        assert made.finish() == [Gap(0, 0, SIZE, GapReason.RECONNECTED)]
        assert made.finish() == []

    def test_held_zeros_are_not_given_after_the_connection_was_lost(self) -> None:
        made = tracker(last_tick=20)
        made.add(zeros_at(0, 10))
        made.interrupted()
        assert made.finish() == [Gap(10, 20, 11, GapReason.RECONNECTED)]

    def test_known_end_after_the_connection_was_lost(self) -> None:
        made = tracker(last_tick=SIZE + 4)
        made.add(block_of(0))
        made.interrupted()
        assert made.finish() == [Gap(SIZE, SIZE + 4, 5, GapReason.RECONNECTED)]


# Any pattern of faults
