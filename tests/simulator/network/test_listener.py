"""A port that is listened on, or not, and nobody else's in either case."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus

from bela_module.simulator.network.listener import Listener


async def _serve(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def run(body: Callable[[Listener], Awaitable[None]]) -> None:
    """Run something with a listener, which must let its port go afterwards."""

    async def whole() -> None:
        listener = Listener("127.0.0.1", 0, ("/there",), _serve, ServerConnection)
        await listener.listen()
        try:
            async with asyncio.timeout(20.0):
                await body(listener)
        finally:
            await listener.close()
        socket.create_server(("127.0.0.1", listener.port)).close()

    asyncio.run(whole())


async def echoed(listener: Listener, path: str = "/there") -> str | bytes:
    async with connect(f"ws://127.0.0.1:{listener.port}{path}", proxy=None) as client:
        await client.send("hello")
        return await client.recv()


def test_it_serves_the_paths_that_there_are() -> None:
    async def body(listener: Listener) -> None:
        assert await echoed(listener) == "hello"
        with pytest.raises(InvalidStatus, match="404"):
            await echoed(listener, "/elsewhere")

    run(body)


def test_on_windows_no_second_board_can_share_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bela_module.simulator.network.listener._REUSES_ADDRESS", False)
    before = socket.socket.listen
    options: list[int] = []

    def note(self: socket.socket, *arguments: int) -> None:
        options.append(self.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
        before(self, *arguments)

    async def body(_listener: Listener) -> None:
        assert options == [0]

    monkeypatch.setattr(socket.socket, "listen", note)
    run(body)


def test_while_it_refuses_its_port_is_nobody_elses() -> None:
    async def body(listener: Listener) -> None:
        port = listener.port
        await listener.refuse()
        with pytest.raises(ConnectionRefusedError):
            await echoed(listener)
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        await listener.listen()
        assert listener.port == port
        assert await echoed(listener) == "hello"

    run(body)


def test_connections_that_there_are_stay() -> None:
    async def body(listener: Listener) -> None:
        async with connect(f"ws://127.0.0.1:{listener.port}/there", proxy=None) as client:
            await listener.refuse()
            await client.send("still there")
            assert await client.recv() == "still there"
            await listener.listen()

    run(body)


def test_what_is_asked_at_once_is_done_one_after_the_other() -> None:
    async def body(listener: Listener) -> None:
        port = listener.port
        for _ in range(20):
            await asyncio.gather(listener.refuse(), listener.listen(), listener.refuse())
            await asyncio.gather(listener.listen(), listener.refuse(), listener.listen())
        assert listener.port == port
        assert await echoed(listener) == "hello"

    run(body)


def test_a_port_that_somebody_has_cannot_be_had() -> None:
    async def body(listener: Listener) -> None:
        other = Listener("127.0.0.1", listener.port, (), _serve, ServerConnection)
        with pytest.raises(OSError, match="in use"):
            await other.listen()
        await other.close()

    run(body)
