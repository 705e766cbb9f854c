"""The parts of a session: what its named transitions keep."""

from __future__ import annotations

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import UnevenAssignments
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.session_helpers import WaitUntil, board_of, flow, lose, session_on, variable


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
    """Its mean step is a whole number, and known when the run has ended."""
    pattern = UnevenAssignments(88, 31)
    uneven = SketchVariable("uneven", ValueType.DOUBLE, ramp, assignments=pattern)
    with board_of(uneven) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until, 2)
        one.stop()
        assert any(
            text.startswith("uneven: assigned unevenly")
            for text in one.session.status()["shortfalls"]
        )
