"""A probe is a list, asked twice when the first suggests a restart."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import cast

from bela_module.connection.board_client import BoardClient
from bela_module.connection.client_records import ListReply
from bela_module.connection.pending_list import OtherClients, PongOrder
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
        self.others = OtherClients()
        self.pong_order = PongOrder()
        self.proven: list[bool] = []
        self.project = "test"
        self.asked = 0

    async def list(self, *, proven: bool = False) -> ListReply:
        self.asked += 1
        self.proven.append(proven)
        return next(self._replies)


def probed(client: Answers, times: int) -> Prober:
    sink = Recorder()
    notices = Notices(sink, lambda: 0.0, lambda *_: None)
    board = BoardState("board")
    prober = Prober(board, sink, notices, lambda: 0.0, lambda: False)
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


def truly(at_s: float, took_s: float = 0.001, waited_s: float = 0.0) -> ListReply:
    """Reply of a board whose tick 0 was at 0 s, which waited on the board."""
    replied = reply(int((at_s + took_s / 2 - waited_s) * RATE_HZ), at_s)
    return dataclasses.replace(replied, received_s=at_s + took_s)


def test_replies_are_proven_while_others_ask() -> None:
    times_s = [1.0 + 0.215 * number for number in range(8)]
    client = Answers(*(truly(at_s, 0.2) for at_s in times_s))
    prober = probed(client, 2)
    clock = prober.board.clock
    assert clock is not None
    assert client.proven == [False, False]  # round trips are long
    client.others.note_connection(0.0)
    asyncio.run(prober.probe(cast(BoardClient, client)))
    assert client.proven[2]
    assert clock.n_probes == 0  # none of them was proven


def test_where_none_can_be_proven_the_clock_becomes_known_beside_others() -> None:
    """A server whose pongs overtake its replies proves nothing, however long others ask."""
    client = Answers(*(truly(1.0 + 0.215 * number, 0.02) for number in range(40)))
    client.others.note_connection(0.0)
    for _ in range(3):
        client.pong_order.note(False, others_ask=True)
    prober = probed(client, 40)
    assert prober.board.clock is not None
    assert prober.board.clock.n_probes > 20


def test_in_doubt_replies_are_proven() -> None:
    times_s = [1.0 + 0.5 * number + 0.0013 * (number**2 % 11) for number in range(20)]
    waited_s = [0.45 if number == 10 else 0.0 for number in range(20)]
    replies = (truly(at, 0.4, waited) for at, waited in zip(times_s, waited_s, strict=True))
    client = Answers(*replies)
    prober = probed(client, 20)
    assert client.proven == [False] * 11 + [True] * 9
    assert prober.board.clock is not None
    assert prober.board.clock.discontinuities == 0
