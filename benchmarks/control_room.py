"""What a control room does with the module: starts its process, commands it, takes callbacks."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

ROOT: Final = Path(__file__).resolve().parents[1]
STOP_RECORD: Final = "dp-lsl-recording|STOPRECORD|{}"
TIMEOUT_S: Final = 30.0
_ASK_S: Final = 0.05


def configuration(linger_s: float) -> str:
    """Write the module's configuration.

    The board has a name of its own: an LSL inlet that has lost its stream goes to any other of the
    same identity, whatever the ``SessionID``.

    Parameters
    ----------
    linger_s : float
        How long it waits with the callback that ends the recording.
    """
    return f"""[board]
name = "recorded-{uuid.uuid4().hex[:8]}"
[callbacks]
stopped = "{STOP_RECORD}"
schedule_finished = "{STOP_RECORD}"
linger_s = {linger_s}
"""


class Module:
    """The module's process, as a control room starts it."""

    def __init__(self, board_port: int, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "api.server", f"--board=127.0.0.1:{board_port}"]
            + [f"--config={config}", "--ip=127.0.0.1", "--port=0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        found = re.search(r"listens on 127.0.0.1:(\d+)", line)
        if found is None:
            self.kill()
            raise RuntimeError(f"the module says {line!r}")
        self.port = int(found[1])

    @property
    def n_consumers(self) -> int:
        """How many connections there are to its outlets."""
        connections = psutil.Process(self._process.pid).net_connections("tcp")
        outlets = {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
        outlets.discard(self.port)
        established = [c for c in connections if c.status == psutil.CONN_ESTABLISHED]
        return sum(c.laddr.port in outlets for c in established)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._process.kill()
        self.end()

    def end(self) -> None:
        """End it as a control room does, if it has not ended."""
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Room:
    """A control room's connection: sends commands, keeps callbacks, asks UP once a second."""

    def __init__(self, port: int, *, connects_only: bool = False) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._over = threading.Event()
        self._received = b""
        self._reader = threading.Thread(target=self._read)
        self._asker = threading.Thread(target=self._ask)
        self._reader.start()
        if not connects_only:
            self._socket.sendall(b"GET_PCOMMS;")
            self._asker.start()

    def send(self, pcomm: str, **payload: Any) -> None:
        """Send a command; a room does not wait for an answer."""
        text = f"|{json.dumps(payload)}" if payload else ""
        self._socket.sendall(f"{pcomm}{text};".encode())

    def await_callback(self) -> bool:
        """Wait for the callback that ends the recording; tell whether it came."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while STOP_RECORD.encode() not in self._received:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.01)
        self._received = b""
        return True

    def close(self) -> None:
        """Disconnect."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._reader.join()
        if self._asker.ident is not None:
            self._asker.join()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(4096):
                self._received += data

    def _ask(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.wait(1.0):
                self._socket.sendall(b"UP;")


class Observer:
    """Another client, which asks STATUS."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()  # the banner

    def status(self) -> dict[str, Any]:
        """Ask for STATUS."""
        self._socket.sendall(b"STATUS;")
        status: dict[str, Any] = json.loads(self._lines.readline())
        return status

    def wait(self, condition: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Ask until a condition of STATUS is true."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not condition(status := self.status()):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{what} did not come: {status}")
            time.sleep(_ASK_S)
        return status

    def close(self) -> None:
        """Disconnect."""
        self._lines.close()
        self._socket.close()
