"""Commands out of bytes: the pieces in which they arrive do not matter, nothing grows."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.errors import RequestError
from bela_module.server.client_connection import (
    MAX_COMMAND_BYTES,
    MAX_UNREAD_BYTES,
    ClientConnection,
    CommandBudget,
    CommandSplitter,
)
from bela_module.server.time_limits import COMMANDS_BURST_S, UNTERMINATED_COMMAND_S


def words(found: list[str | RequestError]) -> list[str]:
    return [str(item) for item in found]


@pytest.mark.parametrize(
    ("data", "commands"),
    [
        (b"", []),
        (b"UP", []),
        (b"UP;", ["UP"]),
        (b"UP;;\r\n; ;STOP|\r\n;", ["UP", "STOP|"]),
        (b'START|{"a": 1} ;GET', ['START|{"a": 1}']),
        (b"\x00;\x1b[A;", ["\x00", "\x1b[A"]),
    ],
)
def test_commands(data: bytes, commands: list[str]) -> None:
    assert CommandSplitter().feed(data) == commands


def test_non_ascii_is_refused_alone() -> None:
    found = CommandSplitter().feed(b"UP;\xc3\xa9;UP;")
    assert found[0] == found[2] == "UP"
    assert isinstance(found[1], RequestError)
    assert "byte 0 is 0xc3" in str(found[1])


def test_the_longest_command_and_one_byte_more() -> None:
    splitter = CommandSplitter()
    assert splitter.feed(b"x" * MAX_COMMAND_BYTES + b";") == ["x" * MAX_COMMAND_BYTES]
    found = splitter.feed(b"x" * (MAX_COMMAND_BYTES + 1))
    assert len(found) == 1
    assert isinstance(found[0], RequestError)
    assert splitter.feed(b"x" * 10 * MAX_COMMAND_BYTES) == []
    assert splitter.feed(b"x;UP;") == ["UP"]


@pytest.mark.parametrize(
    ("data", "unterminated"),
    [
        (b"", ""),
        (b"UP;", ""),
        (b"UP;START|{", "START|{"),
        (b"UP;\r\n", ""),
        (b"\xef\xbb\xbf", ""),  # a byte order mark
        (b"\xff\xfb\x1f\xff\xfd\x03", ""),  # telnet negotiates
        (b"\xff\xfb\x1fUP\r\n", "UP"),
    ],
)
def test_the_beginning_of_a_command(data: bytes, unterminated: str) -> None:
    splitter = CommandSplitter()
    splitter.feed(data)
    assert splitter.unterminated.strip("\x1f") == unterminated


@given(
    st.lists(st.sampled_from([b";", b"UP", b"|", b"{}", b"\r\n", b"\xff", b" ", b"A" * 40_000])),
    st.lists(st.integers(1, 50_000)),
)
def test_the_pieces_do_not_matter(parts: list[bytes], sizes: list[int]) -> None:
    data = b"".join(parts)
    whole = CommandSplitter().feed(data)
    splitter, pieces, rest = CommandSplitter(), [], data
    for size in sizes:
        pieces += splitter.feed(rest[:size])
        rest = rest[size:]
    pieces += splitter.feed(rest)
    assert words(pieces) == words(whole)
    assert len(splitter._partial) <= MAX_COMMAND_BYTES


@pytest.fixture
def pair() -> Iterator[tuple[ClientConnection, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    connection = ClientConnection(accepted, "test")
    yield connection, client
    connection.close()
    client.close()


def test_a_connection_reads_when_what_came_is_done(
    pair: tuple[ClientConnection, socket.socket],
) -> None:
    connection, client = pair
    connection.receive(1.0)  # nothing there: no waiting
    assert connection.wants_reading
    client.sendall(b"UP;")
    while connection.wants_reading:
        connection.receive(1.0)
    assert connection.commands.popleft() == "UP"
    assert connection.wants_reading
    client.shutdown(socket.SHUT_WR)
    while connection.ended_s is None:
        connection.receive(2.0)
    assert not connection.wants_reading
    assert connection.is_idle


def test_replies_wait_for_the_reader(pair: tuple[ClientConnection, socket.socket]) -> None:
    connection, client = pair
    sent = 0
    while not connection.wants_writing:
        connection.send(b"x" * 65_536)
        sent += 65_536
    assert not connection.is_idle
    received = 0
    while received < sent:
        received += len(client.recv(1 << 20))
        connection.flush()
    assert not connection.wants_writing


def test_a_reader_that_never_comes_breaks_the_connection(
    pair: tuple[ClientConnection, socket.socket],
) -> None:
    connection, _client = pair

    def send_on() -> None:
        while True:
            connection.send(b"x" * 65_536)

    with pytest.raises(ConnectionAbortedError, match="bytes of replies unread"):
        send_on()
    assert len(connection._unsent) <= MAX_UNREAD_BYTES + 65_536
    connection.close()
    connection.close()
    assert connection.closed


def test_a_command_without_its_end_is_reported_once(
    pair: tuple[ClientConnection, socket.socket],
) -> None:
    connection, client = pair
    began_s = connection.last_received_s
    client.sendall(b"UP;STA")
    while not connection.commands:
        connection.receive(began_s)
    assert connection.unterminated_command(began_s + 1.0) is None
    later_s = began_s + UNTERMINATED_COMMAND_S + 0.1
    assert str(connection.unterminated_command(later_s)) == "the command 'STA' waits for its ';'"
    assert connection.unterminated_command(later_s) is None
    client.sendall(b"RT")
    client.shutdown(socket.SHUT_WR)
    while connection.ended_s is None:
        connection.receive(later_s)
    reported = connection.unterminated_command(later_s)
    assert str(reported) == "the command 'START' is ignored: the connection ended before its ';'"
    assert connection.unterminated_command(later_s) is None


@pytest.mark.parametrize("share", [0.2, 0.02])
def test_commands_without_a_pause_take_their_share_of_the_time(share: float) -> None:
    budget, now_s, used_s = CommandBudget(), 100.0, 0.0
    while now_s < 200.0:
        now_s = max(now_s, budget.rests_until_s) + 0.001
        budget.use(now_s, 0.001, share)
        used_s += 0.001
    assert 0.7 * share < used_s / 100.0 <= share + COMMANDS_BURST_S / 100.0


def test_commands_at_a_moderate_rate_never_rest() -> None:
    budget, now_s = CommandBudget(), 100.0
    for _ in range(10_000):  # one in 10 ms that takes 1 ms
        now_s += 0.01
        assert budget.rests_until_s < now_s
        budget.use(now_s, 0.001, 0.2)


def test_a_burst_of_commands_is_carried_out_without_a_rest() -> None:
    budget = CommandBudget()
    for number in range(19):
        assert budget.rests_until_s < 100.0
        budget.use(100.0 + 0.001 * number, 0.001, 0.2)


@pytest.mark.parametrize("ending", ["STOP", "CLOSE", "STOP|{}"])
def test_what_ends_streaming_does_not_wait_behind_a_flood(
    pair: tuple[ClientConnection, socket.socket], ending: str
) -> None:
    connection, client = pair
    client.sendall(b"BAD;" * 3)
    connection.receive(100.0)
    connection.budget.use(100.0, 1.0, 0.2)
    assert not connection.may_go_on(100.0)
    assert connection.may_go_on(connection.budget.rests_until_s)
    client.sendall(f"{ending};".encode())
    connection.receive(100.0)
    assert connection.may_go_on(100.0)
