"""One client that floods the module does not keep the others from being served."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bela_module.server.bela_server import BelaServer
from bela_module.session.session import Session
from bela_module.streams.lsl_clock import local_clock
from tests.support.server_helpers import Client, settings_with
from tests.support.session_helpers import Recorder


@contextmanager
def module_without_a_board() -> Iterator[BelaServer]:
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
    settings = settings_with(board={"host": "127.0.0.1", "port": nobody.getsockname()[1]})
    session = Session(settings, sink=Recorder, now=local_clock)
    session.open()
    server = BelaServer(settings, lambda: session)
    server.init_server(threading.Event())
    thread = threading.Thread(target=server.start_listening)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(20)
        nobody.close()


def verbose_client(server: BelaServer) -> Client:
    client = Client(server.port)
    client.send("VERBOSE;")
    assert client.line() == "OK VERBOSE"
    return client


def test_another_client_can_start_while_one_has_filled_its_queue() -> None:
    with module_without_a_board() as server:
        flooding, other = verbose_client(server), verbose_client(server)
        try:
            for _ in range(4):
                flooding.send("START;" * 60)
                replies = [flooding.line() for _ in range(60)]
            assert replies[-1].startswith("ERROR START: 64 commands are waiting for the board")
            other.send("START;")
            assert other.line() == "OK START"
        finally:
            flooding.close()
            other.close()
