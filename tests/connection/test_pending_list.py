"""Of the replies that come to all clients, those with one tick answer a repeated request."""

from __future__ import annotations

import asyncio
import math

import pytest

from bela_module.connection.pending_list import PendingList, UnaskedReplies
from bela_module.protocol.control_channel import VariableList


def listed(tick: int) -> VariableList:
    return VariableList(44100.0, tick, 1, ())


@pytest.mark.parametrize(
    ("repeats", "ticks", "taken"),
    [
        (1, (500,), 1),
        (2, (500, 500), 2),
        (2, (500, 516), 2),  # a burst later
        (2, (500, 1000, 1000), 3),  # the first was to another client
        (2, (500, 1000, 1500, 1500), 4),
        (3, (500, 500, 1000, 1000, 1000), 5),  # two to the request before
        (2, (500, 1000), None),
    ],
)
def test_as_many_as_asked_for_must_be_alike(
    repeats: int, ticks: tuple[int, ...], taken: int | None
) -> None:
    async def scenario() -> int | None:
        pending = PendingList(repeats, 0.0)
        for number, tick in enumerate(ticks, 1):
            assert pending.take(listed(tick), float(number))
            if pending.answer.done():
                first = number - repeats + 1 if tick == ticks[number - repeats] else number
                assert pending.answer.result() == (listed(tick), float(first))
                assert pending.is_proven == (repeats > 1)
                assert not pending.take(listed(tick), 0.0)
                return number
        return None

    assert asyncio.run(scenario()) == taken


def test_where_none_are_alike_the_newest_is_taken() -> None:
    async def scenario() -> tuple[VariableList, float]:
        pending = PendingList(2, 0.0)
        pending.take(listed(500), 1.0)
        await asyncio.sleep(0.05)
        pending.take(listed(1000), 2.0)
        return await pending.answer

    assert asyncio.run(scenario()) == (listed(1000), 2.0)


def test_what_had_arrived_before_the_request_is_no_answer() -> None:
    async def scenario() -> tuple[VariableList, float]:
        pending = PendingList(1, sent_s=2.0)
        assert not pending.take(listed(500), 1.999)
        assert not pending.answer.done()
        assert pending.take(listed(1000), 2.0)
        return await pending.answer

    assert asyncio.run(scenario()) == (listed(1000), 2.0)


def test_the_first_reply_since_the_request_may_be_the_true_answer() -> None:
    unasked = UnaskedReplies()
    unasked.begin(10.0)
    unasked.take(9.9)  # it had come before the request was made
    assert unasked.answered_s == math.inf
    unasked.take(11.0)
    unasked.take(12.0)
    assert unasked.answered_s == 11.0
    unasked.begin(20.0)
    assert unasked.answered_s == math.inf


def test_others_ask_as_long_as_replies_to_them_come() -> None:
    unasked = UnaskedReplies()
    assert not unasked.come_lately(100.0)
    unasked.take(100.0)
    unasked.begin(101.0)
    assert unasked.come_lately(101.0)
    assert not unasked.come_lately(120.0)
