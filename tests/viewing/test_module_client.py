"""Queries and commands over a real server's sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from bela_module.errors import ModuleError
from bela_module.requests import SetRequest
from bela_module.viewing import module_client
from bela_module.viewing.module_client import ModuleClient
from tests.support.server_helpers import serving

T = TypeVar("T")


def ask(port: int, question: Callable[[ModuleClient], Awaitable[T]]) -> T:
    async def run() -> T:
        client = ModuleClient("127.0.0.1", port)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(run())


def test_it_asks_and_commands() -> None:
    with serving() as module:

        async def questions(client: ModuleClient) -> None:
            assert (await client.query("STATUS"))["state"] == "idle"
            assert "variables" in await client.query("LIST")
            assert await client.command("SET", {"values": {"gain": 0.5}}) == "OK SET"
            assert (await client.query("STATUS"))["state"] == "idle"

        ask(module.server.port, questions)
        ((_, request),) = [one for one in module.session.requests if one[0] == "set"]
        assert isinstance(request, SetRequest)
        assert request.values == {"gain": 0.5}


def test_a_refusal_is_an_error_in_the_modules_words() -> None:
    with serving() as module, pytest.raises(ModuleError, match=r"^SCHEDULE: .*duration_s"):
        ask(module.server.port, lambda c: c.command("SCHEDULE", {"duration_s": -1}))


def test_names_with_the_separators_of_commands_arrive_as_they_are() -> None:
    values = {"a;b": 1.0, "c|d": 2.0}
    with serving() as module:
        ask(module.server.port, lambda c: c.command("SET", {"values": values}))
        ((_, request),) = [one for one in module.session.requests if one[0] == "set"]
        assert isinstance(request, SetRequest)
        assert request.values == values


def test_nobody_there_and_a_listener_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(module_client, "REPLY_S", 0.2)
        with pytest.raises(ModuleError, match="no reply in 0.2 s"):
            ask(port, lambda c: c.query("STATUS"))
    with pytest.raises(ModuleError, match="STATUS to the module at 127.0.0.1"):
        ask(port, lambda c: c.query("STATUS"))


def test_an_answer_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_client: ModuleClient, *_question: object) -> str:
        return '{"a":' * 100_000

    monkeypatch.setattr(ModuleClient, "_ask", answer)
    with pytest.raises(ModuleError, match="answers STATUS with"):
        ask(1, lambda c: c.query("STATUS"))


def test_a_lost_connection_is_made_again() -> None:
    with serving() as module:

        async def questions(client: ModuleClient) -> None:
            await client.query("STATUS")
            assert client._streams is not None
            client._streams[1].transport.abort()
            await asyncio.sleep(0.05)
            with pytest.raises(ModuleError):
                await client.query("STATUS")
            assert (await client.query("STATUS"))["state"] == "idle"

        ask(module.server.port, questions)
