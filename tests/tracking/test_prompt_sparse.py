"""Sparse variables by single values, by blocks, and from one to the other: all, once, in order."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bela_module.protocol.data_channel import Block
from bela_module.tracking.runs import Gap, GapReason
from bela_module.tracking.single_values import Transport
from tests.support.amount import examples
from tests.support.prompt_board import PromptBoard

SEEDS = st.integers(0, 2**32 - 1)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a seed cannot be made simpler

EVERY_10 = tuple(range(0, 40_000, 10))


def spaced(rng: Random, least: int) -> list[int]:
    """Ticks of assignments of several rates in turn, regular or by chance."""
    ticks = [3]
    for _ in range(rng.randint(1, 4)):
        mean = rng.choice([2, 9, 44, 441, 4410, 60_000])
        n = rng.randint(1, 400)
        jitter = rng.random() < 0.5
        seed = rng.randint(0, 99)
        steps = np.full(n, mean)
        if jitter:
            steps = np.random.default_rng(seed).integers(1, 2 * mean, n)
        steps = np.maximum(steps, least)
        ticks += (ticks[-1] + np.cumsum(steps)).tolist()
    return ticks


@settings(max_examples=examples(25), phases=PHASES)
@given(seed=SEEDS)
def test_any_rates_and_changes_of_transport(seed: int) -> None:
    rng = Random(seed)
    board = PromptBoard(spaced(rng, 2), sparse=True)
    last = board.ticks[-1]
    first = rng.randint(0, min(500, last - 1))
    singly = rng.random() < 0.5
    board.start(first, singly=singly)
    board.advance(first)
    for _ in range(rng.randint(0, 5)):
        board.advance(rng.randint(min(board.tick, last - 1), last - 1))
        if singly:
            board.demote()
        else:
            board.promote()
            if rng.random() < 0.5:
                board.flush()
        singly = not singly
    end = rng.randint(board.tick + 1, max(board.tick + 1, last))
    board.stop(end)
    board.check(first, end)


@settings(max_examples=examples(25), phases=PHASES)
@given(seed=SEEDS)
def test_lost_messages_and_close_values_are_counted(seed: int) -> None:
    """Whatever single values lack is counted with the block at the latest."""
    rng = Random(seed)
    ticks = spaced(rng, rng.choice([0, 1, 2]))
    lost = {rng.randint(0, len(ticks)) for _ in range(rng.randint(0, 30))}
    board = PromptBoard(
        ticks, sparse=True, drops=lambda block: block.monitor and int(block.values[0]) in lost
    )
    board.start(0, singly=True)
    end = rng.randint(1, ticks[-1])
    board.advance(end - 1)
    board.stop(end)
    board.check(0, end, complete=False)
    assert board.made.delivered + board.made.lost == len(board.assigned(0, end))
    late = [run for gap in board.gaps if (run := gap.late) is not None]
    assert sum(run.ticks.size for run in late) == board.made.lost
    rows = [(int(t), int(v)) for run in late for t, v in zip(run.ticks, run.values, strict=True)]
    assert sorted(board.given + rows) == board.assigned(0, end)


@settings(max_examples=examples(20), phases=PHASES)
@given(seed=SEEDS)
def test_disconnects(seed: int) -> None:
    """Over a disconnect nothing comes twice or out of order; what a splice proves is counted."""
    rng = Random(seed)
    board = PromptBoard(spaced(rng, 2), sparse=True)
    last = board.ticks[-1]
    board.start(0, singly=rng.random() < 0.5)
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
        if rng.random() < 0.5:
            board.monitor(2)
            board.made.take_singles(from_start=True)
    board.stop(max(board.tick, last - 1))
    board.check(0, max(board.tick, last - 1), complete=False)
    assert board.made.delivered + board.made.lost <= len(board.assigned(0, last))


@pytest.mark.parametrize("sparse", [True, False])
@settings(max_examples=examples(20), phases=PHASES)
@given(seed=SEEDS)
def test_restarts_of_the_board(seed: int, *, sparse: bool) -> None:
    """Ticks begin again with each boot: of each the values are all there, once and in order."""
    rng = Random(seed)
    made, n_before = None, 0
    for _ in range(rng.randint(2, 4)):
        board = PromptBoard(spaced(rng, 2), sparse=sparse)
        if made is not None:
            board.made = made
        made = board.made
        last = board.ticks[-1]
        first = rng.randint(0, min(500, last - 1))
        board.start(first, singly=True)
        board.advance(rng.randint(first, last))
        if rng.random() < 0.5:  # the board ends without a word, and so does this boot
            board.items += made.finish()
            given, assigned = board.given, board.assigned(first, last)
            assert given == assigned[: len(given)]
            assert len(given) >= len(board.assigned(first, board.tick)) - 1
        else:
            end = rng.randint(board.tick, last)
            board.stop(end)
            given = board.given
            assert given == board.assigned(first, end)
        n_before += len(given)
        assert (made.delivered, made.lost) == (n_before, 0)


class TestPrompt:
    def test_each_value_comes_at_its_own_tick(self) -> None:
        board = PromptBoard(EVERY_10, sparse=True)
        board.start(5, singly=True)
        for tick in (10, 20, 30):
            board.advance(tick)
            assert board.given[-1] == (tick, tick // 10)

    def test_the_block_proves_what_came(self) -> None:
        board = PromptBoard(EVERY_10, sparse=True)
        board.start(0, singly=True)
        board.advance(10 * 3 * board.size)
        assert board.given == board.assigned(0, 10 * 3 * board.size)
        assert (board.made.lost, board.made.repeated) == (0, 0)

    def test_values_one_tick_apart_are_counted_and_told(self) -> None:
        ticks = [0, 10, 11, 20, 30, *range(40, 10_000, 10)]
        board = PromptBoard(ticks, sparse=True)
        board.start(0, singly=True)
        board.advance(5000)
        assert board.made.too_close
        assert board.gaps == [Gap(11, 11, 1, GapReason.TOO_CLOSE)]

    def test_a_lost_single_value_is_no_close_one(self) -> None:
        board = PromptBoard(EVERY_10, sparse=True, drops=lambda b: b.monitor and b.tick == 50)
        board.start(0, singly=True)
        board.advance(5000)
        assert not board.made.too_close
        assert board.gaps == [Gap(50, 50, 1, GapReason.LOST)]

    def test_a_lost_block_whose_values_came_singly_is_no_loss(self) -> None:
        seen: list[Block] = []

        def drops(block: Block) -> bool:
            seen.append(block)
            return not block.monitor and sum(not b.monitor for b in seen) == 2

        board = PromptBoard(EVERY_10, sparse=True, drops=drops)
        board.start(0, singly=True)
        board.advance(10 * 4 * board.size)
        assert board.n_dropped == 1
        assert board.given == board.assigned(0, 10 * 4 * board.size)
        assert board.made.lost == 0


class TestChanges:
    def test_singly_to_blocks_leaves_nothing_out(self) -> None:
        board = PromptBoard(EVERY_10, sparse=True)
        board.start(0, singly=True)
        board.advance(1000)
        board.demote()
        board.advance(2000)
        assert len(board.given) == 101  # the rest waits for its block
        board.advance(10 * board.size)
        assert board.given == board.assigned(0, 10 * (board.size - 1))

    def test_blocks_to_singly_waits_for_the_block(self) -> None:
        board = PromptBoard(EVERY_10, sparse=True)
        board.start(0, singly=False)
        board.advance(1000)
        board.promote()
        board.advance(2000)
        assert board.given == []
        assert board.made.awaits_block
        board.flush()
        board.advance(2200)
        assert board.singly
        assert board.given == board.assigned(0, 2200)

    def test_held_values_are_given_when_no_block_comes(self) -> None:
        board = PromptBoard(EVERY_10, sparse=True, drops=lambda block: not block.monitor)
        board.start(0, singly=False)
        board.advance(1000)
        board.promote()
        board.advance(1000 + 10 * 3 * board.size)
        assert board.singly
        assert board.given[0] == (1010, 101)

    @pytest.mark.parametrize("singly", [True, False])
    def test_a_new_run_takes_blocks_until_told(self, singly: bool) -> None:
        board = PromptBoard(EVERY_10, sparse=True)
        board.start(0, singly=singly)
        board.made.begin(first_tick=100)
        assert board.made.transport is Transport.BLOCK
