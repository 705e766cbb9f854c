"""A board whose name has several addresses, of which some lead nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bela_module.connection.board_client import BoardClient
from bela_module.connection.board_socket import SocketOptions, close_socket, open_socket
from bela_module.errors import ConnectError
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.board_clients import run

MAX_BYTES = 2**16
TIMEOUT_S = 10.0
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback is 127.0.0.1 alone")


@pytest.fixture
def lookup(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of addresses that the name ``board`` has."""
    addresses: list[str] = []
    real = socket.getaddrinfo

    def fake(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "board":
            return real(host, port, *args, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return addresses


@contextmanager
def refusing(_address: tuple[str, int]) -> Iterator[None]:
    yield


@contextmanager
def mute(address: tuple[str, int]) -> Iterator[None]:
    """Accept connections and say nothing."""
    with socket.create_server(address):
        yield


@contextmanager
def hanging(address: tuple[str, int]) -> Iterator[None]:
    """Answer nothing, as an address that leads nowhere: no more connections are accepted."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server(address, backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        yield


async def projects(port: int) -> tuple[str, str, str]:
    client = await BoardClient.connect(
        "board", port, now=local_clock, reply_timeout_s=TIMEOUT_S, on_data=lambda *_: None
    )
    try:
        await client.open_data()
        assert client._data is not None
        return client.project, client._control.address, client._data.address
    finally:
        await client.close()


@LINUX
@pytest.mark.parametrize("first", [refusing, mute, hanging])
def test_the_address_that_leads_to_the_board_is_found(first: Any, lookup: list[str]) -> None:
    lookup[:] = ["127.0.0.2", "127.0.0.1"]
    with SimulatedBoard("potentiometers") as board, first(("127.0.0.2", board.port)):
        began_s = local_clock()
        found = asyncio.run(projects(board.port))
        took_s = local_clock() - began_s
    assert found == ("potentiometers", "127.0.0.1", "127.0.0.1")
    assert took_s < TIMEOUT_S / 2  # some 0.25 s: far from the time limit of the first address


@LINUX
def test_an_address_that_answers_is_taken(lookup: list[str]) -> None:
    lookup[:] = ["127.0.0.1", "127.0.0.2"]
    with SimulatedBoard("potentiometers") as board:
        assert asyncio.run(projects(board.port))[1] == "127.0.0.1"


@LINUX
def test_when_none_answers_each_is_named(lookup: list[str]) -> None:
    lookup[:] = ["127.0.0.2", "127.0.0.3"]
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConnectError) as caught:
            asyncio.run(
                open_socket(
                    f"ws://board:{port}/gui_data", SocketOptions(MAX_BYTES, local_clock, 1.0)
                )
            )
    assert "127.0.0.2: no answer in 1.0 s; 127.0.0.3: " in str(caught.value)
    assert "Connect call failed" in str(caught.value)


@LINUX
def test_of_two_that_answer_at_once_one_is_closed(
    lookup: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup[:] = ["127.0.0.2", "127.0.0.3"]
    monkeypatch.setattr("bela_module.connection.board_socket.NEXT_ADDRESS_S", 0.0)
    counts = {"open": 0, "ended": 0}

    async def hold(connection: ServerConnection) -> None:
        counts["open"] += 1
        await connection.wait_closed()
        counts["ended"] += 1

    async def scenario() -> None:
        async with serve(hold, "0.0.0.0", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            found = await open_socket(
                f"ws://board:{port}/x", SocketOptions(MAX_BYTES, local_clock, TIMEOUT_S)
            )
            async with asyncio.timeout(TIMEOUT_S):
                while counts["open"] - counts["ended"] > 1:
                    await asyncio.sleep(0.005)
            await close_socket(found)

    run(scenario())


@pytest.mark.parametrize("host", ["::1", "fe80::1%7"])
def test_an_ipv6_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def with_an_interface(name: Any, port: Any, *args: Any, **options: Any) -> Any:
        if name != "fe80::1%7":
            return real(name, port, *args, **options)
        # What stands for the interface leads to the server; without it nothing does.
        endpoint = ("fe80::1", 0, 0, 7) if port is None else ("::1", port, 0, 0)
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", endpoint)]

    monkeypatch.setattr(socket, "getaddrinfo", with_an_interface)

    async def greet(connection: ServerConnection) -> None:
        await connection.send('{"event":"connection","projectName":"six"}')
        await connection.wait_closed()

    async def scenario() -> None:
        async with serve(greet, "::1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            client = await BoardClient.connect(
                host, port, now=local_clock, reply_timeout_s=TIMEOUT_S, on_data=lambda *_: None
            )
            try:
                assert (client.project, client.address) == ("six", f"ws://[{host}]:{port}")
            finally:
                await client.close()

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this computer has no IPv6")
    run(scenario())
