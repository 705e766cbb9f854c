"""Dense variables whose step is another than was known: from the start, in mid-run, at the end."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.dense_steps import BlockEvidence, count_grown, is_constant, is_grown
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.runs import Gap, GapReason, TrackedItem, ValueRun
from tests.support.faulty_board import SIZE
from tests.support.prompt_board import PromptBoard


def rows(*parts: tuple[int, int]) -> list[int]:
    """Give the ticks of values, so many at each step."""
    ticks = [0]
    for n_values, step in parts:
        ticks += range(ticks[-1] + step, ticks[-1] + step * (n_values + 1), step)
    return ticks


def run(
    ticks: list[int], end: int, *, step: int | None, slack: int = 20, pauses: bool = False
) -> PromptBoard:
    """Stream a variable in blocks from its first tick to an end."""
    board = PromptBoard(ticks, sparse=False)
    board.slack_ticks = slack
    board.start(0, singly=False, step=step)
    if pauses:
        board.made.expect_pauses()
    board.advance(end - 1)
    board.stop(end)
    return board


def assert_true_and_counted(board: PromptBoard, end: int) -> None:
    assigned = board.assigned(0, end)
    assert set(board.given) <= set(assigned)
    assert board.made.delivered + board.made.lost + board.made.withheld == len(assigned)
    assert {gap.reason for gap in board.gaps} <= {GapReason.UNKNOWN_STEP}


@pytest.mark.parametrize("step", [2, 9, 44, 88])
@pytest.mark.parametrize("n_blocks", [1.5, 2.5, 9.1])
def test_a_step_that_grew_before_the_run_is_found(step: int, n_blocks: float) -> None:
    """It is known of an earlier run, or of the survey."""
    end = int(n_blocks * SIZE) * step
    board = run(rows((12_000, step)), end, step=1)
    assert_true_and_counted(board, end)
    assert board.made.lost <= (0 if n_blocks > 2 else 2 * SIZE)


@pytest.mark.parametrize(("before", "after"), [(1, 44), (1, 5), (8, 44), (8, 12), (44, 88)])
@pytest.mark.parametrize("n_blocks", [0.7, 1.5, 2.5, 7.3])
def test_a_step_that_grows_costs_the_block_in_which_it_does(
    before: int, after: int, n_blocks: float
) -> None:
    n_before, n_after = 4 * SIZE + 200, 10 * SIZE
    end = n_before * before + int(n_blocks * SIZE) * after
    board = run(rows((n_before, before), (n_after, after)), end, step=before)
    assert_true_and_counted(board, end)
    assert board.made.lost <= (3 if n_blocks < 3 else 1) * SIZE


@pytest.mark.parametrize(("before", "after"), [(44, 1), (44, 8), (88, 44), (12, 8)])
def test_a_step_that_falls_in_the_first_block_gives_that_no_false_ticks(
    before: int, after: int
) -> None:
    end = 200 * before + 8 * SIZE * after
    board = run(rows((200, before), (10 * SIZE, after)), end, step=before)
    assert_true_and_counted(board, end)
    assert board.made.lost <= SIZE


@pytest.mark.parametrize(("before", "after"), [(2, 1), (44, 1), (44, 8), (88, 44), (12, 8)])
def test_a_step_that_falls_costs_the_block_in_which_it_does(before: int, after: int) -> None:
    n_before = 2 * SIZE + 200
    end = n_before * before + 8 * SIZE * after
    board = run(rows((n_before, before), (10 * SIZE, after)), end, step=before)
    assert_true_and_counted(board, end)
    assert board.made.lost <= SIZE


def test_bursts_are_not_taken_for_a_steady_row() -> None:
    """The survey saw one of them: its values are 44 ticks apart."""
    ticks = [4410 * burst + 44 * n for burst in range(200) for n in range(20)]
    end = 4410 * 60 + 400
    board = run(ticks, end, step=44)
    assert_true_and_counted(board, end)


def test_an_unknown_step_is_found_where_the_board_ends_with_the_next_value() -> None:
    """STOP has looked how far the board is, and told where it has ended."""
    board = PromptBoard(rows((12_000, 44)), sparse=False)
    board.slack_ticks = 20
    board.start(0, singly=False)
    end = 44 * 700 + 3
    board.advance(end - 1)
    board.items += board.made.end_at(end, next_too=True)
    board.unwatch(end)
    board.advance(end + 44)
    board.items += board.made.end_at(end)
    board.items += board.made.finish()
    assert board.given == board.assigned(0, end)[:-1]
    assert board.gaps == []


@pytest.mark.parametrize("late", [5_000, 20_000])
def test_blocks_that_are_late_when_the_rest_does_not_come_are_given(late: int) -> None:
    """The network stood still at STOP, which did not wait for more."""
    board = PromptBoard(rows((60_000, 1)), sparse=False)
    made = board.made
    made.begin(first_tick=0, step_ticks=1)
    made.confirm_start()
    for number, possible in enumerate([SIZE, 2 * SIZE, late]):
        values = np.arange(number * SIZE, (number + 1) * SIZE, dtype=float)
        board.items += made.add(Block(board.variable, number * SIZE, values), possible)
    board.items += made.end_at(29_999)
    board.items += made.finish()
    assert [tick for tick, _ in board.given] == list(range(3 * SIZE))
    assert [(gap.reason, gap.n_values) for gap in board.gaps] == [
        (GapReason.LOST, 30_000 - 3 * SIZE)
    ]


def test_a_late_block_before_losses_is_given() -> None:
    """It is late by chance, and not just by the time that is missing."""
    made = PromptBoard(rows((60_000, 1)), sparse=False).made
    made.begin(first_tick=0, step_ticks=1)
    made.confirm_start()
    items = []
    for number, possible in [(0, 512), (1, 3500), (4, 3510), (5, 3520), (6, 3584)]:
        values = np.arange(number * SIZE, (number + 1) * SIZE, dtype=float)
        items += made.add(Block(made.variable, number * SIZE, values), possible)
    given = [tick for item in items if isinstance(item, ValueRun) for tick in item.ticks.tolist()]
    assert given == [*range(2 * SIZE), *range(4 * SIZE, 7 * SIZE)]
    assert [item.n_values for item in items if isinstance(item, Gap)] == [2 * SIZE]


@pytest.mark.parametrize(
    ("possible", "after", "grown"),
    [
        (5 * SIZE, 5 * SIZE, True),
        (5 * SIZE - 4, 5 * SIZE, True),
        (6 * SIZE, 5 * SIZE, True),
        (2 * SIZE, 5 * SIZE, False),  # it came long before
        (8 * SIZE, 5 * SIZE, False),
        (5 * SIZE, SIZE, False),
        (5 * SIZE, 5 * SIZE + 3, False),
        (float("inf"), 5 * SIZE, False),
    ],
)
def test_the_time_between_two_blocks_may_be_that_of_a_larger_step(
    possible: float, after: int, grown: bool
) -> None:
    assert is_grown(BlockEvidence(0, SIZE, possible), after, 1, SIZE) is grown


def test_equal_times_are_counted() -> None:
    ticks = [0, 5 * SIZE, 10 * SIZE, 15 * SIZE, 19 * SIZE]
    row = [BlockEvidence(t, SIZE, t + 5.0 * SIZE) for t in ticks]
    assert count_grown(row, 1, SIZE) == 3
    assert count_grown(row[3:], 5, SIZE) == 0


def test_a_mean_that_is_a_whole_number_is_no_constant_step() -> None:
    assert is_constant(88)
    assert not is_constant(88.0)
    assert is_constant(0.5)


# ---- losses of a board whose blocks are late -----------------------------------------------------

FLOATS = Variable(0, "x", ValueType.FLOAT)
N = FLOATS.layout.value_count


def full(tick: int) -> Block:
    return Block(FLOATS, tick, np.ones(N, np.float32))


@pytest.mark.parametrize("step", [1, 8])
@pytest.mark.parametrize("late", [0.5, 0.9, 1.05, 1.2, 1.45, 1.6])
def test_losses_of_a_board_whose_blocks_are_all_late_are_no_larger_step(
    step: int, late: float
) -> None:
    tracker, length = DenseTracker(FLOATS), N * step
    tracker.begin(0, None, step)
    numbers = [*range(12), 13, 15, 17, 19, 21, 22, 23, 24]
    items: list[TrackedItem] = []
    for number in numbers:
        tick = number * length
        items += tracker.add(full(tick), tick + length + int(late * length))
    items += tracker.end_at(25 * length - step)
    items += tracker.finish()
    runs = [item for item in items if isinstance(item, ValueRun)]
    assert all(set(np.diff(run.ticks)) == {step} for run in runs)
    assert (tracker.step_changes, tracker.delivered, tracker.lost) == (0, 20 * N, 5 * N)


def test_a_lost_block_before_one_that_is_withheld_is_counted() -> None:
    step = 8
    tracker, length, pause = DenseTracker(FLOATS), N * step, N * step * 23 // 80 * 8
    tracker.begin(0, None, step)
    for tick in (0, length):
        tracker.add(full(tick), tick + length)
    tick = 3 * length
    tracker.add(full(tick), tick + length + pause)
    for tick in (4 * length + pause, 5 * length + pause):
        tracker.add(full(tick), tick + length)
    assert (tracker.delivered, tracker.lost) == (4 * N, 2 * N)


def test_what_lies_between_a_splice_and_a_block_that_is_withheld_is_counted() -> None:
    step = 8
    tracker, length = DenseTracker(FLOATS), N * step
    tracker.begin(0, None, step)
    for tick in (0, length):
        tracker.add(full(tick), tick + length)
    tracker.note_silence(3 * length)
    tracker.add(full(2 * length), 6 * length)
    after = 6 * length + 37 * step
    pause = length * 23 // 80 * 8
    tracker.add(full(after), after + length + pause)
    for tick in (after + length + pause, after + 2 * length + pause):
        tracker.add(full(tick), tick + length)
    assert tracker.delivered == 4 * N
    assert tracker.lost == (after - 2 * length) // step + N


def test_a_late_block_that_somebody_else_has_ended_is_given_and_what_it_lacks_is_lost() -> None:
    tracker, n_values = DenseTracker(FLOATS), 300
    tracker.begin(0, None, 1)
    tracker.add(full(0), N)
    tracker.end_at(3 * N, next_too=True)
    cut = full(N)
    cut.values[n_values:] = 0
    tracker.add(cut, 5 * N)  # after the end, as if the variable had paused
    tracker.sent_by(N + n_values + 15)
    tracker.finish()
    assert (tracker.delivered, tracker.lost) == (N + n_values, 3 * N + 1 - N - n_values)


def test_a_block_with_values_after_that_tick_shows_that_it_was_watched_again() -> None:
    tracker = DenseTracker(FLOATS)
    tracker.begin(0, None, 1)
    tracker.add(full(0), N)
    tracker.end_at(3 * N + 99, next_too=True)
    tracker.add(full(N + 100), 2 * N + 100)
    last = full(2 * N + 100)
    last.values[-10:] = 0  # values, since the end is known
    tracker.add(last, 3 * N + 100)
    tracker.sent_by(N + 90)
    tracker.finish()
    assert (tracker.delivered, tracker.lost, tracker.step_changes) == (3 * N, 100, 0)


def late_row(tracker: DenseTracker, n_blocks: int, read_tick: int) -> None:
    """Take whole blocks of step 1, all of which waited to be read until a tick."""
    tracker.begin(0, None, 1)
    for number in range(n_blocks):
        tracker.add(full(number * N), read_tick)


def test_blocks_that_all_waited_to_be_read_have_not_paused_before_a_connection_is_lost() -> None:
    tracker = DenseTracker(FLOATS)
    tracker.begin(0, None, 1)
    tracker.end_at(20 * N - 1, next_too=True)
    for number in range(3):
        tracker.add(full(number * N), 30 * N)
    tracker.interrupted()
    tracker.finish()
    assert (tracker.delivered, tracker.lost) == (3 * N, 17 * N)


@pytest.mark.parametrize("n_values", [N, 300])
def test_what_a_late_reader_missed_after_another_client_ended_it_is_counted(n_values: int) -> None:
    tracker = DenseTracker(FLOATS)
    late_row(tracker, 3, 30 * N)
    last = full(3 * N)
    last.values[n_values:] = 0
    tracker.add(last, 30 * N)
    tracker.end_at(6 * N + 99)
    tracker.finish()
    assert (tracker.delivered, tracker.lost) == (3 * N + n_values, 3 * N + 100 - n_values)


def test_what_a_late_reader_gets_after_another_clients_watch_has_not_paused() -> None:
    tracker, after = DenseTracker(FLOATS), 7 * N + 37
    late_row(tracker, 4, 30 * N)
    for tick in (after, after + N):
        tracker.add(full(tick), 30 * N)
    tracker.end_at(after + 2 * N - 1)
    tracker.finish()
    assert (tracker.delivered, tracker.lost) == (6 * N, after - 4 * N)


def test_a_block_that_came_later_than_the_late_ones_before_it_has_paused() -> None:
    tracker, pause = DenseTracker(FLOATS), 5 * N + 37
    late = 3 * N
    tracker.begin(0, None, 1)
    for number in range(3):
        tracker.add(full(number * N), (number + 1) * N + late)
    after = 4 * N + pause
    for tick in (3 * N, after, after + N):
        tracker.add(full(tick), tick + N + late + (pause if tick == 3 * N else 0))
    tracker.finish()
    assert (tracker.delivered, tracker.lost) == (5 * N, N)


def test_of_a_block_that_is_withheld_no_value_after_the_end_is_counted() -> None:
    tracker, end = DenseTracker(FLOATS), 3 * N + 434
    tracker.begin(0, end, 1)
    for number in range(3):
        tracker.add(full(number * N), (number + 1) * N)
    after = 6 * N + 37
    tracker.add(full(3 * N), after)
    tracker.add(full(after), after + N)
    tracker.finish()
    assert (tracker.delivered, tracker.lost) == (3 * N, 435)
