"""Messages on the way are late, in their order, and all arrive."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.simulator.network import Delay, Link


def test_without_delay_a_message_arrives_at_once() -> None:
    async def run() -> None:
        arrived: list[str | bytes] = []
        link = Link(arrived.append, Delay(), np.random.default_rng(0))
        link.send(b"now")
        assert arrived == [b"now"]

    asyncio.run(run())


def test_late_messages_keep_their_order() -> None:
    async def run() -> None:
        arrived: list[str | bytes] = []
        spiky = Delay(0.001, jitter_s=0.002, spike_share=0.2, spike_s=0.01)
        link = Link(arrived.append, spiky, np.random.default_rng(0))
        sent = [str(k) for k in range(100)]
        for message in sent:
            link.send(message)
        link.delay = Delay()
        link.send("last")
        assert arrived == []
        assert link.waiting_bytes == sum(map(len, sent)) + 4
        while len(arrived) < 101:
            await asyncio.sleep(0.001)
        assert arrived == [*sent, "last"]
        assert link.waiting_bytes == 0

    asyncio.run(run())


def test_a_stall_holds_everything_and_loses_nothing() -> None:
    async def run() -> None:
        arrived: list[tuple[str | bytes, float]] = []
        loop = asyncio.get_running_loop()
        link = Link(lambda m: arrived.append((m, loop.time())), Delay(), np.random.default_rng(0))
        began_s = loop.time()
        link.stall(0.03)
        link.send("a")
        link.send("b")
        while len(arrived) < 2:
            await asyncio.sleep(0.001)
        assert [message for message, _ in arrived] == ["a", "b"]
        assert arrived[0][1] - began_s >= 0.03 - 1e-6

    asyncio.run(run())


def test_what_is_under_way_is_forgotten_when_the_link_closes() -> None:
    async def run() -> None:
        arrived: list[str | bytes] = []
        link = Link(arrived.append, Delay(0.001), np.random.default_rng(0))
        link.send("late")
        link.close()
        await asyncio.sleep(0.02)
        assert arrived == []
        link.send("later")
        while not arrived:
            await asyncio.sleep(0.001)

    asyncio.run(run())


@pytest.mark.parametrize(
    "wrong",
    [{"delay_s": -1.0}, {"jitter_s": math.nan}, {"spike_share": 7.0}, {"spike_s": math.inf}],
)
def test_a_delay_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="of a network's delay: it must be 0 to"):
        Delay(**wrong)


def test_delays_have_the_distribution_that_was_asked_for() -> None:
    random = np.random.default_rng(0)
    delay = Delay(0.01, jitter_s=0.001, spike_share=0.05, spike_s=0.1)
    drawn_s = np.array([delay.draw_s(random) for _ in range(20_000)])
    spikes = drawn_s >= 0.1
    assert drawn_s.min() >= 0.01
    assert spikes.mean() == pytest.approx(0.05, abs=0.01)
    assert (drawn_s[~spikes] - 0.01).mean() == pytest.approx(0.001, rel=0.05)
    assert Delay().none
    assert not delay.none
