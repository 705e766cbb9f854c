"""Following a module that streams, only while somebody looks."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.signals import ramp
from bela_module.viewing import module_feed
from bela_module.viewing.module_feed import ModuleFeed
from bela_module.viewing.time_limits import IDLE_SEARCH_PERIOD_S
from tests.support.server_helpers import Client, Launched
from tests.support.session_helpers import board_of, variable

TIMEOUT_S = 40.0


@contextmanager
def streaming_module(name: str = "ramp") -> Iterator[Launched]:
    """Run a module that streams a ramp of 2 kHz."""
    with board_of(
        variable("ramp"), variable("gain", ValueType.FLOAT, ramp), rate_hz=2000.0
    ) as board:
        launched = Launched(f"--board=127.0.0.1:{board.port}")
        try:
            client = Client(launched.port)
            client.send(f'VERBOSE;START|{{"variables": ["{name}"]}};')
            assert client.line() == "OK VERBOSE"
            assert client.line() == "OK START"
            client.close()
            yield launched
        finally:
            launched.end()
            launched.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.02)


def has_samples(feed: ModuleFeed) -> bool:
    return (
        "bela_ramp" in feed.signals and feed.signals["bela_ramp"].history.last_stamp_s is not None
    )


def controlled(feed: ModuleFeed) -> dict[str, float]:
    return {one["name"]: one["value"] for one in feed.variables if one["controlled"]}


@pytest.mark.timeout(180)
def test_it_follows_only_while_somebody_looks_and_carries_out_commands() -> None:
    async def look(port: int) -> None:
        feed = ModuleFeed("127.0.0.1", port, lists_variables=True)
        try:
            await asyncio.sleep(0.3)
            assert (feed.status, feed.n_inlets) == (None, 0)
            feed.enter()
            feed.enter()
            await until(lambda: has_samples(feed) and feed.variables)
            assert feed.status is not None
            assert feed.status["state"] == "streaming"
            assert [one["name"] for one in feed.variables] == ["ramp", "gain"]
            assert [one.label for one in feed.signals["bela_ramp"].channels] == ["ramp"]
            await until(lambda: any(e.text.startswith("started") for e in feed.events.events))

            feed.leave()
            assert feed.is_watching
            feed.leave()
            await until(lambda: feed.n_inlets == 0 and feed.status is None)
            assert feed.signals == {}
            feed.enter()
            await until(lambda: has_samples(feed))

            feed.send("SET", {"values": {"gain": 3}})
            await until(lambda: feed.outcome == "OK SET")
            for value in range(1, 40):  # as of a slider that is moved
                feed.set_variable("gain", value)
            feed.set_variable("ramp", 7)
            await until(lambda: controlled(feed) == {"gain": 39, "ramp": 7})
            set_texts = [e.text for e in feed.events.events if e.text.startswith("set gain=")]
            assert len(set_texts) <= 4
            feed.release(["ramp"])
            await until(lambda: controlled(feed) == {"gain": 39})
            feed.set_variable("gain", 5)
            feed.release()
            await until(lambda: controlled(feed) == {} and feed.outcome == "OK RELEASE")
            feed.send("START", {"variables": ["nothing"]})
            await until(lambda: feed.outcome.startswith("START: the board has no variable"))
            feed.send("STOP")
            await until(lambda: feed.status is not None and feed.status["state"] == "idle")
        finally:
            await feed.close()

    with streaming_module() as module:
        asyncio.run(look(module.port))


@pytest.mark.timeout(120)
def test_somebody_who_comes_while_it_comes_to_rest_is_served() -> None:
    async def look(port: int) -> None:
        feed = ModuleFeed("127.0.0.1", port)
        try:
            feed.enter()
            await until(lambda: feed.status is not None)
            await until(lambda: has_samples(feed))
            before = feed.signals["bela_ramp"]
            feed.leave()
            await asyncio.sleep(0)
            feed.enter()
            await until(lambda: has_samples(feed) and feed.signals["bela_ramp"] is not before)
            assert feed.is_watching
        finally:
            await feed.close()

    with streaming_module() as module:
        asyncio.run(look(module.port))


@pytest.mark.timeout(180)
def test_of_two_modules_of_one_board_name_only_the_own_one_is_shown() -> None:
    async def look(own: Launched, other: Launched) -> None:
        feed, other_feed = (ModuleFeed("127.0.0.1", one.port) for one in (own, other))
        try:
            feed.enter()
            other_feed.enter()
            await until(lambda: "bela_ramp" in feed.signals and feed.n_inlets == 2)
            await until(lambda: "bela_gain" in other_feed.signals and other_feed.n_inlets == 2)
            await asyncio.sleep(1.5 * IDLE_SEARCH_PERIOD_S)
            assert (list(feed.signals), feed.n_inlets) == (["bela_ramp"], 2)  # and the events
            assert (list(other_feed.signals), other_feed.n_inlets) == (["bela_gain"], 2)
            assert not set(feed._inlets) & set(other_feed._inlets)
        finally:
            await feed.close()
            await other_feed.close()

    # Of one variable the second would be refused: its outlet would have the same source_id.
    with streaming_module() as own, streaming_module("gain") as other:
        asyncio.run(look(own, other))


def test_a_name_is_received_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def info(name: str) -> Any:
        return types.SimpleNamespace(name=lambda: name)

    found = {"1": info("bela_a"), "2": info("bela_a"), "3": info("bela_b")}
    monkeypatch.setattr(module_feed, "find_signals", lambda *_: found)
    monkeypatch.setattr(module_feed, "SignalInlet", lambda info, _timeout_s: info)
    assert list(module_feed._open_new("bela:", "", set())) == ["1", "3"]
    assert list(module_feed._open_new("bela:", "", {"bela_a"})) == ["3"]


def test_without_a_module_there_is_no_status() -> None:
    async def look() -> None:
        feed = ModuleFeed("127.0.0.1", 1)
        feed.enter()
        await asyncio.sleep(0.3)
        assert feed.status is None
        feed.send("START")
        await until(lambda: "START to the module at 127.0.0.1:1" in feed.outcome)
        await feed.close()

    asyncio.run(look())
