"""Small messages wait for the acknowledgement of earlier ones, as at a real board's sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.control_commands import list_command
from bela_module.simulator.network.delays import LinkDelay, Network
from bela_module.simulator.network.nagle import TCP_TIMINGS, NagleQueue, TcpTiming
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.raw_client import RawClient, raw_client

NEVER_S = 1000.0


class Way:
    """Messages that have left the board, and whether the client's system acknowledged them."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.acknowledged = False
        self.queue = NagleQueue(self.sent.append, lambda: self.acknowledged, lambda: 0.0)

    def arrive(self) -> None:
        for _ in self.sent:
            self.queue.on_delivered()

    async def wait_for(self, count: int) -> None:
        while len(self.sent) < count:
            await asyncio.sleep(0.001)

    def ask(self) -> None:
        self.queue.on_request_sent()
        self.queue.on_request_arrived()


def run(test: Callable[[Way], Awaitable[None]], ack_delay_s: float | None = NEVER_S) -> None:
    async def main() -> None:
        way = Way()
        way.queue.configure(True, ack_delay_s)
        await test(way)
        way.queue.close()

    asyncio.run(main())


def test_a_second_message_waits_for_the_next_request() -> None:
    async def test(way: Way) -> None:
        for message in ("a", "b", "c"):
            way.queue.send(message)
        way.arrive()
        assert way.sent == ["a"]
        assert way.queue.waiting_bytes == 2
        way.ask()
        assert way.sent == ["a", "b", "c"]
        way.queue.send("d")  # the others are not acknowledged now
        assert way.sent == ["a", "b", "c"]

    run(test)


def test_a_request_acknowledges_only_what_had_arrived_before_it_was_sent() -> None:
    async def test(way: Way) -> None:
        way.queue.send("a")
        way.queue.send("b")
        way.queue.on_request_sent()
        way.arrive()
        way.queue.on_request_sent()
        way.queue.on_request_arrived()
        assert way.sent == ["a"]
        way.queue.on_request_arrived()
        assert way.sent == ["a", "b"]

    run(test)


def test_a_silent_client_acknowledges_late() -> None:
    async def test(way: Way) -> None:
        way.queue.send("a")
        way.queue.send("b")
        began_s = time.monotonic()
        way.arrive()
        await way.wait_for(2)
        assert time.monotonic() - began_s >= 0.03 - 1e-6

    run(test, ack_delay_s=0.03)


@pytest.mark.parametrize(("acknowledged", "least_s"), [(True, 0.0), (False, 0.03)])
def test_by_default_the_client_s_system_decides(acknowledged: bool, least_s: float) -> None:
    async def test(way: Way) -> None:
        way.acknowledged = acknowledged
        way.queue.send("a")
        way.queue.send("b")
        began_s = time.monotonic()
        way.arrive()
        await way.wait_for(2)
        assert time.monotonic() - began_s >= least_s

    run(test, ack_delay_s=None)


def test_turned_off_it_holds_nothing_back() -> None:
    async def test(way: Way) -> None:
        way.queue.send("a")
        way.queue.send("b")
        way.queue.configure(False, None)
        way.queue.send("c")
        assert way.sent == ["a", "b", "c"]
        way.queue.configure(True, NEVER_S)
        way.queue.send("d")
        way.queue.send("e")
        assert way.sent == ["a", "b", "c", "d"]

    run(test)


def next_list(client: RawClient) -> VariableList:
    while True:
        reply = parse_control_message(client.hear())
        if isinstance(reply, VariableList):
            return reply


@pytest.mark.parametrize("network", [Network(), Network.symmetric(LinkDelay(0.01))])
def test_an_unasked_reply_waits_and_comes_with_an_old_tick_after_the_next_request(
    network: Network,
) -> None:
    tcp = TcpTiming(ack_delay_s=NEVER_S)
    with (
        SimulatedBoard("ramps", network=network, tcp=tcp) as board,
        raw_client(board.url) as other,
        raw_client(board.url) as ours,
    ):
        other.tell(list_command())
        next_list(other)
        with pytest.raises(TimeoutError):
            ours.control.recv(timeout=0.1)
        asked_tick = board.tick_now()
        ours.tell(list_command())
        assert next_list(ours).tick < asked_tick - 0.05 * 44100
        with pytest.raises(TimeoutError):  # the reply that we asked for waits in its turn
            ours.control.recv(timeout=0.1)
        later_tick = board.tick_now()
        ours.tell(list_command())
        assert asked_tick <= next_list(ours).tick < later_tick - 0.05 * 44100


def test_without_nagle_s_algorithm_nothing_waits() -> None:
    with (
        SimulatedBoard("ramps", tcp=TCP_TIMINGS["no-delay"]) as board,
        raw_client(board.url) as other,
        raw_client(board.url) as ours,
    ):
        for _ in range(3):
            asked_tick = board.tick_now()
            other.tell(list_command())
            assert next_list(ours).tick >= asked_tick
