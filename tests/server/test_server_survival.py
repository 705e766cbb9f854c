"""No client, no command and no defect in one ends the server, or what it does for the others."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import NoReturn
from unittest.mock import Mock

import pytest

from bela_module.server.bela_server import BelaServer
from bela_module.session.driver import Driver
from bela_module.session.session import Session
from bela_module.streams.lsl_clock import local_clock
from tests.support.server_helpers import Client, Serving, serving, settings_with

WaitUntil = Callable[..., None]


def verbose(running: Serving) -> Client:
    client = running.client()
    client.send("VERBOSE;")
    assert client.line() == "OK VERBOSE"
    return client


# ---- clients -----------------------------------------------------------------------------------


def test_a_client_that_resets_hurts_nobody(running: Serving) -> None:
    client = running.client()
    for _ in range(20):
        rude = Client(running.server.port)
        rude.send("STATUS;START;LIST;STA")
        rude.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.close()
        assert client.is_up()


def test_a_client_that_left_gets_no_late_reply(running: Serving, wait_until: WaitUntil) -> None:
    running.session.answers_at_once = False
    leaving, staying = running.client(), running.client()
    leaving.send("VERBOSE;START;")
    assert leaving.line() == "OK VERBOSE"
    wait_until(lambda: running.session.futures)
    leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaving.close()
    wait_until(lambda: len(running.server._loop.connections) == 1)
    running.session.futures[0].set_result("late")
    assert staying.is_up()


def test_a_client_that_never_reads_is_dropped(running: Serving, wait_until: WaitUntil) -> None:
    running.session.listing = {"variables": ["x" * 30_000]}
    hung = running.client()
    hung.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    hung.socket.settimeout(0.2)
    other = running.client()
    # What the system buffers is its own affair; ask until the server has had enough.
    deadline_s = time.monotonic() + 30
    while len(running.server._loop.connections) > 1:
        assert time.monotonic() < deadline_s
        try:
            hung.send("LIST;" * 20)
        except OSError:
            break
        assert other.is_up()
    wait_until(lambda: len(running.server._loop.connections) == 1)
    assert other.is_up()


def test_commands_under_way_are_bounded(running: Serving) -> None:
    running.session.answers_at_once = False
    client = running.client()
    client.send("VERBOSE;" + "START;" * 70)
    assert client.line() == "OK VERBOSE"
    for _ in range(6):
        assert client.line() == "ERROR START: 64 commands of this connection are under way"
    assert len(running.session.futures) == 64
    running.session.futures[0].set_result("done")
    assert client.line() == "OK START"
    assert client.is_up()


def test_what_needs_no_place_is_answered_while_as_much_as_possible_is_under_way(
    running: Serving,
) -> None:
    running.session.answers_at_once = False
    client = running.client()
    client.send("START;" * 64)
    assert client.is_up()
    client.send("STATUS;")
    assert client.reply()["last_error"] is None
    client.send("VERBOSE;STOP;" + "UP;")
    assert client.line() == "OK VERBOSE"
    assert client.read(1) == b"1"
    assert running.session.requests[-1] == ("stop", None)
    client.send("STOP;" * 64)
    assert client.line() == "ERROR STOP: 128 commands of this connection are under way"
    client.send("CLOSE;")
    assert client.line() == "OK CLOSE"


def test_connections_are_limited() -> None:
    with serving(settings_with(server={"max_connections": 2})) as running:
        clients = [running.client(), running.client()]
        for client in clients:  # as control rooms do, whose places nobody takes
            client.send("GET_PCOMMS;UP;")
            while client.read(1) != b"1":
                pass
        third = running.client(banner=False)
        assert third.rest() == b"Refused: 2 connections are open already\n"
        clients[0].send("UP;")
        clients[0].socket.shutdown(socket.SHUT_WR)
        assert clients[0].rest() == b"1"
        assert running.client().is_up()
        assert clients[1].is_up()


def test_up_is_answered_while_another_client_floods(running: Serving) -> None:
    quiet, busy = running.client(), running.client()
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            busy.send("STATUS;" * 2000)
            for _ in range(2000):
                busy.line()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        times_s = sorted(quiet.up_s() for _ in range(200))
    finally:
        stop.set()
        flooding.join()
    # A stall of this machine can delay one answer; a flood that blocks delays them all.
    assert times_s[len(times_s) // 2] < 0.05


# ---- defects of ours ---------------------------------------------------------------------------


def test_a_handler_that_fails_is_survived(running: Serving) -> None:
    def broken(**_payload: object) -> int:
        raise ZeroDivisionError("inside")

    client = running.client()
    client.send("VERBOSE;")
    assert client.line() == "OK VERBOSE"
    running.server.pcommand_map["BROKEN"] = broken
    running.server.pcommand_map["PLAIN"] = lambda **_payload: 0
    client.send("BROKEN;PLAIN;")
    assert client.line() == "ERROR BROKEN: ZeroDivisionError: inside"
    assert client.line() == "OK PLAIN"
    running.session.answers_at_once = False
    client.send("START;")
    assert client.is_up()
    running.session.futures[-1].set_exception(OSError("disk"))
    assert client.line() == "ERROR START: OSError: disk"
    assert client.is_up()


def test_a_reply_that_cannot_be_written_is_survived(
    running: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    client, other = verbose(running), running.client()
    running.session.answers_at_once = False
    running.server.pcommand_map["ODD"] = lambda **_payload: {"x": object()}
    client.send("ODD;LIST;")
    assert client.line().startswith("ERROR ODD: PydanticSerializationError: ")
    assert client.is_up()
    with caplog.at_level(logging.ERROR):
        running.session.futures[0].set_result({"x": object()})
        assert client.line().startswith("ERROR LIST: PydanticSerializationError: ")
    assert "internal error in 'LIST'" in caplog.text
    assert "Traceback" in caplog.text
    assert client.is_up()
    assert other.is_up()


def test_an_error_that_cannot_be_noted_ends_one_connection(
    running: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_text: str) -> NoReturn:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(running.session, "note_error", broken)
    client, other = verbose(running), running.client()
    client.send("NONSENSE;")
    assert client.rest() == b""
    assert other.is_up()


def test_a_session_that_has_died_is_told_with_each_command(
    monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    doomed = threading.Event()

    async def die(_driver: Driver) -> None:
        while not doomed.is_set():
            await asyncio.sleep(0.01)
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Driver, "run", die)
    settings = settings_with()
    session = Session(settings, sink=Mock, now=local_clock)
    session.open()
    server = BelaServer(settings, lambda: session)
    server.init_server()
    thread = threading.Thread(target=server.start_listening)
    thread.start()
    client = Client(server.port)
    try:
        doomed.set()
        wait_until(lambda: session.failure is not None)
        session.close()
        words = "the session has ended: ZeroDivisionError('a defect')"
        client.send("VERBOSE;START;STOP;")
        assert client.line() == "OK VERBOSE"
        assert client.line() == f"ERROR START: {words}"
        assert client.line() == f"ERROR STOP: {words}"
        client.send("STATUS;")
        assert client.reply()["last_error"] == words
    finally:
        client.close()
        server.shutdown()
        thread.join(20)
