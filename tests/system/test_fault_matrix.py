"""Every fault at every moment: what was delivered is right, what was lost is counted, all goes on.

``docs/robustness.md`` shows the matrix, and says what cannot be exact and why.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from bela_module.requests import StartRequest
from bela_module.simulator.faults.timed_faults import NoData, Pause, Unassigned
from tests.support.accounts import BLOCK_VALUES, Ledger, Window, stated_s
from tests.support.amount import WHOLE_MATRIX
from tests.support.fault_cases import (
    CASES,
    NAMES,
    RATE_HZ,
    RENUMBERED,
    Case,
    case_of,
    check_values,
    make_board,
    silence_until_given_up,
)
from tests.support.observed_board import ObservedBoard
from tests.support.raw_client import raw_client
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    answer,
    assert_received,
    listening,
    published_on,
    session_at,
)

SCHEDULE_S = 0.3
REPLY_TIMEOUT_S = 1.0
RUNNING_SINCE_TICK = 2_000_000  # so that a restart shows in the ticks
UNKNOWN_S = 2.0  # of a restart, at most: replies come more often than that, even on a busy machine

MOMENTS = ("streaming", "scheduled", "grouped", "connecting", "stopping")


class Play:
    """One cell of the matrix: a session on a board that meets with a fault."""

    def __init__(self, board: ObservedBoard, one: Running, wait: WaitUntil, case: Case) -> None:
        self.board, self.one, self.wait, self.case = board, one, wait, case
        self.blocks_before: int | None = None
        self.ledger = Ledger(board, one.sink)

    @property
    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.one.session.status()["counters"]
        return counters

    def flows(self, n_blocks: int = 6) -> None:
        """Wait until the board streams what it shall, and blocks come."""

        def watched() -> bool:
            return set(NAMES) <= set(self.board.watched_names()) and self.one.state == "streaming"

        self.wait(watched, "streaming")
        there = self.counters["blocks"]
        self.wait(lambda: self.counters["blocks"] >= there + n_blocks, "blocks")

    @property
    def told(self) -> list[str]:
        """What people were told."""
        return [*self.one.session.status()["problems"], *self.one.sink.events]

    def begin(self) -> None:
        """Start, and wait for what a restart cannot take away any more."""
        self.one.start(*NAMES)
        self.flows()
        if self.case.restarts:
            self.wait(lambda: all(s["samples"] for s in self.one.streams.values()), "samples")

    def strike(self) -> None:
        self.blocks_before = self.board.n_blocks
        self.case.strike(self.board)

    def calm(self) -> None:
        """Wait until the fault is over."""
        if self.case.disconnects:
            events = ("reconnected", "board_restarted")
            self.wait(lambda: any(e.startswith(events) for e in self.one.sink.events), "reconnect")
        else:
            time.sleep(self.case.lasts_s + 0.05)
        self.flows()

    def streaming(self) -> None:
        self.begin()
        self.strike()
        self.calm()
        self.one.stop()

    def scheduled(self) -> None:
        said = self.one.schedule(variables=NAMES, start_in_s=0.15, duration_s=SCHEDULE_S)
        self.ledger = Ledger(self.board, self.one.sink, window=Window.of_answer(said))
        self.board.with_next_block(self.strike)
        ends = ("schedule_finished", "stopped")
        self.wait(lambda: any(e.startswith(ends) for e in self.one.sink.events), "its end")
        self.wait(lambda: self.one.state == "idle", "that STATUS knows it")

    def connecting(self) -> None:
        if self.case.hole_s:  # ticks that are left out before the start are nobody's
            self.board.with_next("watch", lambda: self.board.with_next_block(self.strike))
        else:
            self.board.with_next("watch", self.strike)
        self.one.start(*NAMES)
        self.wait(lambda: self.blocks_before is not None, "the strike")
        self.wait(lambda: not self.board.silent, "the board speaks")
        time.sleep(self.case.lasts_s)
        self.flows()
        self.one.stop()

    def stopping(self) -> None:
        self.begin()
        self.board.with_next("unwatch", self.strike)
        stopped: Future[str] = self.one.session.stop()
        assert answer(stopped) == "stopped"


CELLS = [
    pytest.param(case, moment, id=f"{case.name}-{moment}")
    for n, case in enumerate(CASES)
    for m, moment in enumerate(MOMENTS)
    if WHOLE_MATRIX or n % len(MOMENTS) == m
]
"""Every fault; the suite takes each at one moment, and each moment about as often."""


@pytest.mark.parametrize(("case", "moment"), CELLS)
def test_fault(
    case: Case, moment: str, wait_until: WaitUntil, record_property: Callable[[str, object], None]
) -> None:
    tables: dict[str, Any] = {"board": {"reply_timeout_s": REPLY_TIMEOUT_S}}
    if moment == "grouped":
        tables["streams"] = {"both": {"variables": list(NAMES)}}
    board = make_board(first_tick=RUNNING_SINCE_TICK)
    with board, session_at(board.port, **tables) as one:
        play = Play(board, one, wait_until, case)
        getattr(play, "streaming" if moment == "grouped" else moment)()
        streams = dict(one.streams)
        check_that_it_struck(play, moment)
        record_property("account", check_accounts(play, streams, moment))
        check_still_controllable(play)


def check_that_it_struck(play: Play, moment: str) -> None:
    """Check that the fault has happened, and to what was to be streamed."""
    board, case = play.board, play.case
    assert play.blocks_before is not None
    if case.disconnects:
        play.wait(lambda: play.counters["reconnects"] >= 1, "the reconnect")
        assert len({command.port for command in board.commands}) > 1
    elif moment != "stopping" or not case.hole_s:
        assert board.n_blocks > play.blocks_before
    assert (play.counters["restarts"] > 0) == (board.restarts > 0) == case.restarts
    losing = {loss.fault for loss in board.block_losses}
    assert losing == ({case.name} if case.name in LOSING_BLOCKS else set())
    assert (board.n_repeated > 0) == (case.name == "repeat-pair")
    if case.name == "wrong-reply":
        assert play.counters["bad_frames"] > 0


LOSING_BLOCKS = (
    "drop-header",
    "drop-payload",
    "drop-pair",
    "corrupt-header",
    "corrupt-payload",
    "oversized-payload",
)


def check_accounts(play: Play, streams: dict[str, Any], moment: str) -> str:
    """Check values, times and the account: delivered + counted lost = taken by the sketch.

    Returns
    -------
    str
        How well it is known, for the table in ``docs/robustness.md``.
    """
    case = play.case
    ledger = dataclasses.replace(play.ledger, assigns=case.assigns)
    accounts = ledger.accounts(
        streams,
        worst_s=stated_s(play.one.sink) + case.hole_s,
        n_misplaced=BLOCK_VALUES if case.hole_s else 0,
    )
    late = any(play.ledger.was_late(name) for name in NAMES)
    if moment == "stopping" and case.hole_s:  # STOP may have to do without the end's tick
        late = late or any(play.ledger.was_given_up(name) for name in NAMES)
    for account in accounts:
        account.check()
        if case.restarts:
            slack = account.truth.at_most - account.truth.at_least
            assert slack <= len(streams[account.stream]["variables"]) * UNKNOWN_S * RATE_HZ
        assert account.truth.exact or case.restarts or not case.assigns or late
        assert account.delivered > 0 or (case.restarts and moment == "scheduled")
    if case.keeps_writing and not late:
        total = sum(account.delivered + account.lost for account in accounts)
        assert total == sum(play.ledger.written(name) for name in NAMES)
    # What is lost before a late start is not missed.
    begins_anew = moment == "connecting" and (case.disconnects or late)
    lost = sum(account.lost for account in accounts)
    if case.loses and not begins_anew:
        assert lost > 0
    elif case.loses is False:
        assert lost == 0
    if case.hole_s:
        return "=¹" if case.assigns else "≤²"
    return "≤" if case.restarts else "="


def check_still_controllable(play: Play) -> None:
    play.board.end_faults()
    play.wait(lambda: not play.board.silent, "the board speaks")
    play.one.session.start(StartRequest(variables=NAMES)).result(20)
    play.flows(2)
    assert play.one.stop() == "stopped"
    # What another client watches on the board that came back is left to it.
    others = {"new"} if play.case.name == "restart-renumbered-watched" else set()
    assert set(play.board.watched_names()) <= others


# ---- what lasts longer, and is told to people ------------------------------------------------

DIAGNOSES = {
    "its ticks stand still": case_of(Pause(for_s=2.5), hole_s=2.5),
    "a: asked for, but nothing comes": case_of(
        Unassigned(for_s=3.0, variable="a"), hole_s=3.0, assigns=False
    ),
    "the board sends no data at all": case_of(NoData(for_s=2.5), hole_s=2.5),
    "the board sends data, but does not answer": Case(
        "silence", silence_until_given_up("control"), disconnects=True
    ),
    "no data comes, though the values change": Case(
        "silence", silence_until_given_up("data"), disconnects=True
    ),
}


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_what_lasts_is_told_and_accounted_for(diagnosis: str, wait_until: WaitUntil) -> None:
    case = DIAGNOSES[diagnosis]
    board = make_board(first_tick=RUNNING_SINCE_TICK)
    with board, session_at(board.port, board={"reply_timeout_s": REPLY_TIMEOUT_S}) as one:
        play = Play(board, one, wait_until, case)
        play.begin()
        play.strike()
        wait_until(lambda: any(diagnosis in text for text in play.told), "the diagnosis")
        wait_until(lambda: not one.session.status()["problems"], "all is well again")
        play.flows()
        one.stop()
        check_accounts(play, dict(one.streams), "streaming")
        check_still_controllable(play)


def test_an_inlet_goes_on_after_a_restart_with_another_project(
    unique: str, wait_until: WaitUntil
) -> None:
    board = make_board(first_tick=RUNNING_SINCE_TICK)
    with board, published_on(board, unique) as one:
        one.start("a")
        with listening(unique, 2) as listeners:
            listener = listeners[f"{unique}a"]
            wait_until(lambda: one.samples(f"{unique}a") > 0, "samples")
            listener.pull(float(one.sink[f"{unique}a"].stamps_s[-1]))
            board.restart(RENUMBERED)
            wait_until(lambda: "reconnected" in one.sink.events, "the reconnect")
            there = one.samples(f"{unique}a")
            wait_until(lambda: one.samples(f"{unique}a") > there, "samples after it")
            one.stop()
            kept = one.sink[f"{unique}a"]
            listener.pull(float(kept.stamps_s[-1]))
            ticks = assert_received(listener, kept)
            assert np.count_nonzero(np.diff(ticks) < 0) == 1
        check_values(board, one.sink, f"{unique}a", worst_s=0.05)


def test_a_silent_board_speaks_again_although_a_client_stays_that_asks_nothing(
    wait_until: WaitUntil,
) -> None:
    board = make_board()
    timeouts = {"reply_timeout_s": REPLY_TIMEOUT_S}
    with board, raw_client(board.url), session_at(board.port, board=timeouts) as one:
        one.list()
        silence_until_given_up()(board)
        wait_until(lambda: not board.silent, "the board speaks")
