"""Experiments as a control room runs them, and whether the file has all of it.

Each experiment launches the module on a simulated board as a control room does, prepares it, starts
a recorder, starts and stops the stream, and stops the recorder when the module's callback says so.
Then the file is loaded with pyxdf and compared with STATUS and with the markers.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import pylsl
import pyxdf

from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from benchmarks.lab_recorder import LabRecording

ROOT: Final = Path(__file__).resolve().parents[1]
STOP_RECORD: Final = "dp-lsl-recording|STOPRECORD|{}"
START_IN_S: Final = 1.0
STREAMED_S: Final = 2.5
TIMEOUT_S: Final = 30.0
PREFIX: Final = "bela_"
EVENTS: Final = "bela_events"
CONFIG: Final = f"""[board]
name = "recorded"
[callbacks]
stopped = "{STOP_RECORD}"
schedule_finished = "{STOP_RECORD}"
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One experiment.

    Parameters
    ----------
    title : str
        What it is called in the table.
    sketch, variables
        What the board runs, and what is streamed of it; all when empty.
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
    sketch: str = "ramps"
    variables: tuple[str, ...] = ()
    runs: int = 1
    scheduled: bool = False
    disturb: str = ""
    connects_only: bool = False

    @property
    def selection(self) -> dict[str, Any]:
        """The payload that names the variables."""
        return {"variables": list(self.variables)} if self.variables else {}


CASES: Final = (
    Case("fresh launch"),
    Case("second run", runs=2),
    Case("SCHEDULE", scheduled=True),
    Case("130 variables", sketch="many"),
    Case("sparse only", sketch="alltypes", variables=("sc", "sj", "si", "sf", "sd")),
    Case("restart of the board", disturb="restart"),
    Case("kill and restart of the module", disturb="kill"),
    Case("a room that only connects", connects_only=True),
)


@dataclass(slots=True)
class Result:
    """What of an experiment is in the file."""

    n_samples: int = 0
    n_expected: int = 0
    n_markers: int = 0
    faults: list[str] = field(default_factory=list)


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
        self._close()

    def end(self) -> None:
        """End it as a control room does."""
        self._process.terminate()
        self._close()

    def _close(self) -> None:
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
        deadline_s = time.monotonic() + TIMEOUT_S / 2
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
            time.sleep(0.02)
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
    """A board, a module and a room; use it in a ``with`` statement."""

    def __init__(
        self,
        case: Case,
        recorder: LabRecording,
        folder: Path,
        delay_s: float,
        streamed_s: float = STREAMED_S,
    ) -> None:
        self._case, self._recorder, self._folder = case, recorder, folder
        self._streamed_s = streamed_s
        self._stack = contextlib.ExitStack()
        self._board = SimulatedBoard(
            case.sketch, delay_s=delay_s, jitter_s=delay_s / 5, clock=local_clock
        )
        self._config = folder / "bela.toml"
        self._config.write_text(CONFIG, encoding="utf-8")
        self.result = Result()

    def __enter__(self) -> Experiment:
        """Start the board and the module."""
        self._stack.enter_context(self._board)
        self._launch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all of it."""
        self._leave()
        self._module.end()
        self._stack.close()

    def run(self) -> Result:
        """Do it as often as the case says; give what is in the last file."""
        for number in range(self._case.runs):
            path = self._folder / f"run{number}.xdf"
            self.result = self._record(path)
        return self.result

    def _launch(self) -> None:
        self._module = Module(self._board.port, self._config)
        self._room = Room(self._module.port, connects_only=self._case.connects_only)
        self._observer = Observer(self._module.port)

    def _leave(self) -> None:
        self._observer.close()
        self._room.close()

    def _prepare(self) -> None:
        self._room.send("PREPARE", **self._case.selection)
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
                self._room.send("START", start_in_s=START_IN_S)
                self._stream(lives)
                self._room.send("STOP")
            in_time = self._room.await_callback()
            self._recorder.stop()
            lives.append(
                self._observer.wait(lambda s: s["state"] != "streaming", "the end")["streams"]
            )
        finally:
            listener.close()
        names = {info.name() for info in pylsl.resolve_streams(1.0)}
        result = compare(path, lives, listener.markers, names)
        if not in_time:
            result.faults.append("the callback did not come")
        return result

    def _stream(self, lives: list[list[dict[str, Any]]]) -> None:
        """Let it stream for a while, with what happens meanwhile."""

        def flows(status: dict[str, Any]) -> bool:
            return bool(status["streams"]) and all(s["samples"] for s in status["streams"])

        self._observer.wait(flows, "samples")
        time.sleep(self._streamed_s)
        if self._case.disturb == "restart":
            self._board.restart()
            self._observer.wait(lambda s: s["counters"]["restarts"], "the restart")
            time.sleep(self._streamed_s)
        elif self._case.disturb == "kill":
            lives.append(self._observer.status()["streams"])
            self._leave()
            self._module.kill()
            self._launch()
            self._prepare()
            self._room.send("START", start_in_s=START_IN_S)
            self._observer.wait(flows, "samples")
            time.sleep(2 * self._streamed_s)


# ---- the file ------------------------------------------------------------------------------------


def compare(
    path: Path,
    lives: list[list[dict[str, Any]]],
    markers: list[tuple[float, str]],
    names: set[str],
) -> Result:
    """Compare a file with STATUS, with the markers, and with the streams that are there.

    Parameters
    ----------
    path : Path
        The file.
    lives : list
        The ``streams`` of STATUS at the end. Before it, those just before the module was killed,
        which are at least what was published.
    markers : list
        All markers, with their stamps.
    names : set of str
        Names of all streams.
    """
    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    pyxdf.load_xdf(path)  # as an importer does
    streams, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    taken = {stream["info"]["name"][0]: stream for stream in streams}
    result = Result()
    missing = sorted(name for name in names if name.startswith(PREFIX) and name not in taken)
    if missing:
        result.faults.append(f"{len(missing)} streams are not in the file, as {missing[0]}")
    expected: Counter[str] = Counter()
    for streams_of_life in lives:
        expected.update({stream["name"]: stream["samples"] for stream in streams_of_life})
    for name, n_expected in expected.items():
        stamps_s = taken[name]["time_stamps"] if name in taken else np.empty(0)
        result.n_expected += n_expected
        result.n_samples += min(stamps_s.size, n_expected)
        if stamps_s.size < n_expected or (len(lives) == 1 and stamps_s.size > n_expected):
            result.faults.append(f"{name}: {stamps_s.size} of {n_expected} samples")
        if np.any(np.diff(stamps_s) < 0):
            result.faults.append(f"{name}: stamps run backwards")
    if not sum(expected.values()):
        result.faults.append("nothing was streamed")
    events = taken.get(EVENTS)
    kept = Counter(
        ()
        if events is None
        else zip(events["time_stamps"], (row[0] for row in events["time_series"]), strict=True)
    )
    lost = Counter(markers) - kept
    result.n_markers = len(markers) - lost.total()
    if lost:
        result.faults.append(f"markers are missing: {', '.join(text for _, text in lost)}")
    words = {text.split()[0] for _, text in markers}
    ends = {"stopped", "schedule_finished"} & words
    if not ends:
        result.faults.append("no marker tells the end")
    return result
