"""Dense variables by single values, by blocks, from one to the other: own ticks, all counted."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType
from bela_module.tracking.prompt_dense import PromptDenseTracker
from bela_module.tracking.runs import Gap, GapReason, ValueRun
from bela_module.tracking.single_values import Transport
from tests.support.amount import examples
from tests.support.prompt_board import PromptBoard
from tests.tracking.test_prompt_sparse import PHASES, SEEDS, spaced


def block_of(board: PromptBoard, tick: int, numbers: range) -> Block:
    """Make a block of some values, the rest padding."""
    values = np.zeros(board.size)
    values[: len(numbers)] = numbers
    return Block(board.variable, tick, values)


def single_of(board: PromptBoard, tick: int, number: int) -> Block:
    return Block(board.variable, tick, np.array([float(number)]), monitor=True)


def regular(step: int, n: int = 4000, first: int = 7) -> list[int]:
    return list(range(first, first + step * n, step))


@settings(max_examples=examples(25), phases=PHASES)
@given(seed=SEEDS)
def test_single_values_of_any_rates(seed: int) -> None:
    """Regular, random or changing: while they come singly, all come with their own ticks."""
    rng = Random(seed)
    board = PromptBoard(spaced(rng, 2), sparse=False)
    last = board.ticks[-1]
    first = rng.randint(0, min(500, last - 1))
    board.start(first, singly=True)
    board.advance(first)
    end = rng.randint(board.tick + 1, last)
    board.advance(end - 1)
    board.stop(end)
    board.check(first, end)


@settings(max_examples=examples(25), phases=PHASES)
@given(seed=SEEDS)
def test_a_regular_variable_changes_without_a_gap_or_a_double(seed: int) -> None:
    rng = Random(seed)
    step = rng.choice([2, 9, 88, 441, 16_000])
    kind = rng.choice([ValueType.DOUBLE, ValueType.UNSIGNED_INT])
    board = PromptBoard(regular(step, 2200), sparse=False, value_type=kind)
    last = board.ticks[-1]
    singly = rng.random() < 0.5
    board.start(7, singly=singly, step=step)
    board.advance(7)
    for _ in range(rng.randint(0, 4)):
        board.advance(rng.randint(min(board.tick, last - 3 * step), last - 3 * step))
        if singly:
            board.demote()
            singly = False
            continue
        board.promote()
        singly = board.made.transport is not Transport.BLOCK  # not while a block is bridged
        if singly and rng.random() < 0.5:
            board.flush()
        if not singly:
            board.monitor(0)
    end = rng.randint(min(board.tick + step, last), last)
    board.stop(end)
    board.check(7, end)


@settings(max_examples=examples(25), phases=PHASES)
@given(seed=SEEDS)
def test_changes_of_rate_and_transport_are_counted(seed: int) -> None:
    """A dense block has no ticks: what cannot be told is counted, and never given falsely."""
    rng = Random(seed)
    board = PromptBoard(spaced(rng, 2), sparse=False)
    last = board.ticks[-1]
    board.start(0, singly=True)
    board.advance(rng.randint(0, last - 1))
    n_singly = len(board.given)
    board.demote()
    end = rng.randint(board.tick + 1, last)
    board.advance(end - 1)
    board.stop(end)
    ticks = [tick for tick, _ in board.given]
    numbers = [number for _, number in board.given]
    assert ticks == sorted(ticks)
    assert numbers == sorted(set(numbers))
    assert board.given[:n_singly] == board.assigned(0, last)[:n_singly]


@settings(max_examples=examples(50), phases=PHASES)
@given(seed=SEEDS)
def test_one_that_becomes_slow_gets_no_false_ticks(seed: int) -> None:
    """Whenever it changes, is asked for single values, and its block is sent early.

    But at the very end of a block: one that is full looks like one before losses.
    """
    rng = Random(seed)
    n_fast, slow = 512 * rng.randint(3, 6) + rng.randint(1, 500), rng.choice([2000, 16_000])
    slow_ticks = range(n_fast - 1 + slow, n_fast + 40 * slow, slow)
    board = PromptBoard([*range(n_fast), *slow_ticks], sparse=False)
    board.slack_ticks = rng.choice([0, 100, 1000])
    board.start(0, singly=False, step=1)
    board.advance(n_fast + rng.randint(0, 3 * slow))
    if rng.random() < 0.5:
        board.made.note_silence(slow)
    board.promote()
    board.advance(board.tick + rng.randint(1, 8 * slow))
    if board.made.awaits_block and rng.random() < 0.7:
        board.flush()
    board.advance(board.tick + 5 * slow)
    end = board.tick + 1
    board.stop(end)
    assigned = board.assigned(0, end)
    assert set(board.given) <= set(assigned)
    assert board.made.delivered + board.made.lost + board.made.withheld == len(assigned)


@settings(max_examples=examples(25), phases=PHASES)
@given(seed=SEEDS)
def test_one_that_becomes_slow_just_before_the_end_gets_no_false_ticks(seed: int) -> None:
    """Where the block that it becomes slow in is neither full nor reaches the end."""
    rng = Random(seed)
    n_fast, slow = 512 * rng.randint(3, 6) + rng.randint(1, 500), rng.choice([2000, 16_000])
    board = PromptBoard(
        [*range(n_fast), *range(n_fast - 1 + slow, n_fast + 10 * slow, slow)], sparse=False
    )
    board.slack_ticks = rng.choice([0, 100, 1000])
    board.start(0, singly=False, step=1)
    board.advance(n_fast + rng.randint(512, 6 * slow))
    end = board.tick + 1
    board.stop(end)
    assigned = board.assigned(0, end)
    assert set(board.given) <= set(assigned)
    assert board.made.delivered + board.made.lost == len(assigned)
    assert {gap.reason for gap in board.gaps} <= {GapReason.UNKNOWN_STEP}


def test_a_late_block_before_the_values_that_came_has_slow_ones_in_it() -> None:
    """Its last value was assigned just before single values were asked for."""
    board = PromptBoard([*range(600), 16_599, 32_599, 48_599], sparse=False)
    tracker = board.made
    tracker.begin(first_tick=0, step_ticks=1)
    tracker.confirm_start()
    items = [*tracker.add(block_of(board, 0, range(512)), 512)]
    tracker.take_singles()
    items += tracker.add(single_of(board, 32_599, 601), 32_599)
    items += tracker.add(block_of(board, 512, range(512, 601)), 32_600)
    items += tracker.add(single_of(board, 48_599, 602), 48_599)
    items += tracker.end_at(48_600, next_too=True)
    items += tracker.finish()
    given = [item.ticks.tolist() for item in items if isinstance(item, ValueRun)]
    assert given == [list(range(512)), [32_599, 48_599]]
    assert tracker.lost == 89
    assert [item.reason for item in items if isinstance(item, Gap)] == [GapReason.UNKNOWN_STEP]


@settings(max_examples=examples(25), phases=PHASES)
@given(seed=SEEDS)
def test_lost_single_values_are_counted_by_the_block(seed: int) -> None:
    rng = Random(seed)
    step = rng.choice([2, 50, 441])
    ticks = regular(step, 2000)
    lost = {rng.randint(0, 1999) for _ in range(rng.randint(0, 30))}
    board = PromptBoard(
        ticks, sparse=False, drops=lambda block: block.monitor and int(block.values[0]) in lost
    )
    board.start(0, singly=True)
    end = rng.randint(10, ticks[-1])
    board.advance(end - 1)
    board.stop(end)
    board.check(0, end, complete=False)
    n_written = len(board.assigned(0, end))
    assert board.made.delivered + board.made.lost == n_written


@settings(max_examples=examples(20), phases=PHASES)
@given(seed=SEEDS)
def test_disconnects_at_any_rates(seed: int) -> None:
    """What comes singly keeps its tick over a disconnect; nothing comes twice or is invented."""
    rng = Random(seed)
    board = PromptBoard(spaced(rng, 2), sparse=False)
    last = board.ticks[-1]
    board.start(0, singly=True)
    for _ in range(rng.randint(1, 3)):
        board.advance(rng.randint(board.tick, last))
        board.items += board.made.interrupted()
        board.made.resume(2**62)
        board.is_connected = False
        board.advance(rng.randint(board.tick, last))
        board.is_connected = True
        board.monitor(0)
        board.unwatch()
        board.advance(rng.randint(board.tick, last))
        start = board.tick + 1
        board.made.resume(start)
        board.watch(start)
        board.monitor(2)
        board.made.take_singles(from_start=True)
    board.stop(max(board.tick, last - 1))
    board.check(0, max(board.tick, last - 1), complete=False)


@settings(max_examples=examples(20), phases=PHASES)
@given(seed=SEEDS)
def test_disconnects_of_a_regular_variable_are_counted(seed: int) -> None:
    rng = Random(seed)
    step = rng.choice([9, 441, 16_000])
    board = PromptBoard(regular(step, 3000), sparse=False)
    last = board.ticks[-1]
    board.start(7, singly=True, step=step)
    board.advance(7)
    for _ in range(rng.randint(1, 3)):
        board.advance(rng.randint(min(board.tick, last - 3 * step), last - 3 * step))
        board.items += board.made.interrupted()
        board.made.resume(2**62)
        board.is_connected = False
        board.advance(rng.randint(min(board.tick, last - 3 * step), last - 3 * step))
        board.is_connected = True
        board.monitor(0)
        board.unwatch()
        board.advance(board.tick + rng.randint(0, step))
        start = board.tick + 1
        board.made.resume(start)
        board.watch(start)
        if rng.random() < 0.5:
            board.monitor(2)
            board.made.take_singles(from_start=True)
    end = max(board.tick + 1, last - step)
    board.advance(end - 1)
    board.stop(end)
    board.check(7, end, complete=False)
    assert board.made.delivered + board.made.lost == len(board.assigned(7, end))


def test_what_was_assigned_otherwise_meanwhile_is_not_counted_by_its_old_step() -> None:
    """Nobody knows how many values a variable had that came back off its grid."""
    ticks = [*range(0, 4400, 44), *range(5000, 400_001, 20_000)]
    board = PromptBoard(ticks, sparse=False)
    board.start(0, singly=True)
    board.advance(4400)
    assert board.made.step_ticks == 44
    board.items += board.made.interrupted()
    board.made.resume(2**62)
    board.is_connected = False
    board.advance(200_000)
    board.is_connected = True
    board.monitor(0)
    board.unwatch()
    start = board.tick + 1
    board.made.resume(start)
    board.watch(start)
    board.monitor(2)
    board.made.take_singles(from_start=True)
    board.advance(300_000)
    assert board.given[-1][0] > 200_000
    assert board.made.lost == 0
    assert [gap.reason for gap in board.gaps] == [GapReason.RECONNECTED]


class TestPrompt:
    def test_slow_values_keep_their_ticks(self) -> None:
        board = PromptBoard(regular(16_000, 60), sparse=False)
        board.start(0, singly=True)
        board.advance(882_000)
        assert board.given == board.assigned(0, 882_000)[:-1]
        assert board.made.step_ticks == 16_000  # five equal distances

    def test_uneven_values_have_no_step(self) -> None:
        board = PromptBoard([10, 400, 1000, 1300, 2200, 2500], sparse=False)
        board.start(0, singly=True, step=3)
        board.advance(2500)
        assert isinstance(board.made, PromptDenseTracker)
        assert board.made.is_irregular
        assert board.made.step_ticks is None

    def test_more_than_two_ticks_are_wanted(self) -> None:
        board = PromptBoard(regular(1, 2000), sparse=False)
        board.start(0, singly=True)
        board.advance(1500)
        assert board.made.too_close
        assert board.gaps[0].reason is GapReason.TOO_CLOSE

    def test_zeros_are_values(self) -> None:
        """A button that is never pressed: all zeros, and no loss."""
        board = PromptBoard(regular(441, 100), sparse=False)
        board.board.spec = type(board.board.spec)(
            "x",
            ValueType.DOUBLE,
            lambda ticks, _: np.zeros(ticks.size),
            False,
            board.board.spec.assignments,
        )
        board.start(0, singly=True)
        board.advance(20_000)
        board.stop(20_001)
        assert [tick for tick, _ in board.given] == [t for t, _ in board.assigned(0, 20_001)]
        assert (board.made.lost, board.made.withheld) == (0, 0)


class TestChanges:
    def test_to_blocks_and_back(self) -> None:
        board = PromptBoard(regular(100), sparse=False)
        board.start(0, singly=True, step=100)
        board.advance(20_000)
        board.demote()
        board.advance(180_000)
        board.promote()
        assert board.made.transport is Transport.AWAITED
        board.advance(200_000)
        board.flush()
        board.advance(210_000)
        assert board.singly
        assert board.given == board.assigned(0, 210_000)[: len(board.given)]
        assert board.given[-1][0] == 209_907 + 100 - 100

    @pytest.mark.parametrize("after", [2, 30])
    def test_a_rate_that_grows_leaves_nothing_out(self, after: int) -> None:
        """Single values go on until the board knows; the block has the rest, to the next block."""
        slow, fast = regular(441, 700), []
        fast = list(range(slow[-1] + after, slow[-1] + after * 3000, after))
        board = PromptBoard([*slow, *fast], sparse=False)
        board.start(0, singly=True)
        board.advance(fast[40])
        board.demote()
        board.advance(fast[2500])
        board.stop(fast[2501])
        board.check(0, fast[2501])

    def test_values_between_two_rates_are_withheld(self) -> None:
        """A block that began at another rate does not tell when its last values were assigned."""
        fast, slow = regular(2, 700), []
        slow = list(range(fast[-1] + 5000, fast[-1] + 5000 * 100, 5000))
        board = PromptBoard([*fast, *slow], sparse=False)
        board.start(7, singly=False, step=2)
        board.advance(slow[3])
        board.promote()
        board.flush()
        board.advance(slow[10])
        assert board.singly
        [gap] = board.gaps
        assert gap == Gap(1031, slow[4] - 1, 192, GapReason.UNKNOWN_STEP)
        assert board.given == [
            *zip(fast[:512], range(512), strict=True),
            *board.assigned(0, slow[10])[704:],
        ]
