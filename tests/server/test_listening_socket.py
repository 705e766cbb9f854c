"""The listening socket: who has the port is told, and nobody shares it."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from bela_module.errors import ConfigError
from bela_module.server.listening_socket import open_listening_socket
from tests.support.server_helpers import serving, settings_with
from tests.support.stopwatch import Stopwatch


def test_it_listens_without_blocking() -> None:
    with open_listening_socket("127.0.0.1", 0, 4) as listener:
        with pytest.raises(BlockingIOError):
            listener.accept()
        socket.create_connection(listener.getsockname(), timeout=20).close()


@pytest.mark.parametrize("ip", ["127.0.0.1", "0.0.0.0"])
def test_a_module_that_was_left_behind_is_named(ip: str) -> None:
    with serving() as orphan:
        port = orphan.server.port
        words = f"cannot serve at {ip}:{port}: .* a module that calls itself dp-bela serves there"
        with pytest.raises(ConfigError, match=words) as caught:
            open_listening_socket(ip, port, 4)
        assert "send it CLOSE;" in str(caught.value)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH\r\n"])
def test_other_programs_are_not(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            client, _ = other.accept()
            with client:
                client.sendall(greeting)
                client.settimeout(20)
                client.recv(1)

        thread = threading.Thread(target=greet)
        thread.start()
        port = other.getsockname()[1]
        watch = Stopwatch()
        with pytest.raises(ConfigError, match=re.escape("is it in use, or no address of this")):
            open_listening_socket("127.0.0.1", port, 4)
        assert watch.passed_s < 2.0
        thread.join()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="or no address of this machine"):
        open_listening_socket("192.0.2.1", 0, 4)


def test_on_windows_the_port_is_exclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with open_listening_socket("127.0.0.1", 0, 4) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_an_ipv6_address_is_served() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this computer has no IPv6")
    with serving(settings_with(server={"ip": "::1"})) as running:
        with socket.create_connection(("::1", running.server.port), 20) as client:
            client.sendall(b"VERBOSE;CLOSE;")
            received = b""
            while data := client.recv(1024):
                received += data
        assert received.startswith(b"Connected to dp-bela\nOK VERBOSE\n")
