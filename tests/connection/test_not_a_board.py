"""Connecting to servers that are no board, or no right one: told apart, and let go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from bela_module.errors import (
    BoardError,
    ConnectError,
    DisconnectedError,
    NoReplyError,
    UnreadableReplyError,
)
from bela_module.protocol.control_commands import CONNECTION_REPLY
from tests.support.board_clients import PATIENCE_S, connect, eventually, run

SHORT_S = 0.5
EVENT = '{"event":"connection","projectName":"imposter"}'
LISTING = '{"watcher":{"sampleRate":1,"timestamp":2,"watchers":[]}}'

# ---- servers that are no board -----------------------------------------------------------------

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def not_found(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await reader.readuntil(b"\r\n\r\n")


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (say_nothing, r"no answer in 0\.5 s"),
        (not_found, "HTTP 404"),
        (no_http, "HTTP"),
        (hang_up, "HTTP|reset"),
    ],
    ids=["silent", "404", "ssh", "hangs up"],
)
def test_a_server_that_is_no_board_is_told_apart(answer: Answer, match: str) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await answer(reader, writer)
        finally:
            writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectError, match=match) as caught:
                await connect(port, timeout_s=SHORT_S if answer is say_nothing else PATIENCE_S)
            assert caught.value.url == f"ws://127.0.0.1:{port}/gui_control"
            assert "is the board on" in str(caught.value)

    run(scenario())


def test_nothing_listens() -> None:
    async def scenario() -> None:
        with pytest.raises(ConnectError, match=f"127.0.0.1:{port}/gui_control"):
            await connect(port)

    with socket.socket() as taken:
        # Bound and not listening: nobody else can get this port, and connecting is refused.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        run(scenario())


Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def imposter(talk: Talk, *, has_data: bool = True) -> AsyncIterator[int]:
    """Serve websockets that talk otherwise than a board; gives the port."""

    def only_known(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/gui_control" or has_data:
            return None
        return connection.respond(404, "no such page\n")

    async with serve(
        talk, "127.0.0.1", 0, process_request=only_known, compression=None, close_timeout=0.1
    ) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def stay(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def leave(connection: ServerConnection) -> None:
    await connection.close()


def test_a_websocket_server_that_is_no_watcher() -> None:
    async def scenario() -> None:
        async with imposter(stay) as port:
            with pytest.raises(NoReplyError, match=r"'connection' from .*/gui_control in 0\.5 s"):
                await connect(port, timeout_s=SHORT_S)

    run(scenario())


def test_a_server_that_leaves_during_the_handshake() -> None:
    async def scenario() -> None:
        async with imposter(leave) as port:
            with pytest.raises(BoardError, match=f"127.0.0.1:{port}"):
                await connect(port)

    run(scenario())


def test_a_server_without_a_data_channel_is_told_and_let_go() -> None:
    ended: list[ServerConnection] = []

    async def note_the_end(connection: ServerConnection) -> None:
        await connection.send('{"event":"connection","projectName":"imposter"}')
        await connection.wait_closed()
        ended.append(connection)

    async def scenario() -> None:
        async with imposter(note_the_end, has_data=False) as port:
            with pytest.raises(DisconnectedError, match="gui_data.*404"):
                await connect(port)
            await eventually(lambda: len(ended) == 1, "the control channel was closed")

    run(scenario())


def test_connecting_can_be_given_up() -> None:
    begun: list[ServerConnection] = []
    ended: list[ServerConnection] = []

    async def note_the_end(connection: ServerConnection) -> None:
        begun.append(connection)
        await connection.wait_closed()
        ended.append(connection)

    async def scenario() -> None:
        async with imposter(note_the_end) as port:
            connecting = asyncio.create_task(connect(port))
            await eventually(lambda: len(begun) == 1, "the control channel was opened")
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await eventually(lambda: len(ended) == 1, "the control channel was closed")

    run(scenario())


def test_broken_control_messages_are_counted_and_passed_over() -> None:
    async def talk(connection: ServerConnection) -> None:
        if connection.request is None or connection.request.path != "/gui_control":
            await connection.wait_closed()
            return
        await connection.send(EVENT)
        async for message in connection:
            if message == CONNECTION_REPLY:
                continue
            for text in ("no json", '{"watcher":{"watchers":5}}', b"\xff", "{}", LISTING):
                await connection.send(text)

    async def scenario() -> None:
        async with imposter(talk) as port:
            client = await connect(port)
            reply = await client.list()
            assert reply.variable_list.tick == 2
            assert client.counters.bad_frames == 3
            assert client.project == "imposter"
            await client.close()

    run(scenario())


def answering(reply: str) -> Talk:
    """Make a board that gives one reply to all requests."""

    async def talk(connection: ServerConnection) -> None:
        if connection.request is not None and connection.request.path == "/gui_control":
            await connection.send(EVENT)
            async for message in connection:
                if message != CONNECTION_REPLY:
                    await connection.send(reply)
        await connection.wait_closed()

    return talk


def test_replies_that_cannot_be_read_are_told_apart_from_none() -> None:
    listing = '{"watcher":{"sampleRate":1,"timestamp":2,"watchers":[{"type":"q"}]}}'

    async def scenario() -> None:
        async with imposter(answering(listing)) as port:
            client = await connect(port)
            with pytest.raises(UnreadableReplyError, match=r"cannot be read: .* unknown type 'q'"):
                await client.list()
            await client.close()

    run(scenario())


def test_a_message_that_would_take_long_to_parse_ends_the_connection() -> None:
    async def scenario() -> None:
        async with imposter(answering(f'{{"x": [{"1," * 2**19}1]}}')) as port:
            client = await connect(port)
            with pytest.raises(DisconnectedError, match="message too big"):
                await client.list()
            await client.close()

    run(scenario())
