"""This computer: folders, ports and the module that may listen there."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from bela_module.checking.computer_probe import names_in_use, probe_computer
from bela_module.checking.facts import AddressAttempt, BoardFacts
from bela_module.config import Settings, parse_settings, with_overrides
from tests.support.server_helpers import FakeSession, serving


def settings(folder: Path, port: int = 0) -> Settings:
    tables = {"recording": {"dir": str(folder)}, "server": {"port": port}}
    return parse_settings({**tables, "log": {"port": _unused_port()}}, "test")


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


def test_a_folder_that_would_be_made_is_fine_and_not_made(tmp_path: Path) -> None:
    computer = probe_computer(settings(tmp_path / "a" / "b"), 1e9)
    assert (computer.folder_error, computer.bytes_per_hour) == ("", 1e9)
    assert computer.free_bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_beneath_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert probe_computer(settings(tmp_path / "file" / "b"), 0.0).folder_error


def test_ports_are_told_apart(tmp_path: Path) -> None:
    assert probe_computer(settings(tmp_path, _unused_port()), 0.0).pcomm_port == "free"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = probe_computer(settings(tmp_path, other.getsockname()[1]), 0.0)
    assert taken.pcomm_port == "taken"


def test_a_port_that_is_taken_but_answers_nobody_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # and does not listen
        taken = probe_computer(settings(tmp_path, other.getsockname()[1]), 0.0)
    assert taken.pcomm_port == "taken"


def test_ports_of_lsl_are_those_of_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lsl_api.cfg"
    monkeypatch.setenv("LSLAPICFG", str(path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        path.write_text(f"[ports]\nBasePort = {first}\nPortRange = 1\nIPv6 = disable\n")
        computer = probe_computer(settings(tmp_path), 0.0)
    assert (computer.lsl_ports, computer.free_lsl_ports) == (1, 0)
    assert computer.lsl_ports_per_stream == 1


@pytest.mark.parametrize("answer", [b"1\n", b'{"module":\n', b"[" * 100_000 + b"\n"])
def test_what_answers_otherwise_is_another_program(answer: bytes, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            client, _ = other.accept()
            with client:
                client.sendall(b"Connected to something\n" + answer)
                client.recv(100)

        thread = threading.Thread(target=greet)
        thread.start()
        taken = probe_computer(settings(tmp_path, other.getsockname()[1]), 0.0)
        thread.join()
    assert taken.pcomm_port == "taken"


@pytest.mark.parametrize(
    "answer",
    [
        bytes([0]) * 2_000_000,  # no line ends, as in a video
        b'hello\n{"module": "dp-bela", "board": null}\n',
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xfe\n\xff\n",
    ],
    ids=["endless line", "no board", "http", "no text"],
)
def test_whatever_another_program_answers_the_port_is_taken(tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            connection, _address = other.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(answer)

        serving_it = threading.Thread(target=serve)
        serving_it.start()
        computer = probe_computer(settings(tmp_path, other.getsockname()[1]), 0.0)
        serving_it.join(10)
    assert computer.pcomm_port == "taken"


def test_a_module_that_listens_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = {"url": "ws://127.0.0.1:5555"}
    status = {"module": "dp-bela", "state": "idle", "board": board}
    monkeypatch.setattr(FakeSession, "status", lambda _self: status)
    with serving() as running:
        asked = with_overrides(
            settings(tmp_path, running.server.port), board={"host": "192.0.2.7", "port": 5555}
        )
        computer = probe_computer(asked, 0.0)
        found = BoardFacts("", (AddressAttempt("127.0.0.1"),))
        assert probe_computer(asked, 0.0, found).serves_this_board  # by its address
    assert (computer.pcomm_port, computer.pcomm_state) == ("ours", "idle")
    assert not computer.serves_this_board


def test_versions_and_open_files(tmp_path: Path) -> None:
    computer = probe_computer(settings(tmp_path), 0.0)
    assert {"dp-bela", "Python", "pylsl", "numpy"} <= set(computer.versions)
    assert computer.open_file_limit is None or computer.open_file_limit > computer.open_files
    assert not computer.has_log_server


@pytest.mark.parametrize(
    ("state", "url", "names"),
    [
        ("streaming", "ws://127.0.0.1:5555", {"pot1", "pot2"}),
        ("prepared", "ws://127.0.0.1:5555", {"pot1", "pot2"}),
        ("idle", "ws://127.0.0.1:5555", set()),
        ("streaming", "ws://127.0.0.1:5556", set()),
    ],
)
def test_what_a_module_has_begun_or_scheduled_is_in_use(
    state: str, url: str, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [{"variables": ["pot1"]}, {"variables": ["pot2"]}]
    status = {"module": "dp-bela", "state": state, "board": {"url": url}, "streams": streams}
    monkeypatch.setattr(FakeSession, "status", lambda _self: status)
    with serving() as running:
        asked = with_overrides(
            settings(tmp_path, running.server.port), board={"host": "127.0.0.1", "port": 5555}
        )
        assert names_in_use(asked) == names
        free_if_prepared = set() if state == "prepared" else names
        assert names_in_use(asked, unless="prepared") == free_if_prepared
    assert names_in_use(asked) == set()
