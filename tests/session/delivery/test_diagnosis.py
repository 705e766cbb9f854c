"""Why nothing comes is told, and mended where that can be done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bela_module.simulator.faults.timed_faults import OtherClient
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.accounts import Ledger
from tests.support.fault_cases import NAMES, make_board
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    flow,
    session_at,
)


@pytest.fixture
def board() -> Iterator[ObservedBoard]:
    with make_board() as board:
        yield board


@pytest.fixture
def one(board: SimulatedBoard) -> Iterator[Running]:
    with session_at(board.port, board={"reply_timeout_s": 1.0}) as one:
        yield one


def problems_of(one: Running) -> str:
    return " / ".join(one.session.status()["problems"])


def events_of(one: Running, name: str) -> list[str]:
    return [text for text in one.sink.events if text.startswith(name)]


def test_another_clients_unwatch_is_diagnosed_and_mended(
    board: ObservedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start(*NAMES)
    flow(one, wait_until)
    board.inject(OtherClient(cmd="unwatch", variables="a"))
    diagnosis = "a: another client ended the watch; watched again"
    wait_until(lambda: f"error {diagnosis}" in one.sink.events, "the diagnosis")
    wait_until(lambda: board.watched_names() == ["a", "b"], "both are watched")
    wait_until(lambda: not problems_of(one), "all is well")
    flow(one, wait_until)
    one.stop()
    for account in Ledger(board, one.sink).accounts(one.streams, worst_s=0.05):
        account.check()
    assert one.streams["bela_a"]["lost"] > 512
    assert one.streams["bela_b"]["lost"] == 0


def test_a_board_that_stands_still_is_diagnosed(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    board.step_clock(-3.0)  # until then no tick happens
    wait_until(lambda: "its ticks stand still" in problems_of(one), "the diagnosis")
    assert any("its ticks stand still" in text for text in events_of(one, "error"))
    wait_until(lambda: not problems_of(one), "all is well")
    flow(one, wait_until)
    one.stop()
