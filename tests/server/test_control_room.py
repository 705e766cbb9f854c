"""What a control room gets: callbacks, names and ones, and nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.support.server_helpers import (
    ControlRoom,
    serving,
    settings_with,
)

WaitUntil = Callable[..., None]


CALLBACKS: dict[str, Any] = {
    "linger_s": 0.3,
    "schedule_finished": 'dp-lsl-recording|STOPRECORD|{"n": 1}',
    "board_restarted": "dp-other|RESET|{}",
}


def _complete(future: Future[Any]) -> None:
    future.set_result("done")


def test_callbacks_go_one_by_one_to_the_control_room() -> None:
    with serving(settings_with(callbacks=CALLBACKS)) as running:
        person, room, verbose = running.client(), running.client(), running.client()
        person.send("GET_PCOMMS;")
        verbose.send("VERBOSE;GET_PCOMMS;UP;")
        listing = len("PREPARE|START|SCHEDULE|MONITOR|SET|RELEASE|SEND|LIST|STATUS|"
                      "STOP|CLOSE|GET_PCOMMS|UP")  # fmt: skip
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
            running.session.report("board_restarted")
            sender, _ = receiver.accept()
            with sender, sender.makefile("rb") as received:
                assert received.read() == CALLBACKS["board_restarted"].encode()


def test_a_control_room_gets_no_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with serving(settings_with()) as running, caplog.at_level("INFO", "bela_module.server"):
        room, person = running.client(), running.client()
        room.send("GET_PCOMMS;UP;STATUS;UP;")
        names = (
            "PREPARE|START|SCHEDULE|MONITOR|SET|RELEASE|SEND|LIST|STATUS|STOP|CLOSE|GET_PCOMMS|UP"
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
