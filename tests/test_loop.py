"""The loop: what other threads post, connections that break, work between the turns."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from api.connections import Connection
from api.loop import ClientLoop
from bela_module.errors import RequestError


class Running(NamedTuple):
    loop: ClientLoop
    over: threading.Event
    port: int
    commands: list[str | RequestError]


@pytest.fixture
def running() -> Iterator[Running]:
    commands: list[str | RequestError] = []
    over = threading.Event()

    def carry_out(connection: Connection, command: str | RequestError) -> None:
        commands.append(command)
        if command == "BREAK":
            raise ConnectionResetError("broken on purpose")
        connection.send(b"done\n")

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    loop = ClientLoop(b"hello\n", 4, carry_out, lambda _now_s: 0.05, logging.getLogger("api.test"))
    thread = threading.Thread(target=loop.run, args=(listener, over.is_set))
    thread.start()
    yield Running(loop, over, listener.getsockname()[1], commands)
    over.set()
    thread.join(20)
    loop.close()
    listener.close()


def read(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (chunk := client.recv(count - len(data))):
        data += chunk
    return data


def test_greeting_commands_and_end(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
        client.sendall(b"A;B;")
        assert read(client, 16) == b"hello\ndone\ndone\n"
        running.over.set()
        assert client.recv(1) == b""
    assert running.commands == ["A", "B"]


def test_a_connection_that_breaks_ends_alone(running: Running) -> None:
    with (
        socket.create_connection(("127.0.0.1", running.port), timeout=20) as breaking,
        socket.create_connection(("127.0.0.1", running.port), timeout=20) as other,
    ):
        breaking.sendall(b"BREAK;NEVER;")
        assert read(breaking, 6) == b"hello\n"
        assert breaking.recv(1) == b""
        other.sendall(b"A;")
        assert read(other, 11) == b"hello\ndone\n"
    assert running.commands == ["BREAK", "A"]


def test_posted_functions_run_in_the_loop_in_order(running: Running) -> None:
    seen: list[tuple[int, str]] = []
    ran = threading.Event()
    for number in range(5000):  # more than the wake-up channel holds
        running.loop.post(
            lambda number=number: seen.append((number, threading.current_thread().name))
        )
    running.loop.post(ran.set)
    assert ran.wait(20)
    assert [number for number, _ in seen] == list(range(5000))
    assert threading.current_thread().name not in {name for _, name in seen}


def test_posting_after_the_end_is_harmless() -> None:
    loop = ClientLoop(b"", 1, lambda *_: None, lambda _: 1.0, logging.getLogger("api.test"))
    loop.close()
    loop.post(lambda: pytest.fail("nobody should call this"))
