"""Commands that do not end, and how each refusal is reported."""

from __future__ import annotations

import gc
import socket
import struct
from collections.abc import Callable

import pytest

from bela_module.errors import RequestError
from tests.support.server_helpers import Serving

WaitUntil = Callable[..., None]


def test_a_command_cut_off_by_the_end_is_answered_and_noted(running: Serving) -> None:
    client = running.client()
    client.send("VERBOSE;START")
    client.socket.shutdown(socket.SHUT_WR)
    words = "the command 'START' is ignored: the connection ended before its ';'"
    assert client.rest().decode() == f"OK VERBOSE\nERROR ?: {words}\n"
    assert running.session.errors == [f"?: {words}"]
    assert running.session.requests == []


def test_a_command_cut_off_by_a_reset_is_noted(running: Serving, wait_until: WaitUntil) -> None:
    client = running.client()
    client.send("STOP")
    assert running.client().is_up()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    wait_until(lambda: running.session.errors)
    assert running.session.errors == [
        "?: the command 'STOP' is ignored: the connection ended before its ';'"
    ]


def test_a_command_followed_by_silence_is_reported_and_may_still_end(
    running: Serving, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("bela_module.server.client_connection.UNTERMINATED_COMMAND_S", 0.2)
    client = running.client()
    client.send("START\r\n")
    wait_until(lambda: running.session.errors)
    assert running.session.errors == ["?: the command 'START' waits for its ';'"]
    client.send(";")
    assert client.is_up()
    assert [name for name, _ in running.session.requests] == ["start"]
    assert len(running.session.errors) == 1


def test_line_ends_byte_order_marks_and_telnet_are_no_commands(
    running: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bela_module.server.client_connection.UNTERMINATED_COMMAND_S", 0.0)
    client, other = running.client(), running.client()
    for data in (b"\r\n", b"\xef\xbb\xbf", b"\xff\xfb\x01\xff\xfd\x03"):
        client.send(data)
        assert other.is_up()
        assert other.is_up()
    client.close()
    assert other.is_up()
    assert running.session.errors == []


def test_a_query_is_given_up_with_its_client_and_a_command_is_not(
    running: Serving, wait_until: WaitUntil
) -> None:
    running.session.answers_at_once = False
    client = running.client()
    client.send("LIST;LIST;STOP;")
    wait_until(lambda: len(running.session.futures) == 3)
    client.close()
    first, second, stop = running.session.futures
    wait_until(lambda: first.cancelled() and second.cancelled())
    assert not stop.done()
    stop.set_result("stopped")
    assert running.client().is_up()
    assert running.session.errors == []


def test_a_client_that_still_reads_gets_what_it_asked_for(
    running: Serving, wait_until: WaitUntil
) -> None:
    running.session.answers_at_once = False
    client = running.client()
    client.send("LIST;")
    client.socket.shutdown(socket.SHUT_WR)
    wait_until(lambda: running.session.futures)
    assert running.client().is_up()
    running.session.futures[0].set_result({"variables": []})
    assert client.rest() == b'{"variables": []}\n'


def test_refused_commands_leave_nothing_to_the_garbage_collector(
    running: Serving, wait_until: WaitUntil
) -> None:
    """A full collection makes all threads wait, ``UP``, too."""
    running.session.answers_at_once = False
    client = running.client()
    client.send("VERBOSE;")
    assert client.line() == "OK VERBOSE"

    def refuse_many() -> None:
        client.send("START;" * 20)
        wait_until(lambda: len(running.session.futures) == 20)
        while running.session.futures:
            running.session.futures.pop().set_exception(RequestError("already; STOP first"))
        assert all(client.line().startswith("ERROR START: already") for _ in range(20))

    refuse_many()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            refuse_many()
        assert gc.collect() < 100  # fewer than there were commands
    finally:
        gc.enable()
