"""The server over real sockets, with a fake session."""

from __future__ import annotations

import gc
import json
import socket
import threading
from collections.abc import Callable

import pytest

from bela_module.errors import BelaError, ConfigError, RequestError
from bela_module.requests import ScheduleRequest, SetRequest, StartRequest
from bela_module.server.bela_server import BelaServer
from bela_module.server.client_connection import MAX_COMMAND_BYTES
from tests.support.server_helpers import (
    BANNER,
    Client,
    FakeSession,
    Serving,
    serving,
    settings_with,
)

WaitUntil = Callable[..., None]


def test_banner_and_up_and_pcomms(running: Serving) -> None:
    client = running.client()
    assert client.is_up()
    client.send("GET_PCOMMS;UP;")
    expected = (
        "PREPARE|START|SCHEDULE|MONITOR|SET|RELEASE|SEND|CONNECT_INPUT|DISCONNECT_INPUT|"
        "CHECK|LIST|STATUS|STOP|CLOSE|GET_PCOMMS|UP"
    )
    assert client.read(len(expected)).decode() == expected
    assert client.read(1) == b"1"


@pytest.mark.parametrize(
    "command",
    ["UP;", "UP|;", "UP|{};", "UP\r\n;", "UP|\r\n;", "\r\nUP;", " UP | {} ;", "UP|{ };\r\n"],
)
def test_up_in_every_spelling(running: Serving, command: str) -> None:
    client = running.client()
    client.send(command)
    assert client.read(1) == b"1"
    assert client.is_up()


@pytest.mark.parametrize("command", ["STOP;", "STOP|;", "STOP|{};", "STOP\r\n;", "STOP|\r\n;"])
def test_stop_in_every_spelling(running: Serving, command: str) -> None:
    client = running.client()
    client.send(command)
    assert client.is_up()
    assert running.session.requests == [("stop", None)]


def test_commands_reach_the_session(running: Serving) -> None:
    client = running.client()
    client.send('START|{"variables": "pot1", "saving_enabled": "True"};')
    client.send('SCHEDULE|{"start_in_s": "1", "duration_s": 2};SET|{"values": {"gain": "0.5"}};')
    client.send('MONITOR|{"period_s": 0.1};RELEASE;SEND|{"buffer_id": 0, "type": "f", "data": 1};')
    assert client.is_up()
    assert [name for name, _ in running.session.requests] == [
        "start", "schedule", "set", "monitor", "release", "send",
    ]  # fmt: skip
    assert running.session.requests[:3] == [
        ("start", StartRequest(variables=("pot1",), saving_enabled=True)),
        ("schedule", ScheduleRequest(start_in_s=1.0, duration_s=2.0)),
        ("set", SetRequest(values={"gain": 0.5})),
    ]


def test_queries_answer_one_line_of_json(running: Serving) -> None:
    client = running.client()
    client.send("STATUS;")
    assert client.reply() == {"state": "idle", "last_error": None}
    client.send("LIST;")
    assert client.reply() == {"variables": [{"name": "pot1", "value": None}]}  # NaN is no JSON


def test_a_failed_query_is_answered(running: Serving) -> None:
    running.session.answers_at_once = False
    client = running.client()
    client.send("LIST;")
    assert client.is_up()
    running.session.futures[0].set_exception(BelaError("no board \N{SNOWMAN}"))
    assert client.reply() == {"error": "LIST: no board \\u2603"}


def test_silence_without_verbose(running: Serving) -> None:
    client = running.client()
    client.send('START;STOP;FOO;START|{;SET|{};;VERBOSE|{"on": "False"};')
    assert client.is_up()
    client.send("CLOSE;")
    assert client.rest() == b""


def test_verbose_is_switched_off_again(running: Serving) -> None:
    client = running.client()
    running.session.answers_at_once = False
    client.send("VERBOSE;START;")
    assert client.line() == "OK VERBOSE"
    client.send('VERBOSE|{"on": 0};STOP;FOO;')
    assert client.line() == "OK VERBOSE"
    assert client.is_up()
    for future in running.session.futures:
        future.set_result("later")
    assert client.is_up()


def test_verbose_confirms_and_refuses(running: Serving) -> None:
    client, other = running.client(), running.client()
    client.send("VERBOSE;")
    assert client.line() == "OK VERBOSE"
    for command, line in [
        ("START", "OK START"),
        ("STOP", "OK STOP"),
        ('SET|{"values": {"x": 1}}', "OK SET"),
        ("SET", "ERROR SET: values: is required and missing"),
        ('SET|{"values": {"x": "much"}}', "ERROR SET: values.x = 'much': must be a number"),
        ("START|[1]", "ERROR START: the payload '[1]' is no JSON object like {}"),
        ('UP|{"a": 1}', "ERROR UP: a: unknown key; none is allowed here"),
    ]:
        client.send(f"{command};")
        assert client.line() == line
    client.send("STA{RT;")
    assert client.line().startswith(
        "ERROR ?: unknown PCOMM 'STA{RT'; known: PREPARE, START, SCHEDULE"
    )
    client.send('START|{"variables": }};')
    assert client.line().startswith("ERROR START: the payload '{\"variables\": }}' is no JSON: ")
    assert other.is_up()


def test_errors_are_noted(running: Serving, wait_until: WaitUntil) -> None:
    running.session.answers_at_once = False
    client = running.client()
    client.send("NONSENSE;START;")
    assert client.is_up()
    assert running.session.errors[0].startswith("NONSENSE: unknown PCOMM 'NONSENSE'; known: ")
    running.session.futures[0].set_exception(RequestError("the board has no variable 'x'"))
    wait_until(lambda: len(running.session.errors) == 2)
    assert running.session.errors[1] == "START: the board has no variable 'x'"
    client.send("STATUS;")
    assert client.reply()["last_error"] == "START: the board has no variable 'x'"


def test_a_reply_goes_to_who_asked(running: Serving) -> None:
    running.session.answers_at_once = False
    first, second = running.client(), running.client()
    for client in (first, second):
        client.send("VERBOSE;")
        assert client.line() == "OK VERBOSE"
    first.send("START;")
    assert first.is_up()
    second.send("STOP;")
    assert second.is_up()
    start, stop = running.session.futures
    stop.set_result("stopped")
    assert second.line() == "OK STOP"
    start.cancel()
    assert first.line() == "ERROR START: CancelledError"
    assert first.is_up()
    assert second.is_up()


def test_one_command_in_many_pieces(running: Serving) -> None:
    client = running.client()
    for byte in b'\r\nSTART|{"variables": ["pot1", "pot2"]};UP;':
        client.send(bytes([byte]))
    assert client.read(1) == b"1"
    assert running.session.requests == [("start", StartRequest(variables=("pot1", "pot2")))]


def test_many_commands_in_one_packet(running: Serving) -> None:
    client = running.client()
    client.send("UP;" * 3000 + "STOP;")
    assert client.read(3000) == b"1" * 3000
    assert client.is_up()
    assert running.session.requests == [("stop", None)]


def test_a_command_without_end_is_refused(running: Serving) -> None:
    client = running.client()
    client.send(b"VERBOSE;START|" + b"x" * (2 * MAX_COMMAND_BYTES))
    assert client.line() == "OK VERBOSE"
    refusal = f"ERROR ?: a command may have {MAX_COMMAND_BYTES} bytes and must end with ';'"
    assert client.line().startswith(refusal)
    client.send(b"x" * MAX_COMMAND_BYTES + b";UP;")
    assert client.read(1) == b"1"
    assert running.session.requests == []


@pytest.mark.parametrize("garbage", [b"\xff\xfd\x01", b'START|{"variables": "\xc3\xa9"}'])
def test_non_ascii_is_refused(running: Serving, garbage: bytes) -> None:
    client = running.client()
    client.send(b"VERBOSE;" + garbage + b";")
    assert client.line() == "OK VERBOSE"
    assert client.line().startswith("ERROR ?: commands must be ASCII, but byte ")
    assert client.is_up()
    assert running.session.requests == []


def test_replies_come_after_the_client_stopped_sending(running: Serving) -> None:
    client = running.client()
    client.send("STATUS;STATUS;UP;LI")
    client.socket.shutdown(socket.SHUT_WR)
    lines = client.rest().split(b"\n")
    assert len(lines) == 3
    assert lines[2] == b"1"
    assert json.loads(lines[0]) == json.loads(lines[1])


def test_close_ends_listening(running: Serving) -> None:
    client, other = running.client(), running.client()
    client.send("CLOSE|{};")
    assert other.rest() == b""
    running.thread.join(20)
    assert not running.server.is_listening
    running.server.shutdown()
    assert running.session.closed == 1


def test_the_stop_event_ends_listening(running: Serving, wait_until: WaitUntil) -> None:
    wait_until(lambda: running.server.is_listening)
    running.server.listen_stop_event.set()
    running.thread.join(20)
    assert not running.thread.is_alive()


def test_shutdown_twice_and_by_the_garbage_collector() -> None:
    session = FakeSession()
    server = BelaServer(settings_with(), lambda: session)
    server.init_server()
    server.shutdown()
    server.shutdown()
    del server
    gc.collect()
    assert session.closed == 0  # it was never made


def test_a_server_that_could_not_be_made_is_collected() -> None:
    with pytest.raises(AttributeError):
        BelaServer(None, FakeSession)  # type: ignore[arg-type]
    gc.collect()


def test_listening_needs_an_address() -> None:
    server = BelaServer(settings_with(), FakeSession)
    with pytest.raises(ConfigError, match="init_server"):
        server.start_listening()
    server.shutdown()


def test_an_address_in_use_is_refused() -> None:
    with serving() as running:
        second = BelaServer(settings_with(server={"port": running.server.port}), FakeSession)
        with pytest.raises(ConfigError, match=f"cannot serve at 127.0.0.1:{running.server.port}: "):
            second.init_server()
        second.shutdown()


@pytest.mark.parametrize(("ip", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_other_addresses_are_warned_of(
    ip: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = BelaServer(settings_with(server={"ip": ip}), FakeSession)
    server.logger.addHandler(caplog.handler)
    try:
        server.init_server()
        assert ("other machines" in caplog.text) is warned
    finally:
        server.logger.removeHandler(caplog.handler)
        server.shutdown()


def test_clients_connect_while_the_session_is_made() -> None:
    session, made = FakeSession(), threading.Event()

    def make() -> FakeSession:
        made.wait(20)
        return session

    server = BelaServer(settings_with(), make)
    server.init_server()
    thread = threading.Thread(target=server.start_listening)
    thread.start()
    client = Client(server.port, banner=False)
    client.send("UP;")
    made.set()
    assert client.read(len(BANNER) + 1) == BANNER + b"1"
    client.close()
    server.shutdown()
    thread.join(20)
    assert session.closed == 1


def test_shutdown_while_the_session_is_made() -> None:
    session, made = FakeSession(), threading.Event()

    def make() -> FakeSession:
        made.wait(20)
        return session

    server = BelaServer(settings_with(), make)
    server.init_server()
    thread = threading.Thread(target=server.start_listening)
    thread.start()
    server.shutdown()
    made.set()
    thread.join(20)
    assert not thread.is_alive()
    assert session.closed == 1
