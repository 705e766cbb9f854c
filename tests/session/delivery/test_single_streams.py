"""Which streams may come singly, as a session on a board sees them."""

from __future__ import annotations

import pytest

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import Assignments, RepeatedAssignments
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import (
    WaitUntil,
    board_of,
    flow,
    session_at,
    session_on,
    sketch_of,
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


def test_nothing_is_asked_for_while_slow_blocks_fill_together(wait_until: WaitUntil) -> None:
    names = [f"x{k}" for k in range(10)]
    variables = [variable(name, ValueType.FLOAT) for name in names]
    board = ObservedBoard(sketch_of(*variables, rate_hz=700.0))  # blocks fill in 1.5 s
    with board, session_on(board) as one:
        one.start()
        at_once: list[int] = []

        def have_come() -> bool:
            at_once.append(len(board.monitored()))
            return all(one.samples(f"bela_{name}") >= 2048 for name in names)

        wait_until(have_come, "two blocks of each")
        assert max(at_once) <= 8  # before the first blocks nobody knows that they are to come
        board.commands.clear()
        wait_until(lambda: all(one.samples(f"bela_{name}") >= 7168 for name in names), "7 blocks")
        assert "monitor" not in {command.cmd for command in board.commands}
        assert {stream["delivery"] for stream in one.streams.values()} == {"block"}


def test_several_values_at_each_tick_never_come_singly(wait_until: WaitUntil) -> None:

    twice = RepeatedAssignments(2, Assignments(441))
    made = SketchVariable("x", ValueType.DOUBLE, ramp, assignments=twice)
    with board_of(made, variable("fast")) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until, 20)
        assert board.monitored() == {}
        assert one.streams["bela_x"]["delivery"] == "block"
