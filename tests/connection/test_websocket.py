"""A websocket whose other end goes while something still waits to be written."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.server import ServerProtocol

from bela_module.connection.websocket import SteadyConnection

MORE_BYTES = 30_000_000  # than any socket takes at once


class Steady(SteadyConnection, ClientConnection):
    """What a client uses."""


class LeavingPeer:
    """A server that says after the handshake that it sends no more, and reads only later."""

    def __init__(self) -> None:
        self.reads = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> LeavingPeer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reads.set()
        self._thread.join(10.0)
        self._listening.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            protocol = ServerProtocol()
            requests: list[object] = []
            while not requests:
                protocol.receive_data(connection.recv(4096))
                requests = protocol.events_received()
            protocol.send_response(protocol.accept(requests[0]))  # type: ignore[arg-type]
            connection.sendall(b"".join(protocol.data_to_send()))
            self.reads.wait(10.0)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(2**20):
                pass


@pytest.fixture
def peer() -> Iterator[LeavingPeer]:
    with LeavingPeer() as peer:
        yield peer


async def lose(url: str, leave: Callable[[], None]) -> Steady:
    """Give a connection that was lost while a message waited to be written."""
    async with asyncio.timeout(20.0):
        steady = await connect(url, create_connection=Steady, proxy=None, ping_interval=None)
        assert isinstance(steady, Steady)
        sending = asyncio.create_task(steady.send(b"x" * MORE_BYTES))
        await asyncio.sleep(0.05)
        assert steady.transport.get_write_buffer_size() > 0
        leave()
        await steady.wait_closed()
        await asyncio.wait({sending})
    assert steady.state is State.CLOSED
    return steady


def test_it_can_be_closed_as_often_as_one_likes(peer: LeavingPeer) -> None:
    async def body() -> None:
        lost = await lose(peer.url, peer.reads.set)
        await lost.close()
        await lost.close()

    asyncio.run(body())


def test_who_writes_to_it_learns_that_it_is_closed(peer: LeavingPeer) -> None:
    async def body() -> None:
        lost = await lose(peer.url, peer.reads.set)
        with pytest.raises(ConnectionClosed):
            await lost.send("anything")

    asyncio.run(body())


def test_a_defect_stays_one(peer: LeavingPeer) -> None:
    async def body() -> None:
        steady = await connect(peer.url, create_connection=Steady, proxy=None, ping_interval=None)
        with pytest.raises(TypeError):
            await steady.send(5)  # type: ignore[arg-type]
        peer.reads.set()
        await steady.close()

    asyncio.run(body())
