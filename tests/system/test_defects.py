"""A defect in any part ends what it must and no more; it is told, and the board is left clean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BelaError
from bela_module.session.board.board_state import BoardState
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.jobs.listing import BoardView
from bela_module.simulator.faults.message_faults import DropPair
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.live_stream import LiveStream
from tests.support.fault_cases import make_board
from tests.support.session_helpers import (
    Recorder,
    Running,
    WaitUntil,
    answer,
    left_on,
    running,
    settings_for,
)


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with make_board() as board:
        yield board


@pytest.fixture
def one(board: SimulatedBoard) -> Iterator[Running]:
    with running(settings_for(board.port), Recorder()) as one:
        yield one


def stream(one: Running, wait_until: WaitUntil) -> None:
    one.start("a", "b")
    wait_until(lambda: one.samples("bela_a") > 0 and one.samples("bela_b") > 0, "samples")


def fail_once(patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    right = getattr(owner, name)

    def fail(*_: Any, **__: Any) -> Any:
        patch.setattr(owner, name, right)
        raise ZeroDivisionError("a defect")

    patch.setattr(owner, name, fail)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (BoardState, "take_reply"),
        (BoardState, "add_arrival"),
        (Delivery, "take"),
        (Delivery, "progress"),
        (LiveStream, "add"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_defect_while_streaming(
    owner: type,
    name: str,
    board: SimulatedBoard,
    one: Running,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream(one, wait_until)
    fail_once(monkeypatch, owner, name)
    wait_until(lambda: left_on(board) == ([], {}, {}), "a clean board")
    wait_until(lambda: one.session.status()["shortfalls"], "the report")
    assert "ZeroDivisionError('a defect')" in one.session.status()["last_error"]
    told, end = [text for text in one.sink.events if not text.startswith("gap ")][-2:]
    assert told.startswith("error bela_a, bela_b: the session failed (ZeroDivision")
    assert end == "stopped"
    assert one.session.failure is None
    stream(one, wait_until)  # it still can
    assert one.stop() == "stopped"
    assert one.session.status()["shortfalls"] == []


def test_a_defect_that_lasts_leaks_no_connection(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(one, wait_until)

    def fail(_origin: Any) -> None:
        raise ZeroDivisionError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(one.sink, "identify", fail)
        wait_until(lambda: one.session.status()["shortfalls"], "the report")
        for _ in range(20):
            assert board.n_clients <= 2
            time.sleep(0.05)
        wait_until(
            lambda: one.session.status()["board"]["connected"] is (board.n_clients > 0),
            "that STATUS knows the connection",
        )
    stream(one, wait_until)
    assert one.stop() == "stopped"
    assert left_on(board) == ([], {}, {})


def test_a_defect_while_reconnecting(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(one, wait_until)
    fail_once(monkeypatch, BoardClient, "connect")
    board.disconnect()
    wait_until(lambda: "a defect" in str(one.session.status()["last_error"]), "the report")
    wait_until(lambda: left_on(board) == ([], {}, {}), "a clean board")
    stream(one, wait_until)
    assert one.stop() == "stopped"


def test_a_defect_in_a_command_ends_that_command_alone(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(one, wait_until)
    fail_once(monkeypatch, BoardView, "__init__")
    with pytest.raises(BelaError, match="ZeroDivisionError: a defect"):
        answer(one.session.look())
    there = one.samples("bela_a")
    wait_until(lambda: one.samples("bela_a") > there, "more samples")
    assert one.stop() == "stopped"
    assert one.streams["bela_a"]["lost"] == 0


def test_a_defect_in_the_sink_ends_that_stream_alone(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(one, wait_until)
    fail_once(monkeypatch, one.sink, "gap")
    board.inject(DropPair(n=1, variable="a"))
    wait_until(lambda: "error bela_a: a defect" in one.sink.events, "the report")
    there = one.samples("bela_b")
    wait_until(lambda: one.samples("bela_b") > there, "more samples")
    assert one.stop() == "stopped"
    assert one.streams["bela_a"]["lost"] > 512  # whatever came after it
    assert one.streams["bela_b"]["lost"] == 0


def test_who_listens_to_events_can_end_nothing(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    def fail(name: str, text: str) -> None:
        raise ZeroDivisionError(f"by who listens to {name}: {text}")

    one.session.subscribe(fail)
    stream(one, wait_until)
    board.disconnect()
    wait_until(lambda: one.session.status()["counters"]["reconnects"] == 1, "reconnect")
    assert one.stop() == "stopped"
    assert left_on(board) == ([], {}, {})
