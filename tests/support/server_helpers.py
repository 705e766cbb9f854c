"""A fake session, a launched module, and clients that talk to a real server over sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from bela_module.config import Settings, parse_settings
from bela_module.requests import Request
from bela_module.server.bela_server import BelaServer
from tests.support.paths import ROOT
from tests.support.stopwatch import Stopwatch

BANNER = b"Connected to dp-bela\n"


@contextmanager
def default_signals() -> Iterator[None]:
    """Restore afterwards what signals do; meanwhile SIGHUP is not ignored, as under ``nohup``."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.getsignal(signal.Signals[name]) for name in names}
    if "SIGHUP" in before:
        signal.signal(signal.Signals["SIGHUP"], signal.SIG_DFL)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(signal.Signals[name], handler)


class FakeSession:
    """Does what `SessionApi` says, with futures that a test completes when it likes."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Request | None]] = []
        self.futures: list[Future[Any]] = []
        self.errors: list[str] = []
        self.reports: list[Callable[[str, str], None]] = []
        self.closed = 0
        self.answers_at_once = True
        self.failure: BaseException | None = None
        self.settings = Settings()
        self.checks: list[dict[str, Any]] = []
        self.listing: dict[str, Any] = {"variables": [{"name": "pot1", "value": float("nan")}]}

    def _begin(self, name: str, request: Request | None, result: Any = None) -> Future[Any]:
        self.requests.append((name, request))
        future: Future[Any] = Future()
        self.futures.append(future)
        if self.answers_at_once:
            future.set_result(f"{name} done" if result is None else result)
        return future

    def prepare(self, request: Request) -> Future[str]:
        return self._begin("prepare", request)

    def start(self, request: Request) -> Future[str]:
        return self._begin("start", request)

    def schedule(self, request: Request) -> Future[str]:
        return self._begin("schedule", request)

    def stop(self) -> Future[str]:
        return self._begin("stop", None)

    def monitor(self, request: Request) -> Future[str]:
        return self._begin("monitor", request)

    def set_values(self, request: Request) -> Future[str]:
        return self._begin("set", request)

    def release(self, request: Request) -> Future[str]:
        return self._begin("release", request)

    def send(self, request: Request) -> Future[str]:
        return self._begin("send", request)

    def connect_input(self, request: Request) -> Future[str]:
        return self._begin("connect_input", request)

    def disconnect_input(self, request: Request) -> Future[str]:
        return self._begin("disconnect_input", request)

    def list_variables(self) -> Future[dict[str, Any]]:
        return self._begin("list", None, self.listing)

    def status(self) -> dict[str, Any]:
        return {"state": "idle", "last_error": self.errors[-1] if self.errors else None}

    def subscribe(self, callback: Callable[[str, str], None]) -> None:
        self.reports.append(callback)

    def note_error(self, text: str) -> None:
        self.errors.append(text)

    def note_check(self, result: dict[str, Any]) -> None:
        self.checks.append(result)

    def close(self, timeout_s: float = 5.0) -> None:
        self.closed += 1

    def report(self, event: str) -> None:
        """Report an event, as the session's thread does."""
        for callback in self.reports:
            callback(event, event)


class Client:
    """A client that waits for what it expects, and can tell that nothing else came."""

    def __init__(self, port: int, *, banner: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._unread = b""
        if banner:
            assert self.read(len(BANNER)) == BANNER

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode("ascii") if isinstance(data, str) else data)

    def read(self, count: int) -> bytes:
        while len(self._unread) < count:
            self._receive()
        found, self._unread = self._unread[:count], self._unread[count:]
        return found

    def line(self) -> str:
        while b"\n" not in self._unread:
            self._receive()
        found, _, self._unread = self._unread.partition(b"\n")
        return found.decode("ascii")

    def reply(self) -> Any:
        return json.loads(self.line())

    def is_up(self) -> bool:
        """Ask UP; whatever else the server had sent before would be found here."""
        self.send("UP;")
        return self.read(1) == b"1"

    def up_s(self) -> float:
        """Ask UP and measure how long the answer takes."""
        began_s = time.perf_counter()
        assert self.is_up()
        return time.perf_counter() - began_s

    def rest(self) -> bytes:
        """Read until the server closes the connection."""
        while True:
            try:
                data = self.socket.recv(4096)
            except ConnectionResetError:
                data = b""
            if not data:
                return self._unread
            self._unread += data

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the server closed; unread: {self._unread!r}")
        self._unread += data


class Serving:
    """A running server with a fake session, its thread, and its clients."""

    def __init__(self, server: BelaServer, session: FakeSession) -> None:
        self.server = server
        self.session = session
        self.thread = threading.Thread(target=server.start_listening, name="server under test")
        self.clients: list[Client] = []

    def client(self, *, banner: bool = True) -> Client:
        client = Client(self.server.port, banner=banner)
        self.clients.append(client)
        return client


def settings_with(**tables: Any) -> Settings:
    tables["server"] = {"port": 0, **tables.get("server", {})}
    return parse_settings(tables, "test")


@contextmanager
def serving(settings: Settings | None = None) -> Iterator[Serving]:
    """Run a server on a free port in a thread."""
    session = FakeSession()
    server = BelaServer(settings or settings_with(), lambda: session)
    server.init_server(threading.Event())
    running = Serving(server, session)
    running.thread.start()
    try:
        yield running
    finally:
        for client in running.clients:
            client.close()
        server.shutdown()
        running.thread.join(20)
        assert not running.thread.is_alive()


class ControlRoom:
    """Plays the control room: polls callbacks with 1 ms time-outs in a thread of its own.

    Parameters
    ----------
    port : int
        Where the module serves.
    *pids : int
        The module's process, when it is not this one.
    """

    def __init__(self, port: int, *pids: int) -> None:
        self._pids = pids
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        assert self.socket.recv(1024) == BANNER
        self.socket.sendall(b"GET_PCOMMS;")
        pcomms = b""
        while not pcomms.endswith(b"|UP"):
            pcomms += self.socket.recv(2048 * 8)
        self.pcomms = pcomms.decode("ascii").split("|")
        self.socket.settimeout(0.001)
        self.callbacks: list[str] = []
        self.strays: list[bytes] = []
        self.acknowledged = threading.Event()
        self._over = threading.Event()
        self._broker = threading.Thread(target=self._poll)
        self._broker.start()

    def _poll(self) -> None:
        while not self._over.is_set():
            message = b""
            while True:
                try:
                    chunk = self.socket.recv(1024)
                except TimeoutError:
                    break
                if not chunk:
                    return
                message += chunk
            if message.startswith(b"1") or message.endswith(b"1"):
                self.acknowledged.set()
            message = message.strip(b"1")
            if not message:
                continue
            if message.count(b"|") == 2:
                self.callbacks.append(message.decode("ascii"))
            else:
                self.strays.append(message)

    def send(self, command: str) -> None:
        self.socket.sendall(command.encode() + b";")

    def up_s(self) -> float:
        self.acknowledged.clear()
        watch = Stopwatch(*self._pids)
        self.send("UP")
        assert self.acknowledged.wait(60)
        return watch.passed_s

    def close(self) -> None:
        self._over.set()
        self._broker.join()
        self.socket.close()


class Launched:
    """The module's process, as the control room starts it."""

    def __init__(self, *arguments: str, stderr: int = subprocess.DEVNULL) -> None:
        watch = Stopwatch()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api.server", *arguments, "--ip=127.0.0.1", "--port=0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        watch.follow(self.process.pid)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"dp-bela listens on 127.0.0.1:(\d+)\n", line)
        if found is None:
            self.close()
            raise AssertionError(f"the module said {line!r} and ended with {self.process.poll()}")
        self.port = int(found[1])
        self.listens_after_s = watch.passed_s

    def end(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit status and how long the end took."""
        watch = Stopwatch(self.process.pid)
        self.process.send_signal(by)
        took_s = watch.wait_for(self.process)
        return self.process.returncode, took_s

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
