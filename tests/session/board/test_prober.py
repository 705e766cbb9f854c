"""A probe is a list, asked twice when the first suggests a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

from bela_module.connection.board_client import BoardClient, ListReply
from bela_module.protocol.control_channel import VariableList
from bela_module.session.board.board_state import BoardState
from bela_module.session.board.prober import Prober
from bela_module.session.notices import Notices
from tests.support.session_helpers import RATE_HZ, Recorder


def reply(tick: int, at_s: float) -> ListReply:
    listed = VariableList(sample_rate_hz=RATE_HZ, tick=tick, tick_granularity=1, variables=())
    return ListReply(listed, at_s, at_s + 0.001)


class Answers:
    """A client that gives replies which were prepared."""

    def __init__(self, *replies: ListReply) -> None:
        self._replies: Iterator[ListReply] = iter(replies)
        self.counters = SimpleNamespace(foreign_replies=0)
        self.project = "test"
        self.asked = 0

    async def list(self) -> ListReply:
        self.asked += 1
        return next(self._replies)


def probed(client: Answers, times: int) -> Prober:
    sink = Recorder()
    notices = Notices(sink, lambda: 0.0, lambda *_: None)
    board = BoardState("board")
    prober = Prober(board, sink, notices, lambda: 0.0, lambda: False, lambda: None)
    for _ in range(times):
        asyncio.run(prober.probe(cast(BoardClient, client)))
    return prober


def test_one_list_tells_the_tick() -> None:
    client = Answers(reply(1000, 0.0))
    prober = probed(client, 1)
    assert (prober.board.tick, client.asked) == (1000, 1)
    assert not prober.take_restart()


def test_a_restart_is_believed_when_it_is_said_twice() -> None:
    client = Answers(reply(100_000, 0.0), reply(10, 1.0), reply(20, 1.01))
    prober = probed(client, 2)
    assert client.asked == 3
    assert prober.take_restart()
    assert not prober.take_restart()  # once


def test_a_single_reply_that_does_not_fit_is_a_bad_one() -> None:
    client = Answers(reply(100_000, 0.0), reply(10, 1.0), reply(144_200, 1.0))
    prober = probed(client, 2)
    assert not prober.take_restart()
    assert prober.board.counters.bad_replies == 1
    assert prober.board.tick == 144_200
