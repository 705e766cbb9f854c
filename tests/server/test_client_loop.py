"""The loop: what other threads post, connections that break, work between the turns."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import pytest

from bela_module.errors import RequestError
from bela_module.server.client_connection import ClientConnection
from bela_module.server.client_loop import ClientLoop
from bela_module.server.time_limits import COMMANDS_SHARE

WaitUntil = Callable[..., None]


class Listener(socket.socket):
    """A listening socket that can be out of file descriptors."""

    exhausted = False
    tries = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        if self.exhausted:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


class Running(NamedTuple):
    loop: ClientLoop
    over: threading.Event
    listener: Listener
    commands: list[str | RequestError]

    def client(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), timeout=20)


@pytest.fixture
def running() -> Iterator[Running]:
    commands: list[str | RequestError] = []
    over = threading.Event()

    def carry_out(connection: ClientConnection, command: str | RequestError) -> None:
        commands.append(command)
        if command == "LONG":
            until_s = time.thread_time() + 0.005
            while time.thread_time() < until_s:
                pass
        if command == "BREAK":
            raise ConnectionResetError("broken on purpose")
        if command == "DEFECT":
            raise ZeroDivisionError("a defect on purpose")
        connection.send(b"done\n")

    listener = Listener(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    loop = ClientLoop(
        b"hello\n", 4, carry_out, lambda _now_s: 0.05, logging.getLogger("bela_module.test")
    )
    thread = threading.Thread(target=loop.run, args=(listener, over.is_set))
    thread.start()
    yield Running(loop, over, listener, commands)
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
    with running.client() as client:
        client.sendall(b"A;B;")
        assert read(client, 16) == b"hello\ndone\ndone\n"
        running.over.set()
        assert client.recv(1) == b""
    assert running.commands == ["A", "B"]


def test_a_flood_leaves_most_of_the_time_to_others(running: Running, wait_until: WaitUntil) -> None:
    with running.client() as client:
        client.sendall(b"LONG;" * 50)
        begun_s = time.monotonic()
        wait_until(lambda: len(running.commands) == 50)
        # A computer that stalls makes it longer still.
        assert time.monotonic() - begun_s > 50 * 0.005 / COMMANDS_SHARE * 0.7


@pytest.mark.parametrize("command", ["BREAK", "DEFECT"])
def test_a_connection_that_breaks_ends_alone(running: Running, command: str) -> None:
    with running.client() as breaking, running.client() as other:
        breaking.sendall(f"{command};NEVER;".encode())
        assert read(breaking, 6) == b"hello\n"
        assert breaking.recv(1) == b""
        other.sendall(b"A;")
        assert read(other, 11) == b"hello\ndone\n"
    assert running.commands == [command, "A"]


def test_a_client_that_is_gone_when_it_is_accepted_is_forgotten(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = []

    def refuse_once(sock: socket.socket, peer: str) -> ClientConnection:
        accepted.append(peer)
        if len(accepted) == 1:
            raise OSError(errno.EINVAL, "Invalid argument")  # what macOS says of its options
        return ClientConnection(sock, peer)

    monkeypatch.setattr("bela_module.server.client_loop.ClientConnection", refuse_once)
    with running.client() as gone, running.client() as other:
        assert gone.recv(1) == b""
        assert read(other, 6) == b"hello\n"


def test_without_file_descriptors_the_loop_rests(
    running: Running, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    running.listener.exhausted = True
    began_s = time.monotonic()
    with running.client() as client:
        wait_until(lambda: running.listener.tries >= 3, "the third try")
        tries, took_s = running.listener.tries, time.monotonic() - began_s
        assert tries <= 2 + took_s / 0.5
        assert caplog.text.count("clients cannot be accepted") == 1
        running.listener.exhausted = False
        assert read(client, 6) == b"hello\n"


def test_a_posted_function_that_fails_is_survived(running: Running) -> None:
    def broken() -> NoReturn:
        raise ZeroDivisionError("inside")

    ran = threading.Event()
    running.loop.post(broken)
    running.loop.post(ran.set)
    assert ran.wait(20)


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
    loop = ClientLoop(b"", 1, lambda *_: None, lambda _: 1.0, logging.getLogger("bela_module.test"))
    loop.close()
    loop.post(lambda: pytest.fail("nobody should call this"))
