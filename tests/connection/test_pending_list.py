"""Of the replies that come to all clients, the last one before the pong answers the request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bela_module.connection import pending_list
from bela_module.connection.board_client import BoardClient
from bela_module.connection.client_records import ListReply
from bela_module.connection.pending_list import OtherClients, PendingList, PongOrder
from bela_module.protocol.control_channel import VariableList
from bela_module.streams.lsl_clock import local_clock
from tests.support.board_clients import PATIENCE_S

EVENT = '{"event":"connection","projectName":"imposter"}'
LISTING = '{"watcher":{"sampleRate":1,"timestamp":2,"watchers":[]}}'


def listed(tick: int) -> VariableList:
    return VariableList(44100.0, tick, 1, ())


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


@pytest.mark.parametrize("ticks", [(500,), (500, 1000), (500, 500, 1000, 1500)])
def test_the_last_reply_before_the_pong_is_ours_or_later(ticks: Sequence[int]) -> None:
    async def scenario() -> None:
        pending = PendingList(0.0)
        ping = pending.begin(proven=True)
        assert ping is not None
        firsts = [pending.take(listed(tick), float(n)) for n, tick in enumerate(ticks, 1)]
        assert firsts == [True] + [False] * (len(ticks) - 1)
        assert not pending.answer.done()
        pending.take_pong(ping)
        assert not pending.take(listed(9000), 99.0)
        expected = ListReply(listed(ticks[-1]), 0.0, float(len(ticks)), is_proven=True)
        assert pending.answer.result() == expected

    run(scenario)


def test_without_a_ping_the_first_reply_is_taken() -> None:
    async def scenario() -> None:
        pending = PendingList(0.0)
        assert pending.begin(proven=False) is None
        assert pending.take(listed(500), 1.0)
        assert pending.answer.result() == ListReply(listed(500), 0.0, 1.0, is_proven=False)

    run(scenario)


def test_no_two_pings_are_alike_and_only_the_latest_counts() -> None:
    async def scenario() -> None:
        pending = PendingList(0.0)
        before, ping = pending.begin(proven=True), pending.begin(proven=True)
        assert before is not None
        assert ping is not None
        assert before != ping
        pending.take(listed(500), 1.0)
        pending.take_pong(before)
        assert not pending.answer.done()
        pending.take_pong(ping)
        assert pending.answer.result().is_proven
        pending.take_pong(ping)  # once more

    run(scenario)


def test_a_pong_before_any_reply_proves_nothing() -> None:
    async def scenario() -> None:
        pending = PendingList(0.0)
        ping = pending.begin(proven=True)
        assert ping is not None
        pending.take_pong(ping)
        assert not pending.answer.done()
        pending.take(listed(500), 1.0)
        assert not pending.answer.result().is_proven

    run(scenario)


def test_a_reply_that_cannot_be_read_may_have_been_ours() -> None:
    async def scenario() -> None:
        pending = PendingList(0.0)
        ping = pending.begin(proven=True)
        assert ping is not None
        pending.take(listed(500), 1.0)  # to another client
        pending.take_unreadable("no JSON")
        pending.take_unreadable("no JSON, again")
        pending.take_pong(ping)
        assert not pending.answer.done()
        assert pending.unreadable.result() == "no JSON"
        again = pending.begin(proven=True)
        assert again is not None
        assert not pending.unreadable.done()
        pending.take(listed(1000), 2.0)
        pending.take_pong(again)
        assert pending.answer.result().variable_list.tick == 1000

    run(scenario)


def test_where_no_pong_comes_the_newest_reply_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_list, "LATE_PONG_S", 0.05)

    async def scenario() -> None:
        pending = PendingList(0.0)
        pending.begin(proven=True)
        pending.take(listed(500), 1.0)
        pending.take(listed(1000), 2.0)
        assert await pending.answer == ListReply(listed(1000), 0.0, 2.0, is_proven=False)

    run(scenario)


def test_what_had_arrived_before_the_request_is_no_answer() -> None:
    async def scenario() -> None:
        pending = PendingList(sent_s=2.0)
        assert not pending.take(listed(500), 1.999)
        assert not pending.answer.done()
        assert pending.take(listed(1000), 2.0)

    run(scenario)


def test_others_ask_as_long_as_replies_to_them_come() -> None:
    others = OtherClients()
    assert not others.ask_lately(100.0)
    others.note_connection(100.0)
    assert others.ask_lately(101.0)
    assert not others.ask_lately(120.0)
    others.note_reply(listed(500), 120.0)
    assert others.ask_lately(121.0)


def test_what_replies_to_others_prove_is_taken_once() -> None:
    others = OtherClients()
    others.note_reply(listed(500), 1.0)
    others.note_reply(VariableList(44100.0, 10**16, 100, ()), 2.0)
    assert others.take_arrivals() == [(500, 1.0), (10**16 - 50, 2.0)]
    assert others.take_arrivals() == []


def test_a_reply_whose_pong_is_late_is_taken_when_time_is_over() -> None:
    async def scenario() -> None:
        pending = PendingList(0.0)
        pending.begin(proven=True)
        pending.settle()
        assert not pending.answer.done()  # there is none
        pending.take(listed(500), 1.0)
        pending.settle()
        assert pending.answer.result() == ListReply(listed(500), 0.0, 1.0, is_proven=False)

    run(scenario)


def test_a_second_request_begins_without_what_came_before() -> None:
    async def scenario() -> None:
        pending = PendingList(0.0)
        pending.begin(proven=True)
        pending.take(listed(500), 1.0)
        pending.begin(proven=True)
        assert pending.take(listed(600), 2.0)  # the first one, and no reply to others

    run(scenario)


def test_early_pongs_are_not_forgotten_while_others_ask() -> None:
    order = PongOrder()
    for came_after_reply in (False, None, False, True, False):
        assert order.is_kept
        order.note(came_after_reply, others_ask=True)
    assert not order.is_kept


def test_early_pongs_are_forgotten_when_one_comes_in_its_turn() -> None:
    order = PongOrder()
    for came_after_reply in (False, False, True, False, False):
        order.note(came_after_reply, others_ask=False)
    assert order.is_kept


def test_where_no_ping_is_answered_none_is_waited_for() -> None:
    order = PongOrder()
    assert [order.expect_pong() for _ in range(6)] == [True] * 4 + [False] * 2
    assert not order.is_kept
    order.note(None, others_ask=True)  # one comes after all
    assert order.is_kept


def test_pongs_that_come_late_are_waited_for() -> None:
    order = PongOrder()
    for _ in range(20):
        assert order.expect_pong()
        assert order.expect_pong()
        order.note(None, others_ask=False)


class NoPongs(ServerConnection):
    """A connection that answers no ping."""

    def send_data(self) -> None:
        """Send all but pongs, whose frames begin with 0x8A (RFC 6455, 5.2)."""
        self.protocol.writes = [w for w in self.protocol.writes if not w.startswith(b"\x8a")]
        super().send_data()


def test_pongs_that_never_come_are_waited_for_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(connection: ServerConnection) -> None:
        await connection.send(EVENT)
        async for message in connection:
            if "list" in str(message):
                await connection.send(LISTING)

    async def scenario() -> None:
        async with serve(answer, "127.0.0.1", 0, create_connection=NoPongs) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            client = await BoardClient.connect(
                "127.0.0.1", port, now=local_clock, reply_timeout_s=PATIENCE_S,
                on_data=lambda _message, _arrived_s: None,
            )  # fmt: skip
            monkeypatch.setattr(pending_list, "LATE_PONG_S", 0.02)
            for _ in range(4):
                assert not (await client.list(proven=True)).is_proven
            assert not client.pong_order.is_kept
            monkeypatch.setattr(pending_list, "LATE_PONG_S", 10 * PATIENCE_S)
            began_s = local_clock()
            assert not (await client.list(proven=True)).is_proven
            assert local_clock() < began_s + PATIENCE_S
            await client.close()

    run(scenario)
