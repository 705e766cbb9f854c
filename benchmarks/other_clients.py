"""Other clients of a board, which ask for its list while a session streams."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from types import MappingProxyType
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bela_module.config import parse_settings
from bela_module.protocol.control_commands import CONNECTION_REPLY, encode_commands, list_command
from bela_module.requests import StartRequest
from bela_module.scripting.controller import Controller
from bela_module.session.session import Session
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock

_PATIENCE_S: Final = 20.0
_BURST: Final = 200
_BURST_SPACING_S: Final = 0.0015
_BURST_PERIOD_S: Final = 3.0
_BUSY_PERIOD_S: Final = 0.03

Pause = Callable[[float], bool]
"""Waits some seconds; tells whether to end."""


@contextmanager
def no_client(_port: int, _variable: str) -> Iterator[None]:
    """Run no other client."""
    yield


@contextmanager
def second_module(port: int, variable: str) -> Iterator[None]:
    """Run another session that streams the same variable, under a name of its own."""
    prefix = f"other_{uuid.uuid4().hex}_"
    sections = {
        "board": {"host": "127.0.0.1", "port": port, "name": prefix},
        "streaming": {"prefix": prefix, "events_stream": f"{prefix}events"},
    }
    settings = parse_settings(sections, "benchmark")
    with Session(settings, sink=LslOutlets, now=local_clock) as session:
        session.start(StartRequest(variables=(variable,))).result(_PATIENCE_S)
        yield


@contextmanager
def bursts_of_lists(port: int, _variable: str) -> Iterator[None]:
    """Run a client that asks 200 times within 0.3 s, every 3 s."""

    def ask(client: ClientConnection, pause: Pause) -> None:
        while not pause(_BURST_PERIOD_S):
            for _ in range(_BURST):
                client.send(_LIST)
                pause(_BURST_SPACING_S)

    with _asking(port, ask):
        yield


class BusyClient:
    """Runs a client that asks 33 times a second for some lists in one message."""

    def __init__(self, n_lists: int) -> None:
        (self._message,) = encode_commands([list_command()] * n_lists)

    @contextmanager
    def __call__(self, port: int, _variable: str) -> Iterator[None]:
        """Run it with a board's port."""

        def ask(client: ClientConnection, pause: Pause) -> None:
            while not pause(_BUSY_PERIOD_S):
                client.send(self._message)

        with _asking(port, ask):
            yield


(_LIST,) = encode_commands([list_command()])


@contextmanager
def _asking(port: int, ask: Callable[[ClientConnection, Pause], None]) -> Iterator[None]:
    """Run a function with a connection in a thread, another one that reads what comes."""
    stop = threading.Event()
    with connect(f"ws://127.0.0.1:{port}/gui_control", compression=None, close_timeout=1) as client:
        client.send(CONNECTION_REPLY)
        threads = [
            threading.Thread(target=ask, args=(client, stop.wait)),
            threading.Thread(target=_drain, args=(client,)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            threads[0].join()
            client.close()
            threads[1].join()


def _drain(client: ClientConnection) -> None:
    """Read what comes until the connection ends; the board does not answer a close frame."""
    with suppress(ConnectionClosed):
        for _ in client:
            pass


@contextmanager
def busy_controller(port: int, variable: str) -> Iterator[None]:
    """Run a `Controller` that asks for a value, again and again."""
    stop = threading.Event()
    controller = Controller("127.0.0.1", port)
    controller.connect()

    def ask() -> None:
        while not stop.wait(_BUSY_PERIOD_S):
            controller.get_value([variable])

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        controller.disconnect()


OTHERS: Final[Mapping[str, Callable[[int, str], AbstractContextManager[None]]]] = MappingProxyType(
    {
        "": no_client,
        "a second module": second_module,
        "200 lists in 0.3 s, every 3 s": bursts_of_lists,
        "33 lists a second": BusyClient(1),
        "3 lists, 33 times a second": BusyClient(3),
        "4 lists, 33 times a second": BusyClient(4),
        "7 lists, 33 times a second": BusyClient(7),
        "a busy Controller": busy_controller,
    }
)
"""Other clients by name."""
