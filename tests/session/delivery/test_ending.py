"""A STOP collects all that the board took until then, and invents nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.session.delivery import ending
from bela_module.simulator.faults.timed_faults import OtherClient
from bela_module.simulator.network.delays import NO_DELAY, LinkDelay, Network
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.accounts import Ledger
from tests.support.fault_cases import make_board
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    session_at,
    session_on,
    written_ticks,
)
from tests.support.signal_cases import AHEAD_TICKS, EACH_TICK, SKETCH, STEPS, TOUCH_STEP, value_of


def test_stop_before_a_schedule_cancels_it(board: SimulatedBoard, one: Running) -> None:
    one.schedule(timestamps=board.tick_now() + 100 * AHEAD_TICKS, durations=1000)
    assert one.state == "streaming"
    assert one.stop() == "stopped"
    assert one.state == "idle"
    assert one.sink.events == ["stopped"]
    # The board answers with a few values of now, which nobody asked for.
    assert all(board.account(name).sent > 0 for name in EACH_TICK)
    assert one.sink.gaps == []
    assert [(stream["samples"], stream["lost"]) for stream in one.streams.values()] == [
        (0, 0)
    ] * len(SKETCH)


def test_stop_during_a_schedule_collects_its_tail(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.schedule(variables=("ramp", "zero"), start_in_s=0.1, duration_s=1000)
    wait_until(lambda: board.account("zero").sent and one.sink.events, "a block")
    stopped_at = board.tick_now()
    one.stop()
    for name in ("ramp", "zero"):
        kept, written = one.sink[f"bela_{name}"], written_ticks(board, name)
        np.testing.assert_array_equal(kept.ticks, written)
        np.testing.assert_array_equal(kept.values, value_of(name, written))
        assert kept.ticks[-1] >= stopped_at
    assert one.sink.events[0] == "schedule_started"
    assert len(one.sink.events) == 2


def test_stop_collects_everything_and_invents_no_zero(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start()
    wait_until(lambda: all(board.account(v.name).sent for v in SKETCH[:-1]), "blocks")
    stopped_at = board.tick_now()
    assert one.stop() == "stopped"
    for name, step in STEPS.items():
        kept, written = one.sink[f"bela_{name}"], written_ticks(board, name, step)
        np.testing.assert_array_equal(kept.ticks, written)
        np.testing.assert_array_equal(kept.values, value_of(name, written))
        assert kept.ticks[-1] >= stopped_at
        assert board.account(name).discarded == 0
    kept, written = one.sink["bela_touch"], written_ticks(board, "touch", TOUCH_STEP)
    np.testing.assert_array_equal(kept.ticks, written)
    assert kept.ticks[-1] >= stopped_at  # the value that ended it is part of it
    assert one.sink.gaps == []
    assert all(stream["lost"] == 0 for stream in one.streams.values())


def test_a_stop_right_after_the_start_invents_no_loss(board: SimulatedBoard, one: Running) -> None:
    for _ in range(4):
        one.start("ramp", "zero")
        one.stop()
    for name in ("ramp", "zero"):
        np.testing.assert_array_equal(one.sink[f"bela_{name}"].ticks, written_ticks(board, name))
    assert one.sink.events == ["started", "stopped"] * 4
    assert one.sink.gaps == []


@pytest.mark.parametrize("delay_s", [0.0, 0.35])
def test_what_another_client_ends_just_before_the_end_is_counted(
    delay_s: float, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last block may come after the end, as if the variable had paused in it."""
    monkeypatch.setattr(ending, "COMMAND_LEAD_S", 0.3)  # no stall of this computer is as long
    with make_board(first_tick=1000) as board, session_on(board) as one:
        one.start("a")
        board.set_network(Network(LinkDelay(0.0), LinkDelay(delay_s)))
        wait_until(lambda: one.samples("bela_a") > 40_000, "that the clock knows the delay")
        board.with_next("unwatch", lambda: OtherClient(cmd="unwatch").apply(board))
        assert one.stop() == "stopped"
        (account,) = Ledger(board, one.sink).accounts(one.streams, worst_s=1.0)
        account.check()
        assert account.truth.exact
        assert account.lost > 0
        assert account.delivered == sum(run.n_values for run in board.written("a"))


@pytest.mark.parametrize("delay_s", [0.0, 0.05])
def test_what_another_client_watches_again_just_before_the_end_has_not_ended(
    delay_s: float, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list calls it unwatched until its next value; later blocks are nobody's loss."""
    monkeypatch.setattr(ending, "COMMAND_LEAD_S", 0.1)
    monkeypatch.setattr(ending, "END_LOOK_S", 0.0)
    with make_board(first_tick=1000) as board, session_at(board.port) as one:
        for _ in range(5):
            since_s = local_clock()
            one.sink.kept.clear()
            one.start("a")
            wait_until(lambda: one.samples("bela_a") > 2000, "samples")
            board.set_network(Network(LinkDelay(0.0), LinkDelay(delay_s)))
            board.with_next("unwatch", lambda: OtherClient(cmd="watch").apply(board))
            assert one.stop() == "stopped"
            ledger = Ledger(board, one.sink, since_s=since_s)
            (account,) = ledger.accounts(one.streams, worst_s=1.0)
            account.check()
            board.set_network(NO_DELAY)


def test_an_end_that_is_set_is_not_moved_by_what_is_known_later(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLOSE has two seconds; what the board does after the end that it was told is no loss."""

    async def never(*_: Any) -> tuple[str, ...]:
        await asyncio.sleep(60)
        return ()

    one.start("ramp")
    wait_until(lambda: one.samples("bela_ramp") > 0, "samples")
    monkeypatch.setattr(BoardClient, "still_watched", never)
    one.session.close()
    np.testing.assert_array_equal(one.sink["bela_ramp"].ticks, written_ticks(board, "ramp"))
    assert one.streams["bela_ramp"]["lost"] == 0
    assert "the board was not there to confirm the end" in one.session.status()["shortfalls"][0]
