"""Which streams may come singly, as a session on a board sees them."""

from __future__ import annotations

import pytest

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import Assignments, RepeatedAssignments
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.session_helpers import (
    WaitUntil,
    board_of,
    flow,
    session_at,
    session_on,
    variable,
)


@pytest.mark.parametrize(("step", "asked"), [(441, [2]), (1, [])])
def test_what_was_seen_to_be_slow_is_asked_for_at_once(
    step: int, asked: list[int], wait_until: WaitUntil
) -> None:
    with board_of(variable("x", step=step), variable("fast")) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until)
        assert list(board.monitored().values()) == asked


def test_what_was_silent_is_asked_for_rarely_until_its_first_value(wait_until: WaitUntil) -> None:
    rare = variable("x", step=200_000)
    # At the end the board keeps it watched till its next value.
    with board_of(rare, variable("fast")) as board, session_at(board.port) as one:
        one.start()
        flow(one, wait_until)
        if one.samples("bela_x") == 0:  # by chance it may have come by now
            assert board.monitored() == {"x": 66}
        wait_until(lambda: one.samples("bela_x") > 0, "a value")
        wait_until(lambda: board.monitored() == {"x": 2}, "every value")
        wait_until(lambda: one.streams["bela_x"]["delivery"] == "single", "that STATUS knows it")


def test_several_values_at_each_tick_never_come_singly(wait_until: WaitUntil) -> None:

    twice = RepeatedAssignments(2, Assignments(441))
    made = SketchVariable("x", ValueType.DOUBLE, ramp, assignments=twice)
    with board_of(made, variable("fast")) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until, 20)
        assert board.monitored() == {}
        assert one.streams["bela_x"]["delivery"] == "block"
