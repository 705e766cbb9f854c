"""Steps that a delivery is told, proves and keeps."""

from __future__ import annotations

import pytest

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.session.board.board_state import BoardState
from bela_module.session.delivery.steps import keep_steps, proven_step, tell_spacing
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from tests.support.faulty_board import SIZE, block_of
from tests.support.session_helpers import Recorder

X = Variable(0, "x", ValueType.DOUBLE)


@pytest.fixture
def board() -> BoardState:
    return BoardState("test")


@pytest.fixture
def stream(board: BoardState) -> LiveStream:
    plan = StreamPlan("bela_x", (X,), StreamMode.DENSE, SampleFormat.DOUBLE64)
    made = LiveStream(plan, Recorder(), board.stamps, float, lambda *_: None, lambda *_: None)
    made.tracker_of(X).begin(step_ticks=board.steps.get("x"))
    return made


def take(stream: LiveStream, *ticks: int, step: float = 1.0) -> None:
    for tick in ticks:
        block = block_of(tick)
        stream.add(Block(X, block.tick, block.values), tick + step * SIZE + 5.0, 0.0)


def test_a_step_is_proven_by_two_blocks(board: BoardState, stream: LiveStream) -> None:
    take(stream, 0)
    assert proven_step(board, stream) is None
    take(stream, SIZE)
    assert proven_step(board, stream) == 1
    keep_steps(board, [(stream, X)])
    assert (board.steps, board.proven) == ({"x": 1}, {"x"})


def test_a_survey_that_counted_is_believed_at_once(board: BoardState, stream: LiveStream) -> None:
    board.note_step("x", 0.5, 1, proven=True)
    tracker = stream.tracker_of(X)
    tracker.begin(step_ticks=board.steps["x"])
    tell_spacing(board, X, tracker)
    assert proven_step(board, stream) == 0.5
    assert board.too_close == {"x"}  # single values would lack every second one


def test_a_survey_that_did_not_is_checked(board: BoardState, stream: LiveStream) -> None:
    board.note_step("x", 1, 1, proven=False)
    tracker = stream.tracker_of(X)
    tracker.begin(step_ticks=board.steps["x"])
    tell_spacing(board, X, tracker)
    assert proven_step(board, stream) is None
    take(stream, 0, SIZE // 2, SIZE)
    assert proven_step(board, stream) == 0.5


def test_what_is_wrong_by_now_is_not_kept(board: BoardState, stream: LiveStream) -> None:
    board.note_step("x", 1, 1, proven=True)
    take(stream, *(3 * SIZE * n for n in range(40)), step=3)
    keep_steps(board, [(stream, X)])
    assert board.steps == {"x": 3}
    take(stream, *(100_000 + n * n * 100 for n in range(300, 340)), step=100)
    keep_steps(board, [(stream, X)])
    assert board.proven == set()


def test_a_mean_that_is_a_whole_number_is_not_kept(board: BoardState, stream: LiveStream) -> None:
    """The next run would take it for the step of a regular variable."""
    tracker = stream.tracker_of(X)
    ticks = (0, 8 * SIZE + 3, 16 * SIZE, 24 * SIZE + 3, 32 * SIZE)
    for tick in ticks:
        block = block_of(tick)
        stream.add(Block(X, block.tick, block.values), tick + 9.0 * SIZE, 0.0)
    stream.settle()
    assert isinstance(tracker.step_ticks, float)
    assert tracker.step_ticks == 8
    keep_steps(board, [(stream, X)])
    assert board.steps == {}
