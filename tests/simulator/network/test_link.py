"""Messages on the way are late, in their order, and all arrive."""

from __future__ import annotations

import asyncio

import numpy as np

from bela_module.simulator.network.delays import HoldTimes, LinkDelay
from bela_module.simulator.network.link import Link


def test_without_delay_a_message_arrives_at_once() -> None:
    async def run() -> None:
        arrived: list[str | bytes] = []
        link = Link(arrived.append, LinkDelay(), np.random.default_rng(0))
        link.send(b"now")
        assert arrived == [b"now"]

    asyncio.run(run())


def test_late_messages_keep_their_order() -> None:
    async def run() -> None:
        arrived: list[str | bytes] = []
        spiky = LinkDelay(0.001, jitter_s=0.002, spike_share=0.2, spike_s=0.01)
        link = Link(arrived.append, spiky, np.random.default_rng(0))
        sent = [str(k) for k in range(100)]
        for message in sent:
            link.send(message)
        link.delay = LinkDelay()
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
        link = Link(
            lambda m: arrived.append((m, loop.time())), LinkDelay(), np.random.default_rng(0)
        )
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
        link = Link(arrived.append, LinkDelay(0.001), np.random.default_rng(0))
        link.send("late")
        link.close()
        await asyncio.sleep(0.02)
        assert arrived == []
        link.send("later")
        while not arrived:
            await asyncio.sleep(0.001)

    asyncio.run(run())


def test_a_hold_of_the_network_is_one_of_its_links() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        arrived: list[tuple[str | bytes, float]] = []
        held = LinkDelay(hold_s=0.05, hold_every_s=0.001)
        random = np.random.default_rng(0)
        holds = HoldTimes(held, random, loop.time())
        links = [
            Link(lambda m: arrived.append((m, loop.time())), held, random, holds) for _ in "ab"
        ]
        due_s = {}
        for k in range(10):
            due_s[str(k)] = holds.release_s(loop.time())
            links[k % 2].send(str(k))
            await asyncio.sleep(0.005)
        while len(arrived) < 10:
            await asyncio.sleep(0.001)
        assert sorted(message for message, _ in arrived) == sorted(due_s)
        assert all(at_s >= due_s[str(message)] - 1e-6 for message, at_s in arrived)
        assert max(due_s.values()) - min(due_s.values()) > 0.01

    asyncio.run(run())
