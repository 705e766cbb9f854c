"""Steps of the variables of a delivery: what trackers begin with, what is proven, what is kept."""

from __future__ import annotations

from collections.abc import Iterable

from bela_module.protocol.variables import Variable
from bela_module.session.board.board_state import BoardState
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.states import StreamState
from bela_module.tracking.runs import Tracker


def tell_spacing(board: BoardState, variable: Variable, tracker: Tracker) -> None:
    """Tell a tracker that begins what is known of the distance of its variable's values."""
    if variable.name in board.pausing:
        tracker.expect_pauses()
    if (spacing := board.surveyed.get(variable.name)) is not None:
        tracker.expect_spacing(spacing, doubtful=variable.name not in board.proven)


def proven_step(board: BoardState, stream: LiveStream) -> float | None:
    """Return the ticks between two samples, if blocks have shown them of all members."""
    for variable in stream.plan.variables:
        tracker = stream.tracker_of(variable)
        if not (variable.name in board.proven or tracker.is_step_proven):
            return None
    return stream.step_ticks


def keep_steps(board: BoardState, members: Iterable[tuple[LiveStream, Variable]]) -> None:
    """Keep the steps that a run has found, so that the next one has them at once."""
    for stream, variable in members:
        step, name = stream.step_of(variable), variable.name
        if stream.tracker_of(variable).has_paused:
            board.pausing.add(name)
        if isinstance(step, float) and step.is_integer():
            board.steps.pop(name, None)  # the mean of an uneven one, by chance a whole number
            continue
        if step is None:
            continue
        if board.steps.get(name) != step:
            board.proven.discard(name)
        board.steps[name] = step
        if stream.tracker_of(variable).is_step_proven:
            board.proven.add(name)


def settle(board: BoardState, stream: LiveStream) -> None:
    """Deliver what is held of a stream as far as it is certain; nothing more comes."""
    stream.settle()
    if stream.state is StreamState.UNOPENED and stream.is_waiting and board.ready:
        stream.open(board.facts(stream.plan, proven_step(board, stream)))
    stream.flush()
