"""Which variables of a board are asked for value by value, and when that ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bela_module.protocol.variables import ValueType
from bela_module.session.delivery.time_limits import STEADY_LOOK_S
from bela_module.session.delivery.transport import look_is_due
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.assignments import Assignments
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.block_feed import BlockFeed
from tests.support.session_helpers import (
    Recorder,
    Running,
    WaitUntil,
    board_of,
    left_on,
    session_on,
    variable,
)

TOUCH = SketchVariable("touch", ValueType.DOUBLE, ramp, True, Assignments(2000, 0, True))
SLOW = variable("slow", step=8000)
FAST = variable("fast")


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with board_of(TOUCH, SLOW, FAST) as board:
        yield board


@pytest.fixture
def one(board: SimulatedBoard) -> Iterator[Running]:
    with session_on(board) as one:
        yield one


def test_slow_and_sparse_variables_come_singly_and_fast_ones_never(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start()
    wait_until(lambda: one.samples("bela_slow") > 2 < one.samples("bela_touch"), "single values")
    wait_until(lambda: one.samples("bela_fast") > 1024, "blocks")
    deliveries = {name: stream["delivery"] for name, stream in one.streams.items()}
    assert deliveries == {"bela_touch": "single", "bela_slow": "single", "bela_fast": "block"}
    assert board.monitored() == {"touch": 2, "slow": 2}
    assert sorted(board.watched_names()) == ["fast", "slow", "touch"]
    one.stop()
    assert left_on(board) == ([], {}, {})
    assert {name: stream["lost"] for name, stream in one.streams.items()} == {
        "bela_touch": 0,
        "bela_slow": 0,
        "bela_fast": 0,
    }


def test_the_monitor_of_a_user_goes_on_when_start_ends(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.monitor(variables=("touch",), periods=(4410,))
    one.start("touch")
    wait_until(lambda: board.monitored() == {"touch": 2}, "every value")
    one.session.stop().result(20)
    assert left_on(board) == ([], {}, {})


def test_what_we_have_just_ended_is_not_another_clients(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start()
    wait_until(lambda: one.samples("bela_fast") > 1024, "blocks")
    assert one.session.status()["others"] == {"watched": [], "monitored": [], "controlled": []}
    stopped = one.session.stop()
    one.start()
    assert stopped.result(20) == "stopped"
    wait_until(lambda: one.samples("bela_touch") > 2, "single values")
    assert one.streams["bela_touch"]["delivery"] == "single"
    assert not any("another client" in text for text in one.session.status()["notices"])


def test_a_delivery_is_looked_at_less_often_while_nothing_is_under_way() -> None:
    feed = BlockFeed(2, Recorder())
    prompt = feed.delivery.prompt
    assert all(look_is_due(feed.delivery) for _ in range(2))  # its streams are not open yet
    for burst in feed.bursts(2):
        feed.take(*burst)
    feed.now_s += STEADY_LOOK_S + 0.01
    assert [look_is_due(feed.delivery) for _ in range(2)] == [True, False]
    feed.now_s += STEADY_LOOK_S + 0.01
    assert [look_is_due(feed.delivery) for _ in range(2)] == [True, False]
    prompt.asked_s["v0"] = feed.now_s
    assert all(look_is_due(feed.delivery) for _ in range(2))
    prompt.connection_lost()
    assert not look_is_due(feed.delivery)
