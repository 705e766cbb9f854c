"""Whatever arrives: one command has one reply, a refusal has words, and the server lives.

The messages are random, or mutated from good ones, always the same ones. Each goes through the
server's own path from bytes to the session; some also through real sockets.
"""

from __future__ import annotations

import logging
import random
import re
import socket
import threading
from collections.abc import Iterator

import psutil
import pytest

from bela_module.server.bela_server import BelaServer
from bela_module.server.client_connection import ClientConnection, CommandSplitter
from tests.support.amount import N_FUZZED
from tests.support.server_helpers import FakeSession, serving, settings_with

N_PARSED = N_FUZZED // 2
N_SENT = 2_000
MAX_GROWTH_BYTES = 8_000_000

GOOD = [
    b"START",
    b'START|{"variables": ["pot1", "pot2"], "saving_enabled": "True", "saving_filename": "run"}',
    b'SCHEDULE|{"timestamps": [100, 200], "durations": 512, "variables": ["pot1", "pot2"]}',
    b'SCHEDULE|{"start_in_s": "1.5", "duration_s": 10}',
    b'MONITOR|{"variables": "t", "period_s": 0.1}',
    b'SET|{"values": {"gain": 0.5, "mode": "3"}}',
    b'RELEASE|{"variables": ["gain"]}',
    b'SEND|{"buffer_id": 0, "type": "f", "data": [1, 2.5, -3e4]}',
    b"LIST",
    b"STATUS|{}",
    b"STOP|\r\n",
]
PIECES = [
    b"|", b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u0000", b"null", b"true", b"NaN",
    b"1e999", b"-0", b"9" * 400, b"\xff", b"\xc3\xa9", b"\x00", b"\r\n", b"%s", b"__class__",
    b"../", b"UP", b'"variables"', b'"values"', b"[" * 300,
]  # fmt: skip
ERROR_LINE = re.compile(r"ERROR [A-Za-z0-9_?]+: .{5,}\n")


def messages(seed: int, count: int) -> Iterator[bytes]:
    """Make messages without a delimiter inside, good, mutated and random."""
    rng = random.Random(seed)
    for _ in range(count):
        if rng.random() < 0.1:
            message = rng.randbytes(rng.randrange(40))
        else:
            message = rng.choice(GOOD)
            for _ in range(rng.choice((0, 1, 1, 2, 4))):
                message = mutated(message, rng)
        yield message.replace(b";", b":").strip() or b"?"


def mutated(message: bytes, rng: random.Random) -> bytes:
    start, stop = sorted((rng.randrange(len(message) + 1), rng.randrange(len(message) + 1)))
    match rng.randrange(5):
        case 0:
            return message[:start] + rng.choice(PIECES) + message[start:]
        case 1:
            return message[:start] + message[stop:]
        case 2:
            return message[:stop] + message[start:]
        case 3:
            return message[:start] + rng.randbytes(1) + message[start + 1 :]
        case _:
            return message[:start] + rng.choice(GOOD)[stop:]


class RecordingConnection(ClientConnection):
    """A connection whose replies are kept instead of sent."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, "fuzz")
        self.replies: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.replies.append(data)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pytest from keeping a log record of each refusal."""
    monkeypatch.setattr(logging.getLogger("bela_module.server"), "disabled", True)


@pytest.fixture
def connection() -> Iterator[RecordingConnection]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = RecordingConnection(socket.create_connection(server.getsockname()))
        yield made
        made.close()


def test_every_message_has_one_reply(connection: RecordingConnection) -> None:
    session = FakeSession()
    server = BelaServer(settings_with(), lambda: session)
    server.init_server()
    stop = threading.Event()
    stop.set()
    server.listen_stop_event = stop
    server.start_listening()  # makes the session and returns
    connection.verbose = True
    splitter, process = CommandSplitter(), psutil.Process()
    n_refused, rss_bytes = 0, 0
    for number, message in enumerate(messages(seed=1, count=N_PARSED)):
        if number == N_PARSED // 5:
            rss_bytes = process.memory_info().rss
        for command in splitter.feed(message + b";"):
            server._dispatcher.carry_out(connection, command)
        while server._loop._posted:
            server._loop._posted.popleft()()
        assert len(connection.replies) == 1, message
        reply = connection.replies.pop().decode("ascii")
        if reply.startswith("ERROR"):
            n_refused += 1
            assert ERROR_LINE.fullmatch(reply), message
            assert len(reply) < 2000, message
        session.requests.clear()
        session.futures.clear()
        session.errors.clear()
    assert process.memory_info().rss - rss_bytes < MAX_GROWTH_BYTES
    assert N_PARSED // 4 < n_refused < N_PARSED * 9 // 10  # both ways are tried
    server.shutdown()


def test_the_server_lives_through_them_all() -> None:
    rng = random.Random(2)
    with serving() as running:
        client, other = running.client(), running.client()
        client.send("VERBOSE;")
        assert client.line() == "OK VERBOSE"
        replies: list[bytes] = []
        reading = threading.Thread(target=lambda: replies.append(client.rest()))
        reading.start()
        stream = b"".join(m + b";" for m in messages(seed=2, count=N_SENT) if b"CLOSE" not in m)
        rss_bytes = 0
        while stream:
            size = rng.choice((1, 7, 200, 5000))
            client.send(stream[:size])
            stream = stream[size:]
            if not rss_bytes and len(stream) < 100_000:
                rss_bytes = psutil.Process().memory_info().rss
        client.socket.shutdown(socket.SHUT_WR)
        reading.join(60)
        text = replies[0].decode("ascii")
        errors = ERROR_LINE.findall(text)
        assert len(errors) > N_SENT // 4
        assert len(errors) == text.count("ERROR ") == len(running.session.errors)
        assert psutil.Process().memory_info().rss - rss_bytes < MAX_GROWTH_BYTES
        assert other.is_up()
        assert running.thread.is_alive()
