"""The parts of a session: what its named transitions keep."""

from __future__ import annotations

import pytest

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import (
    Assignments,
    RepeatedAssignments,
    UnevenAssignments,
)
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.session_helpers import (
    WaitUntil,
    board_of,
    flow,
    lose,
    session_at,
    session_on,
    variable,
)


def test_problems_of_the_connection_become_shortfalls_of_what_they_ended(
    wait_until: WaitUntil,
) -> None:
    with board_of(variable("a")) as board, session_on(board) as one:
        one.start("a")
        wait_until(lambda: one.samples("bela_a") > 0, "samples")
        lose(board, one, wait_until)
        (problem,) = one.session.status()["problems"]
        assert problem.startswith("disconnected: ")
        one.stop()
        status = one.session.status()
        assert status["problems"] == []
        assert problem in status["shortfalls"]
        board.refuse_connections(False)
        wait_until(lambda: board.watched_names() == [], "a clean board")


def test_what_shows_in_the_last_blocks_is_told_as_well(wait_until: WaitUntil) -> None:
    pattern = UnevenAssignments(88, 31, block_ticks=1)
    uneven = SketchVariable("uneven", ValueType.DOUBLE, ramp, assignments=pattern)
    streaming = {"prompt": "off"}
    with board_of(uneven) as board, session_on(board, streaming=streaming) as one:
        one.start()
        flow(one, wait_until, 6)
        one.stop()
        assert any(
            text.startswith("uneven: assigned unevenly")
            for text in one.session.status()["shortfalls"]
        )


@pytest.mark.parametrize("sparse", [False, True])
def test_what_the_board_keeps_of_a_variable_that_is_not_assigned_any_more_is_told(
    sparse: bool, wait_until: WaitUntil
) -> None:
    streaming = {"prompt": "off"}
    ended = variable("ended", sparse=sparse)
    with (
        board_of(ended, variable("fast")) as board,
        session_at(board.port, streaming=streaming) as one,
    ):
        one.start()
        flow(one, wait_until, 8)
        board.set_assigned(False, "ended")
        flow(one, wait_until, 8)
        one.stop()
        status = one.session.status()
        n_values = 341 if sparse else 512
        ending = f"kept what came since its last block, fewer than {n_values} values"
        assert any(
            text.startswith("ended: not assigned") and text.endswith(ending)
            for text in status["shortfalls"]
        )
        assert one.streams["bela_ended"]["lost"] == 0


def test_what_single_values_left_out_is_told(wait_until: WaitUntil) -> None:
    pattern = RepeatedAssignments(2, Assignments(8000))
    twice = SketchVariable("twice", ValueType.DOUBLE, ramp, assignments=pattern)
    with board_of(twice, variable("fast")) as board, session_on(board) as one:
        one.start()
        wait_until(lambda: one.samples("bela_twice") >= 4, "values")
        one.stop()
        [text] = [text for text in one.session.status()["shortfalls"] if text.startswith("twice")]
        lost = one.streams["bela_twice"]["lost"]
        assert lost >= 3
        assert text.startswith(f"twice: {lost} values did not come singly")
