"""One websocket: opened in time or told, and stamped when its bytes arrive."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.utils import accept_key

from bela_module.connection import board_socket
from bela_module.connection.board_socket import (
    ACKNOWLEDGES_QUICKLY,
    SocketOptions,
    close_socket,
    open_socket,
)
from bela_module.errors import ConnectError
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock

MAX_BYTES = 2**16


def test_a_message_has_the_time_of_its_arrival() -> None:
    async def scenario(port: int) -> tuple[float, float, float]:
        before_s = local_clock()
        control = await open_socket(
            f"ws://127.0.0.1:{port}/gui_control", SocketOptions(MAX_BYTES, local_clock, 9)
        )
        try:
            async with asyncio.timeout(9):
                await control.recv()
            return before_s, control.received_s, local_clock()
        finally:
            await close_socket(control)
            await close_socket(control)

    with SimulatedBoard("potentiometers") as board:
        before_s, received_s, after_s = asyncio.run(scenario(board.port))
    assert before_s < received_s < after_s


def test_a_server_that_says_nothing_is_not_waited_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}/gui_data"
        with pytest.raises(ConnectError, match=f"{url}.*no answer in 0.1 s"):
            asyncio.run(open_socket(url, SocketOptions(MAX_BYTES, local_clock, 0.1)))


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("linux", "no answer in 2.0 s"),
        ("win32", "no answer in 2.0 s, or a refusal, which takes as long on Windows"),
    ],
)
def test_on_windows_silence_may_be_a_refusal(
    platform: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        assert board_socket._no_answer(2.0) == words


@pytest.mark.skipif(not ACKNOWLEDGES_QUICKLY, reason="only Linux acknowledges on demand")
def test_what_arrives_is_acknowledged_at_once() -> None:
    async def scenario(port: int) -> int:
        control = await open_socket(
            f"ws://127.0.0.1:{port}/gui_control", SocketOptions(MAX_BYTES, local_clock, 9)
        )
        try:
            async with asyncio.timeout(9):
                await control.recv()
            connected = control.transport.get_extra_info("socket")
            return int(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))
        finally:
            await close_socket(control)

    with SimulatedBoard("potentiometers") as board:
        assert asyncio.run(scenario(board.port)) == 1


def test_binary_messages_are_given_as_they_are_read_and_all_else_is_queued() -> None:
    given: list[tuple[bytes, float]] = []

    async def greet(connection: ServerConnection) -> None:
        await connection.send(b"0/f")
        await connection.send(b"\0" * 12)
        await connection.send([b"in ", b"parts"])
        await connection.send("text")
        await connection.send(b"1/f")
        await connection.wait_closed()

    async def scenario() -> list[bytes | str]:
        async with serve(greet, "127.0.0.1", 0, compression=None) as server:
            port = server.sockets[0].getsockname()[1]
            options = SocketOptions(
                MAX_BYTES, local_clock, 9, lambda message, at_s: given.append((message, at_s))
            )
            data = await open_socket(f"ws://127.0.0.1:{port}/gui_data", options)
            try:
                async with asyncio.timeout(9):
                    queued = [await data.recv(), await data.recv()]
                    while len(given) < 3:
                        await asyncio.sleep(0.01)
                return queued
            finally:
                await close_socket(data)

    before_s = local_clock()
    assert asyncio.run(scenario()) == [b"in parts", "text"]
    assert [message for message, _ in given] == [b"0/f", b"\0" * 12, b"1/f"]
    assert all(type(message) is bytes for message, _ in given)
    times_s = [at_s for _, at_s in given]
    assert before_s < times_s[0] <= times_s[1] <= times_s[2] < local_clock()


@pytest.mark.parametrize("n_bytes_at_once", [1, 7, 10_000])
def test_messages_in_the_segment_of_the_handshake_are_given(n_bytes_at_once: int) -> None:
    frames = b"\x82\x030/f" + b"\x82\x7e\x01\x00" + b"x" * 256
    given = asyncio.run(
        _answer_at_once("HTTP/1.1 101 Switching Protocols", frames, n_bytes_at_once)
    )
    assert given == [b"0/f", b"x" * 256]


@pytest.mark.parametrize("n_bytes_at_once", [1, 10_000])
def test_what_follows_a_refusal_is_no_message(n_bytes_at_once: int) -> None:
    refusal = "HTTP/1.1 404 Not Found\r\nContent-Length: 0"
    with pytest.raises(ConnectError, match="404"):
        asyncio.run(_answer_at_once(refusal, b"\x82\x030/f", n_bytes_at_once))


async def _answer_at_once(status: str, frames: bytes, n_bytes_at_once: int) -> list[bytes]:
    """Open a socket to a server that sends frames with its answer; return the messages."""
    given: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line[19:] for line in request.splitlines() if "sec-websocket-key" in line.lower()
        )
        reply = f"{status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        reply += f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
        sent = reply.encode() + frames
        for at in range(0, len(sent), n_bytes_at_once):
            writer.write(sent[at : at + n_bytes_at_once])
            await asyncio.sleep(0)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        options = SocketOptions(MAX_BYTES, local_clock, 9, lambda message, _: given.append(message))
        try:
            data = await open_socket(f"ws://127.0.0.1:{port}/gui_data", options)
            async with asyncio.timeout(9):
                while len(given) < 2:
                    await asyncio.sleep(0.01)
            await close_socket(data)
        except ConnectError:
            assert not given
            raise
    return given
