"""Experiments as a control room runs them, and whether the file has all of it.

Each experiment launches the module on a simulated board as a control room does, prepares it, starts
a recorder, starts and stops the stream, and stops the recorder when the module's callback says so.
Then the file is loaded with pyxdf and compared with STATUS and with the markers.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pylsl

from bela_module.protocol.variables import ValueType
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.assignments import Assignments
from bela_module.simulator.sketches.built_in import SKETCHES
from bela_module.simulator.sketches.signals import float_ramp, ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from bela_module.streams.lsl_clock import local_clock
from benchmarks.lab_recorder import LabRecording
from benchmarks.recording_check import EVENTS, Expected, Result, compare, last_stamps_s

ROOT: Final = Path(__file__).resolve().parents[1]
STOP_RECORD: Final = "dp-lsl-recording|STOPRECORD|{}"
START_IN_S: Final = 1.0
STREAMED_S: Final = 2.5
LINGER_S: Final = 1.0  # the module's default
TIMEOUT_S: Final = 30.0
_RECOVERY_S: Final = 15.0  # within which a recorder finds streams again that have come back
_ASK_S: Final = 0.05
_EVERY_12, _TEN_A_SECOND = Assignments(12), Assignments(4410)
_SPARSE: Final = Sketch(
    "sparse",
    "sparse ramps in every type, and one so slow that all of it comes at the end",
    (
        SketchVariable("sparse_d", ValueType.DOUBLE, ramp, True, _EVERY_12),
        SketchVariable("sparse_j", ValueType.UNSIGNED_INT, ramp, True, _EVERY_12),
        SketchVariable("sparse_i", ValueType.INT, ramp, True, _EVERY_12),
        SketchVariable("sparse_f", ValueType.FLOAT, float_ramp, True, _EVERY_12),
        SketchVariable("sparse_c", ValueType.CHAR, ramp, True, _EVERY_12),
        SketchVariable("slow_d", ValueType.DOUBLE, ramp, True, _TEN_A_SECOND),
    ),
)


def configuration(linger_s: float) -> str:
    """Write the module's configuration.

    Parameters
    ----------
    linger_s : float
        How long it waits with the callback that ends the recording.
    """
    return f"""[board]
name = "recorded"
[callbacks]
stopped = "{STOP_RECORD}"
schedule_finished = "{STOP_RECORD}"
linger_s = {linger_s}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One experiment.

    Parameters
    ----------
    title : str
        What it is called in the table.
    sketch : Sketch
        What the board runs; all its variables are streamed. A value is its tick modulo
        ``wraps_at``, as far as its type holds that.
    wraps_at : int
        See above.
    runs : int
        How often the same module does it, each time into a file of its own; the last one counts.
    scheduled : bool
        Whether it is a SCHEDULE instead of START and STOP.
    disturb : str
        What happens in the middle: ``restart`` of the board, ``kill`` of the module, or nothing.
    connects_only : bool
        Whether the control room asks neither for ``GET_PCOMMS`` nor for ``UP``.
    """

    title: str
    sketch: Sketch = SKETCHES["ramps"]
    wraps_at: int = 2**53
    runs: int = 1
    scheduled: bool = False
    disturb: str = ""
    connects_only: bool = False


CASES: Final = (
    Case("fresh launch"),
    Case("second run", runs=2),
    Case("SCHEDULE", scheduled=True),
    Case("130 variables", SKETCHES["many"], wraps_at=4096),
    Case("sparse only", _SPARSE),
    Case("restart of the board", disturb="restart"),
    Case("kill and restart of the module", disturb="kill"),
    Case("a room that only connects", connects_only=True),
)


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


class MarkerListener:
    """Receives all markers from when it is made; the file has to have the same."""

    def __init__(self) -> None:
        (info,) = pylsl.resolve_byprop("name", EVENTS, 1, TIMEOUT_S)
        self._inlet = pylsl.StreamInlet(info, processing_flags=pylsl.proc_none)
        self._inlet.open_stream(TIMEOUT_S)
        self.markers: list[tuple[float, str]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._pull)
        self._thread.start()

    def close(self) -> None:
        """Take what is there, and end."""
        self._over.set()
        self._thread.join()
        self._inlet.close_stream()

    def _pull(self) -> None:
        over = False
        while not over:
            over = self._over.is_set()
            samples, stamps_s = self._inlet.pull_chunk(0.1, 64)
            self.markers += [(t, texts[0]) for t, texts in zip(stamps_s, samples, strict=True)]


class Experiment:
    """A board, a module and a room; use it in a ``with`` statement.

    Parameters
    ----------
    case : Case
        What is done.
    recorder : LabRecording
        What records it.
    folder : Path
        Where the files and the module's configuration go.
    delay_s : float
        Delay between board and module each way; a fifth of it is the mean of the jitter.
    streamed_s : float
        How long it streams, and again after what happens in the middle.
    linger_s : float
        How long the module waits with the callback that ends the recording.
    """

    def __init__(
        self,
        case: Case,
        recorder: LabRecording,
        folder: Path,
        delay_s: float = 0.0,
        *,
        streamed_s: float = STREAMED_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._case, self._recorder, self._folder = case, recorder, folder
        self._streamed_s = streamed_s
        self._life = contextlib.ExitStack()  # what ends with the module
        self._board = SimulatedBoard(
            case.sketch, delay_s=delay_s, jitter_s=delay_s / 5, clock=local_clock
        )
        self._config = folder / "bela.toml"
        self._config.write_text(configuration(linger_s), encoding="utf-8")

    def __enter__(self) -> Experiment:
        """Start the board and the module."""
        self._board.__enter__()
        try:
            self._launch()
        except BaseException:
            self._board.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all of it."""
        try:
            self._life.close()
        finally:
            self._board.__exit__(kind, error, trace)

    def run(self) -> Result:
        """Do it as often as the case says; give what is in the last file."""
        result = Result()
        for number in range(self._case.runs):
            result = self._record(self._folder / f"run{number}.xdf")
        return result

    def _launch(self) -> None:
        with contextlib.ExitStack() as stack:
            self._module = Module(self._board.port, self._config)
            stack.callback(self._module.end)
            self._room = Room(self._module.port, connects_only=self._case.connects_only)
            stack.callback(self._room.close)
            self._observer = Observer(self._module.port)
            stack.callback(self._observer.close)
            self._life = stack.pop_all()

    def _prepare(self) -> None:
        self._room.send("PREPARE")
        self._observer.wait(lambda s: s["state"] == "prepared", "state prepared")

    def _record(self, path: Path) -> Result:
        self._prepare()
        listener = MarkerListener()
        lives: list[list[dict[str, Any]]] = []
        try:
            self._recorder.record(path)
            if self._case.scheduled:
                self._room.send("SCHEDULE", start_in_s=START_IN_S, duration_s=self._streamed_s)
            else:
                self._start()
                self._disturb(path, lives)
                self._room.send("STOP")
            in_time = self._room.await_callback()
            self._recorder.stop()
            lives.append(
                self._observer.wait(lambda s: s["state"] != "streaming", "the end")["streams"]
            )
        finally:
            listener.close()
        names = {info.name() for info in pylsl.resolve_streams(1.0)}
        expected = Expected(
            self._case.sketch,
            self._case.wraps_at,
            lives,
            listener.markers,
            names,
            n_breaks=1 if self._case.disturb else 0,
        )
        result = compare(path, expected)
        if not in_time:
            result.faults.append("the callback did not come")
        return result

    def _start(self) -> None:
        self._room.send("START", start_in_s=START_IN_S)
        self._observer.wait(lambda s: s["state"] == "streaming", "state streaming")
        self._stream_on()

    def _stream_on(self) -> None:
        """Wait until what is streamed has come some seconds further."""
        until_s = local_clock() + self._streamed_s

        def has_come(status: dict[str, Any]) -> bool:
            return any((s["last_lsl_s"] or 0.0) > until_s for s in status["streams"])

        self._observer.wait(has_come, f"samples of {until_s:.1f} s")

    def _disturb(self, path: Path, lives: list[list[dict[str, Any]]]) -> None:
        if self._case.disturb == "restart":
            self._board.restart()
            self._observer.wait(lambda s: s["counters"]["restarts"], "the restart")
            self._stream_on()
        elif self._case.disturb == "kill":
            lives.append(self._observer.status()["streams"])
            self._module.kill()
            self._life.close()
            back_s = local_clock()
            self._launch()
            self._prepare()
            self._start()
            self._await_recorder(path, back_s)

    def _await_recorder(self, path: Path, since_s: float) -> None:
        """Wait until the file has something new of every stream, but not for ever."""
        names = {EVENTS, *(s["name"] for s in self._observer.status()["streams"])}
        deadline_s = time.monotonic() + _RECOVERY_S
        while time.monotonic() < deadline_s:
            last_s = last_stamps_s(path)
            if all(last_s.get(name, 0.0) > since_s for name in names):
                return
            time.sleep(0.2)
