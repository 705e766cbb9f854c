"""The dense tracker on a board with any pattern of faults: what is given was written, once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.runs import GapReason, ValueRun
from tests.support.amount import examples
from tests.support.faulty_board import (
    FAULTS,
    NEVER_ZERO,
    RAMP,
    SIZE,
    FaultyBoard,
    Signal,
    gaps_of,
    play,
    ticks_of,
)


def check(board: FaultyBoard, n_written: int, *, end_known: bool) -> None:
    """The one invariant: its own tick, once, forwards, no padding, all of it counted."""
    last_tick = -1
    for item in board.items:
        first = int(item.ticks[0]) if isinstance(item, ValueRun) else item.first_tick
        assert first > last_tick
        last_tick = int(item.ticks[-1]) if isinstance(item, ValueRun) else item.last_tick
        if isinstance(item, ValueRun):
            assert np.all(np.diff(item.ticks) == board.step)
            assert np.array_equal(item.values, board.signal(item.ticks))
    ticks = ticks_of(board.items)
    assert set(ticks) <= board.arrived
    made = board.made
    assert made.delivered == len(ticks)
    assert made.lost + made.withheld == sum(gap.n_values for gap in gaps_of(board.items))
    losses = [gap for gap in gaps_of(board.items) if gap.reason is not GapReason.UNKNOWN_END]
    assert made.gaps == len(losses)
    assert made.delivered + made.lost <= n_written
    if made.step_ticks is None:  # too little came to tell it: nothing is given
        assert (made.delivered, made.lost) == (0, sum(gap.n_values for gap in losses))
        return
    assert made.delivered + made.lost + made.withheld >= n_written
    if end_known:
        assert (made.withheld, made.delivered + made.lost) == (0, n_written)


@settings(max_examples=examples(150))
@given(data=st.data())
def test_any_pattern_of_faults(data: st.DataObject) -> None:
    step = data.draw(st.sampled_from([1, 2, 16]), "step")
    step_known = data.draw(st.booleans(), "step known")
    exact = not step_known or data.draw(st.booleans(), "exact arrivals")
    start = data.draw(st.integers(0, 5000), "start")
    signal = NEVER_ZERO
    if step_known and data.draw(st.booleans(), "with zeros"):
        zero_tick = start + data.draw(st.integers(0, 9 * SIZE), "zero at")
        signal = Signal(zero_tick, data.draw(st.integers(1, 3 * SIZE * step), "stretch"))
    start_known = data.draw(st.booleans(), "start known")
    end_known = data.draw(st.sampled_from(["at first", "before", "after", ""]), "end known")

    made = DenseTracker(RAMP)
    board = FaultyBoard(made, signal, step, exact, start)
    faults = data.draw(st.lists(FAULTS, max_size=9), "faults")
    if not step_known and step > 1:
        faults = [("block", 0, 0)] * 4 + faults  # a few blocks do not tell a step above 1
    n_last = data.draw(st.integers(1, SIZE), "last values")
    last_arrives = not exact or data.draw(st.booleans(), "last arrives")
    n_first_lost = data.draw(st.integers(0, 2), "first blocks lost")

    # The ticks of the same course without a tracker tell where it will end.
    def course(board: FaultyBoard) -> int:
        board.skip(n_first_lost * SIZE)
        for k, fault in enumerate(faults):
            # Many distances in a row that were not expected are a change of step.
            for _ in range(2 if k % 4 == 0 else 0):
                board.send()
            play(board, fault)
        board.avoid_the_undecidable()
        return board.tick + (n_last - 1) * step

    rehearsal = FaultyBoard(DenseTracker(RAMP), signal, step, exact, start)
    end_tick = course(rehearsal)

    made.begin(
        first_tick=start if start_known else None,
        last_tick=end_tick if end_known == "at first" else None,
        step_ticks=step if step_known else None,
    )
    assert course(board) == end_tick
    if end_known == "before":
        board.items += made.end_at(end_tick)
    if last_arrives or not faults:
        board.send(n_last)
    if end_known == "after":
        board.items += made.end_at(end_tick)
    board.items += made.finish()
    assert board.first_tick is not None
    counted_from = start if start_known else board.first_tick
    n_written = (end_tick - counted_from) // step + 1
    if not end_known:
        # What came after the last block that arrived is not known to have been written.
        newest = max(board.arrived)
        n_written = (newest - counted_from) // step + 1
    check(board, n_written, end_known=bool(end_known))
