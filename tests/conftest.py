"""What all tests share: LSL kept on this machine, no connection elsewhere, nothing left behind."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from bela_module.server.log_forwarding import revive_loggers
from bela_module.state_machine import StateMachine
from tests.support.amount import THOROUGH, examples
from tests.support.bytecode import keep_bytecode
from tests.support.lsl_settings import isolate_lsl
from tests.support.paths import CAPTURES
from tests.support.waiting import until

pytest.register_assert_rewrite("tests.support.walk")

keep_bytecode()
isolate_lsl()

settings.register_profile(
    "tests",
    max_examples=examples(50),
    derandomize=not THOROUGH,  # then others each time
    print_blob=THOROUGH,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))

_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _loggers_alive() -> None:
    """Undo what the platform's logging configuration does to loggers that were there before it."""
    revive_loggers()


@pytest.fixture(autouse=True)
def illegal_transitions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fail a test in which a state takes a transition that is not in its table."""
    illegal: list[str] = []

    def report(self: StateMachine[Any], state: Any) -> None:
        illegal.append(f"{self._name}: no transition from {self.state.name} to {state.name}")

    with monkeypatch.context() as patch:
        patch.setattr(StateMachine, "report_illegal", report)
        yield illegal
    assert illegal == []


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any connection that leaves this machine."""
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, _real: Any = real) -> Any:
            if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
                pytest.fail(f"a connection to {address} was tried; tests stay on loopback")
            return _real(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)
    for name in ("BELA_HOST", "BELA_PORT"):
        monkeypatch.delenv(name, raising=False)


_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
_init_socket = socket.socket.__init__


def _register(self: socket.socket, *args: Any, **kwargs: Any) -> None:
    _init_socket(self, *args, **kwargs)
    _sockets.add(self)


socket.socket.__init__ = _register  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread or a socket; LSL's own, in its library, are not counted."""
    threads = set(threading.enumerate())
    sockets = set(_open_sockets())
    yield
    deadline_s = time.monotonic() + 20.0
    while True:
        left = [t for t in threading.enumerate() if t not in threads and t.is_alive()]
        open_now = [item for item in _open_sockets() if item not in sockets]
        if not left and not open_now:
            return
        if time.monotonic() > deadline_s:
            pytest.fail(f"left behind: threads {left}, sockets {open_now}")
        gc.collect()
        time.sleep(0.02)


def _open_sockets() -> list[socket.socket]:
    return [item for item in list(_sockets) if item.fileno() != -1]


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Return a function that waits for a condition, and fails when it never comes true."""
    return until


@pytest.fixture
def unique() -> str:
    """Return a prefix for stream names that no other test, in any process, uses."""
    return f"t{uuid.uuid4().hex[:10]}_"


@pytest.fixture
def capture_path() -> Callable[[str], Path]:
    """Return a function that gives the path of a capture by its name."""
    return lambda name: CAPTURES / f"{name}.jsonl.gz"
