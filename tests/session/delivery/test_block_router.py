"""Blocks find their stream by the numbers of the board's latest list."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bela_module.config import parse_settings
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.session.board.tick_progress import TickProgress
from bela_module.session.delivery.block_router import BlockRouter
from bela_module.session.delivery.watchdog import Cause, Watchdog
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.stream_plans import plan_streams
from tests.support.session_helpers import Recorder

SETTINGS = parse_settings({}, "test")


def variables(*names: str, value_type: ValueType = ValueType.FLOAT) -> tuple[Variable, ...]:
    return tuple(
        Variable(index, name, value_type, sparse=False) for index, name in enumerate(names)
    )


def streams_of(listed: tuple[Variable, ...], *, monitor: bool = False) -> list[LiveStream]:
    return [
        LiveStream(plan, Recorder(), np.asarray, lambda: 0.0, lambda *_: None, lambda *_: None)
        for plan in plan_streams(listed, SETTINGS, monitor=monitor)
    ]


def test_variables_are_found_by_name_whatever_their_number() -> None:
    first = variables("a", "b")
    streams, router = streams_of(first), BlockRouter()
    router.find_variables(streams, first)
    assert router.route_of(1, monitor=False) == (streams[1], first[1])
    assert router.route_of(1, monitor=True) == (streams[1], first[1])  # beside the blocks
    router.find_variables(streams, variables("b", "x", "a"))
    assert router.route_of(0, monitor=False) == (streams[1], first[1])
    assert router.route_of(1, monitor=False) is None
    assert router.route_of(2, monitor=False) == (streams[0], first[0])


def test_single_values_and_blocks_are_told_apart() -> None:
    listed = variables("a")
    streams, router = streams_of(listed, monitor=True), BlockRouter()
    router.find_variables(streams, listed)
    assert router.route_of(0, monitor=True) == (streams[0], listed[0])
    assert router.route_of(0, monitor=False) is None


def test_what_is_gone_or_of_another_type_is_named() -> None:
    first = variables("a", "b", "c")
    streams, router = streams_of(first), BlockRouter()
    (retyped,) = variables("b", value_type=ValueType.DOUBLE)
    router.find_variables(streams, (first[0], replace(retyped, index=1)))
    assert router.missing == {"b": Cause.RETYPED, "c": Cause.VANISHED}


def test_a_lost_connection_ends_its_routes() -> None:
    listed = variables("a")
    router = BlockRouter()
    router.find_variables(streams_of(listed), listed)
    router.last_block_s["a"] = router.heard_s = 1.0
    router.connection_lost()
    assert router.route_of(0, monitor=False) is None
    assert router.last_block_s == {}
    assert router.heard_s == -math.inf


class Changes(Watchdog):
    """Says of so many variables that they were assigned."""

    def __init__(self, n_assigned: int) -> None:
        self.n_left = n_assigned

    def changed_after(self, name: str, time_s: float) -> bool:
        assert 1.0 < time_s < 1.1
        self.n_left -= 1
        return self.n_left >= 0


@pytest.mark.parametrize(
    ("answered_s", "n_assigned", "silent_s"),
    [
        ((), 0, 1.0),
        ((1.5,), 0, 0.0),
        ((1.5,), 1, 0.0),
        ((1.5,), 2, 1.0),
        ((1.01, 1.99), 0, 1.0),
        ((0.9, 2.1), 0, 1.0),
    ],
)
def test_a_board_that_answers_is_silent_if_several_variables_go_on(
    answered_s: tuple[float, ...], n_assigned: int, silent_s: float
) -> None:
    (one, other), router, replies = variables("a", "b"), BlockRouter(), TickProgress()
    for each_s in answered_s:
        replies.add(each_s, int(each_s * 44_100), 44_100.0, ready=True)
    for listed in (one, other):
        block = Block(listed, 0, np.ones(4), None, monitor=False)
        assert router.note_block(block, 1.0, replies, Changes(n_assigned)) == 0.0
    assert router.note_block(block, 2.0, replies, Changes(n_assigned)) == silent_s


class Counted(Watchdog):
    """Says that all variables were assigned, and counts how often it is asked."""

    def __init__(self) -> None:
        self.n_asked = 0

    def changed_after(self, name: str, time_s: float) -> bool:
        self.n_asked += 1
        return True


def test_of_many_blocks_after_a_silence_one_asks_for_two_variables() -> None:
    listed, router, replies = variables(*"abcdefghij"), BlockRouter(), TickProgress()
    watchdog = Counted()
    replies.add(1.5, 66_150, 44_100.0, ready=True)
    for arrived_s, silent_s in ((1.0, 0.0), (2.0, 1.0)):
        for variable in listed:
            block = Block(variable, 0, np.ones(4), None, monitor=False)
            assert router.note_block(block, arrived_s, replies, watchdog) == silent_s
    assert watchdog.n_asked == 2
