"""The parts of a session: what its named transitions keep."""

from __future__ import annotations

from tests.support.session_helpers import WaitUntil, board_of, lose, session_on, variable


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
