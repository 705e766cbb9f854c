"""``bela_loop``: a sample for each command that took effect on the board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bela_module.config import Settings
from bela_module.errors import StreamError
from bela_module.inputs.loop_account import LoopSample
from bela_module.session.board.board_state import BoardState
from bela_module.session.inputs.active_inputs import ActiveInputs
from bela_module.session.notices import Notices
from bela_module.streams.loop_plan import loop_plan
from bela_module.streams.sink import Sink, StreamFacts
from bela_module.streams.stream_plans import StreamPlan


class LoopStream:
    """Publishes the delays of commands, stamped with the time at which each took effect.

    Parameters
    ----------
    name : str
        Of the stream; empty for none.
    sink : Sink
        Where it goes.
    board : BoardState
        What it is about.
    notices : Notices
        Are told when the sink takes no more.
    """

    def __init__(self, name: str, sink: Sink, board: BoardState, notices: Notices) -> None:
        self._sink = sink
        self._board = board
        self._notices = notices
        self._plan = loop_plan(name) if name else None
        self._is_open = False
        self._has_error = False
        self._last_stamp_s = 0.0

    def open(self) -> None:
        """Make the stream visible, once the board is known."""
        if self._plan is not None and not self._is_open and self._board.ready:
            self._is_open = True
            self._sink.open(self._plan, StreamFacts(self._board.origin(), 0.0))

    def publish(self, samples: Sequence[LoopSample], n_lost: int, input_number: int) -> None:
        """Publish the delays of some commands.

        Parameters
        ----------
        samples : sequence of LoopSample
            In the order in which they took effect.
        n_lost : int
            Commands of this input that were lost so far.
        input_number : int
            Which input it is; each has its own for the whole session.
        """
        self.open()
        if self._plan is None or not self._is_open or not samples:
            return
        rows = [
            (s.number, s.one_way_s, s.uncertainty_s, s.round_trip_s, n_lost, input_number)
            for s in samples
        ]
        # Of two inputs, or of values that came late, LSL takes no stamp before the last one.
        stamps_s = np.maximum(np.array([s.effect_s for s in samples]), self._last_stamp_s)
        stamps_s = np.maximum.accumulate(stamps_s)
        self._last_stamp_s = float(stamps_s[-1])
        try:
            self._sink.push(
                self._plan,
                np.array([s.number for s in samples], np.int64),
                np.array(rows, np.float64),
                stamps_s,
            )
        except StreamError as error:
            if not self._has_error:
                self._notices.tell(f"{self._plan.name}: {error}", cause=error)
            self._has_error = True


def loop_outlet(
    settings: Settings, board: BoardState, inputs: ActiveInputs
) -> dict[str, tuple[StreamPlan, StreamFacts]]:
    """Describe the outlet of the stream for those who open it with others, if there is one."""
    name = settings.streaming.loop_stream
    configured = any(one.echo is not None for one in settings.inputs.values())
    active = any(one.settings.echo is not None for one in inputs)
    if not name or not board.ready or not (configured or active):
        return {}
    return {name: (loop_plan(name), StreamFacts(board.origin(), 0.0))}
