"""Every fault at every moment: what was delivered is right, what was lost is counted, all goes on.

``docs/robustness.md`` shows the matrix, and says what cannot be exact and why.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import Future
from typing import Any

import pytest

from bela_module.requests import StartRequest
from bela_module.simulator import SimulatedBoard
from tests.fault_cases import CASES, NAMES, Case, check_values, make_board, taken
from tests.session_helpers import Running, WaitUntil, answer, session_at

SCHEDULE_S = 0.5
REPLY_TIMEOUT_S = 1.0
BLOCK_VALUES = 512
STEP_S = 0.1  # how far the clock steps in the cases where it does

MOMENTS = ("streaming", "scheduled", "grouped", "connecting", "stopping")


class Play:
    """One cell of the matrix: a session on a board that meets with a fault."""

    def __init__(self, board: SimulatedBoard, one: Running, wait: WaitUntil, case: Case) -> None:
        self.board, self.one, self.wait, self.case = board, one, wait, case

    @property
    def blocks(self) -> int:
        return int(self.one.session.status()["counters"]["blocks"])

    def flows(self, n_blocks: int = 6) -> None:
        """Wait until the board streams what it shall, and blocks come."""

        def watched() -> bool:
            return set(NAMES) <= set(self.board.watched_names()) and self.one.state == "streaming"

        self.wait(watched, "streaming")
        there = self.blocks
        self.wait(lambda: self.blocks >= there + n_blocks, "blocks")

    def strike(self, after_s: float = 0.0) -> None:
        self.case.strike(self.board, after_s)

    def calm(self) -> None:
        """Wait until the fault is over."""
        if self.case.disconnects:
            events = ("reconnected", "board_restarted")
            self.wait(lambda: any(e.startswith(events) for e in self.one.sink.events), "reconnect")
        else:
            time.sleep(0.05 if not self.case.steps else 2 * STEP_S)
        self.flows()

    def streaming(self) -> None:
        self.one.start(*NAMES)
        self.flows()
        self.strike()
        self.calm()
        self.one.stop()

    def scheduled(self) -> None:
        self.one.schedule(variables=NAMES, start_in_s=0.2, duration_s=SCHEDULE_S)
        self.wait(self.board.watched_names, "the schedule")
        self.strike()
        ends = ("schedule_finished", "stopped")
        self.wait(lambda: any(e.startswith(ends) for e in self.one.sink.events), "its end")

    def connecting(self) -> None:
        self.strike(0.15)
        self.one.start(*NAMES)
        time.sleep(0.2)
        self.wait(lambda: not self.board.silent, "the board speaks")
        self.flows()
        self.one.stop()

    def stopping(self) -> None:
        self.one.start(*NAMES)
        self.flows()
        stopped: Future[str] = self.one.session.stop()
        self.strike(0.02)
        answer(stopped)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_fault(case: Case, moment: str, wait_until: WaitUntil) -> None:
    tables: dict[str, Any] = {"board": {"reply_timeout_s": REPLY_TIMEOUT_S}}
    if moment == "grouped":
        tables["streams"] = {"both": {"variables": list(NAMES)}}
    with make_board() as board, session_at(board.port, **tables) as one:
        play = Play(board, one, wait_until, case)
        getattr(play, "streaming" if moment == "grouped" else moment)()
        streams = dict(one.streams)
        check_account(play, streams)
        check_still_controllable(play)


def check_account(play: Play, streams: dict[str, Any]) -> None:
    """Check values, times and the account: delivered + counted lost = taken by the sketch."""
    known_s = [u for u in play.one.sink.uncertainties_s if math.isfinite(u)]
    worst_s = max([0.005, *known_s[-20:]]) + (STEP_S if play.case.steps else 0.0)
    for stream, status in streams.items():
        # Ticks that are left out in the middle of a block do not show in it.
        n_misplaced = BLOCK_VALUES if play.case.steps else 0
        counts = check_values(
            play.board, play.one.sink, stream, worst_s=worst_s, n_misplaced=n_misplaced
        )
        members = status["variables"]
        total = sum(taken(play.board, name) for name in members)
        missing = total - sum(counts.values()) - status["lost"]
        if not play.case.restarts:
            assert missing == 0, f"{stream}: {counts} delivered, {status['lost']} lost of {total}"
        else:
            assert missing >= 0, f"{stream}: {counts} delivered, {status['lost']} lost of {total}"


def check_still_controllable(play: Play) -> None:
    play.board.end_faults()
    play.wait(lambda: not play.board.silent, "the board speaks")
    play.one.session.start(StartRequest(variables=NAMES)).result(20)
    play.flows(2)
    assert play.one.stop() == "stopped"
    assert play.board.watched_names() == []
