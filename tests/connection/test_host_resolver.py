"""Names are looked up beside the event loop, and a slow resolver holds up nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from bela_module.connection.host_resolver import resolve


def test_an_address_is_itself() -> None:
    assert asyncio.run(resolve("127.0.0.1", 5.0)) == ("127.0.0.1",)


def test_all_addresses_are_given_once_and_ipv4_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.8", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(answers))
    assert asyncio.run(resolve("board", 5.0)) == ("127.0.0.9", "127.0.0.8", "::1")


def test_an_address_of_one_interface_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 0, 0, 3)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 0, 0, 4)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::2%5", 0, 0, 5)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(answers))
    assert asyncio.run(resolve("board", 5.0)) == ("fe80::1%3", "fe80::1%4", "fe80::2%5")


def test_a_name_that_cannot_be_one_is_an_error() -> None:
    with pytest.raises(OSError, match="label"):
        asyncio.run(resolve("x" * 70 + ".local", 5.0))


def test_an_unknown_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="not known"):
        asyncio.run(resolve("nobody", 5.0))


def test_a_slow_resolver_holds_up_neither_the_loop_nor_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = threading.Event()

    def slow(*_: Any, **__: Any) -> list[Any]:
        released.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        # That this returns at all shows it: the loop's own resolver would be waited for.
        with pytest.raises(TimeoutError):
            asyncio.run(resolve("slow", 0.05))
        assert not released.is_set()
    finally:
        released.set()
