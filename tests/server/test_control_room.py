"""Which client is the control room; it gets callbacks, names and ones, and nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from bela_module.errors import BelaError
from bela_module.server.client_connection import ClientConnection
from bela_module.server.control_room import choose_control_room, displaceable
from tests.support.server_helpers import ControlRoom, serving, settings_with

WaitUntil = Callable[..., None]


CALLBACKS: dict[str, Any] = {
    "linger_s": 0.3,
    "schedule_finished": 'dp-lsl-recording|STOPRECORD|{"n": 1}',
    "board_restarted": "dp-other|RESET|{}",
}


Connect = Callable[..., ClientConnection]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return a function that makes a connection of which this much was heard."""
    made: list[ClientConnection] = []

    def make(
        *, asked: bool = False, ups_s: Sequence[float] = (), heard_s: float = 0.0
    ) -> ClientConnection:
        connection = ClientConnection(socket.socket(), f"client {len(made)}")
        made.append(connection)
        connection.asked_pcomms = asked
        connection.last_received_s = heard_s
        for up_s in ups_s:
            connection.note_up(up_s)
        return connection

    yield make
    for connection in made:
        connection.close()


def test_the_room_is_the_one_that_polls(connect: Connect) -> None:
    first, asked_once = connect(ups_s=[99, 100]), connect(asked=True)
    slow, room = connect(asked=True, ups_s=[99]), connect(asked=True, ups_s=[97, 98, 99])
    everybody = [first, asked_once, slow, room]
    assert choose_control_room(everybody, 100) is room
    room.verbose = True  # which does not end its callbacks
    assert choose_control_room(everybody, 100) is room
    room.ended_s = 100
    assert choose_control_room(everybody, 100) is slow
    assert choose_control_room(everybody, 200) is slow  # a room that stalls
    assert choose_control_room([first, asked_once], 100) is first
    assert choose_control_room([], 100) is None


def test_a_newcomer_displaces_the_longest_silent_one(connect: Connect) -> None:
    oldest = connect(heard_s=1)  # a room that only connects
    silent, person = connect(heard_s=2), connect(heard_s=3)
    assert displaceable([oldest, silent, person], 100) is silent
    polling = connect(asked=True, ups_s=[99], heard_s=99)
    silent_room = connect(asked=True, ups_s=[50], heard_s=50)
    assert displaceable([oldest, polling, silent_room], 100) is oldest
    assert displaceable([polling, silent_room], 100) is silent_room
    assert displaceable([polling], 100) is None
    busy = connect(heard_s=1)
    busy.n_pending = 1  # a START that waits for its board for ever
    assert displaceable([polling, busy], 100) is busy


def _complete(future: Future[Any]) -> None:
    future.set_result("done")


def test_callbacks_go_one_by_one_to_the_control_room() -> None:
    with serving(settings_with(callbacks=CALLBACKS)) as running:
        person, room, verbose = running.client(), running.client(), running.client()
        person.send("GET_PCOMMS;")
        verbose.send("VERBOSE;GET_PCOMMS;UP;")
        listing = len("PREPARE|START|SCHEDULE|MONITOR|SET|RELEASE|SEND|CONNECT_INPUT|"
                      "DISCONNECT_INPUT|CHECK|LIST|STATUS|STOP|CLOSE|GET_PCOMMS|UP")  # fmt: skip
        room.send("GET_PCOMMS;UP;UP;")
        person.read(listing)
        room.read(listing + 2)
        assert verbose.line() == "OK VERBOSE"
        verbose.read(listing + 1)
        began_s = time.monotonic()
        for event in ("schedule_finished", "started", "board_restarted"):
            running.session.report(event)
        first = CALLBACKS["schedule_finished"].encode()
        second = CALLBACKS["board_restarted"].encode()
        assert room.read(len(first)) == first
        assert room.read(len(second)) == second
        assert time.monotonic() - began_s >= 0.3 + 0.1  # it lingers, and they keep their distance
        assert all(client.is_up() for client in (person, room, verbose))


def test_a_room_that_only_connects_takes_callbacks() -> None:
    with serving(settings_with(callbacks=CALLBACKS)) as running:
        room, later = running.client(), running.client()
        assert later.is_up()
        running.session.report("board_restarted")
        message = CALLBACKS["board_restarted"].encode()
        assert room.read(len(message)) == message
        assert later.is_up()


def test_callbacks_go_to_the_address_that_is_configured() -> None:
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(20)
        callbacks = CALLBACKS | {"to": f"127.0.0.1:{receiver.getsockname()[1]}"}
        with serving(settings_with(callbacks=callbacks)) as running:
            room = running.client()
            room.send("GET_PCOMMS;UP;")
            for event in ("board_restarted", "schedule_finished"):
                running.session.report(event)
            for event in ("board_restarted", "schedule_finished"):
                sender, _ = receiver.accept()
                with sender, sender.makefile("rb") as received:
                    assert received.read() == CALLBACKS[event].encode()


def test_callbacks_go_to_the_client_that_is_configured() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with serving(settings_with(callbacks=CALLBACKS | {"to": address})) as running:
        other = running.client()
        chosen = socket.socket()
        chosen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        chosen.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        with chosen:
            chosen.settimeout(20)
            chosen.connect(("127.0.0.1", running.server.port))
            message = CALLBACKS["board_restarted"].encode()
            received = b""
            while b"\n" not in received:
                received += chosen.recv(1000)
            running.session.report("board_restarted")
            while len(received) < len(message) + received.index(b"\n") + 1:
                received += chosen.recv(1000)
            assert received.endswith(b"\n" + message)
        assert other.is_up()


def test_callbacks_that_wait_are_sent_before_the_end() -> None:
    with serving(settings_with(callbacks=CALLBACKS | {"linger_s": 60})) as running:
        room = running.client()
        assert room.is_up()
        running.session.report("schedule_finished")
        assert room.is_up()
        room.send("CLOSE;")
        assert room.rest() == CALLBACKS["schedule_finished"].encode()


def test_callbacks_for_which_there_is_no_time_at_the_end_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        serving(settings_with(callbacks=CALLBACKS | {"linger_s": 60})) as running,
        caplog.at_level("WARNING", "bela_module.server"),
    ):
        room = running.client()
        assert room.is_up()
        for _ in range(6):
            running.session.report("schedule_finished")
        assert room.is_up()
        room.send("CLOSE;")
        n_sent = room.rest().count(CALLBACKS["schedule_finished"].encode())
    assert 1 <= n_sent <= 3
    assert f"{6 - n_sent} callbacks are dropped: the server ends" in caplog.text


def test_a_failed_query_of_a_control_room_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    with serving(settings_with()) as running, caplog.at_level("WARNING", "bela_module.server"):
        running.session.answers_at_once = False
        room = running.client()
        room.send("GET_PCOMMS;UP;LIST;")
        wait_until(lambda: running.session.futures)
        running.session.futures[0].set_exception(BelaError("no board"))
        wait_until(lambda: "LIST: no board" in caplog.text)
        room.send("UP;CLOSE;")
        assert room.rest().endswith(b"|UP11")


def test_a_control_room_gets_no_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with serving(settings_with()) as running, caplog.at_level("INFO", "bela_module.server"):
        room, person = running.client(), running.client()
        room.send("GET_PCOMMS;UP;STATUS;UP;")
        names = (
            "PREPARE|START|SCHEDULE|MONITOR|SET|RELEASE|SEND|CONNECT_INPUT|DISCONNECT_INPUT|"
            "CHECK|LIST|STATUS|STOP|CLOSE|GET_PCOMMS|UP"
        )
        assert room.read(len(names) + 2).decode() == names + "11"
        person.send("STATUS;")
        assert person.reply()["state"] == "idle"
    assert any(text.startswith("STATUS: {") for text in caplog.messages)


def test_a_newcomer_displaces_the_longest_silent_client_but_no_control_room() -> None:
    with serving(settings_with(server={"max_connections": 2})) as running:
        room, silent = running.client(), running.client()
        room.send("GET_PCOMMS;UP;")
        assert room.read(1)
        newcomer = running.client()
        assert newcomer.is_up()
        assert silent.rest() == b""


def test_a_whole_experiment_of_the_control_room(wait_until: WaitUntil) -> None:
    with serving(settings_with(callbacks=CALLBACKS)) as running:
        room = ControlRoom(running.server.port)
        raw = running.client()
        raw.send("VERBOSE;")
        assert raw.line() == "OK VERBOSE"
        try:
            assert {"START", "SCHEDULE", "STOP", "UP"} <= set(room.pcomms)
            running.session.answers_at_once = False
            steps: list[Any] = [
                'START|{"variables": ["pot1", "pot2"]}',
                "STOP|{}",
                'SCHEDULE|{"start_in_s": 1, "duration_s": 1}',
                'SET|{"values": {"gain": 2}}',
                "WRONG",
                "STOP",
            ]
            times_s = []
            for step in steps:
                room.send(step)
                times_s.append(room.up_s())
                raw.send("STATUS;")
                assert raw.reply()["state"] == "idle"
            for future in running.session.futures:
                _complete(future)
            running.session.report("schedule_finished")
            running.session.report("board_restarted")
            wait_until(lambda: len(room.callbacks) == 2)
            times_s.append(room.up_s())
            raw.send("STOP;")
            wait_until(lambda: len(running.session.futures) == 6)
            _complete(running.session.futures[-1])
            assert raw.line() == "OK STOP"
        finally:
            room.close()
        assert room.callbacks == [CALLBACKS["schedule_finished"], CALLBACKS["board_restarted"]]
        assert room.strays == []
        assert sorted(times_s)[len(times_s) // 2] < 0.05  # one may meet a stall of the machine
        names = [name for name, _ in running.session.requests]
        assert names == ["start", "stop", "schedule", "set", "stop", "stop"]
