"""A probe is a list, asked twice when the first suggests a restart."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import cast

import pytest

from bela_module.connection.board_client import BoardClient
from bela_module.connection.client_records import ListReply
from bela_module.connection.pending_list import UnaskedReplies
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
        self.unasked = UnaskedReplies()
        self.repeats: list[int] = []
        self.project = "test"
        self.asked = 0

    async def list(self, repeats: int = 1) -> ListReply:
        self.asked += 1
        self.repeats.append(repeats)
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


@pytest.mark.parametrize(("later_s", "withdrawn"), [(0.0015, True), (0.1, False)])
def test_a_reply_is_withdrawn_when_another_came_soon_after_it(
    later_s: float, withdrawn: bool
) -> None:
    times_s = [1.0 + 0.0171 * number for number in range(12)]
    client = Answers(*map(truly, times_s))
    prober = probed(client, 11)
    clock = prober.board.clock
    assert clock is not None
    client.unasked.answered_s = times_s[10] + later_s
    asyncio.run(prober.probe(cast(BoardClient, client)))
    assert clock.n_probes == (11 if withdrawn else 12)
    assert set(client.repeats) == {1}


def test_beside_other_clients_a_reply_waits_for_the_next_one() -> None:
    times_s = [1.0 + 0.0171 * number for number in range(12)]
    shared = [dataclasses.replace(truly(at_s), is_shared=True) for at_s in times_s]
    prober = probed(Answers(*shared), 12)
    assert prober.board.clock is not None
    assert prober.board.clock.n_probes == 11


def test_in_doubt_it_asks_several_times() -> None:
    times_s = [1.0 + 0.0171 * number for number in range(30)]
    waited_s = [0.015 if number == 20 else 0.0 for number in range(30)]
    client = Answers(*(truly(at, waited_s=w) for at, w in zip(times_s, waited_s, strict=True)))
    prober = probed(client, 30)
    assert set(client.repeats[:21]) == {1}
    assert set(client.repeats[21:]) == {3, 4}  # not always the same
    assert prober.board.clock is not None
    assert prober.board.clock.discontinuities == 0
