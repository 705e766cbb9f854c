"""Experiments as a control room runs them, and whether the file has all of it.

Each experiment launches the module on a simulated board as a control room does, prepares it, starts
a recorder, starts and stops the stream, and stops the recorder when the module's callback says so.
Then the file is loaded with pyxdf and compared with STATUS and with the markers.
"""

from __future__ import annotations

import contextlib
import threading
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
from benchmarks.control_room import TIMEOUT_S, Module, Observer, Room, configuration
from benchmarks.lab_recorder import LabRecording
from benchmarks.recording_check import EVENTS, Expected, Result, compare

START_IN_S: Final = 1.0
STREAMED_S: Final = 2.5
LINGER_S: Final = 1.0  # the module's default
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
    rate_hz : float, optional
        Rate of the ticks, by default the sketch's own.
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
    rate_hz: float | None = None
    runs: int = 1
    scheduled: bool = False
    disturb: str = ""
    connects_only: bool = False

    @property
    def events(self) -> tuple[str, ...]:
        """What the markers have to tell at least, in any order."""
        if self.scheduled:
            return ("schedule_started", "schedule_finished")
        more = {"restart": ("board_restarted",), "kill": ("started",)}
        return ("started", *more.get(self.disturb, ()), "stopped")


CASES: Final = (
    Case("fresh launch"),
    Case("second run", runs=2),
    Case("SCHEDULE", scheduled=True),
    Case("130 variables at 10 kHz", SKETCHES["many"], wraps_at=4096, rate_hz=10_000.0),
    Case("sparse only", _SPARSE),
    Case("restart of the board", disturb="restart"),
    Case("kill and restart of the module", disturb="kill"),
    Case("a room that only connects", connects_only=True),
)


class MarkerListener:
    """Receives all markers of one life of the module; the file has to have the same."""

    def __init__(self) -> None:
        (info,) = pylsl.resolve_byprop("name", EVENTS, 1, TIMEOUT_S)
        flags = pylsl.proc_none
        self._inlet = pylsl.StreamInlet(info, recover=False, processing_flags=flags)
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
        with contextlib.suppress(pylsl.util.LostError):  # the module was killed
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
    patient : bool
        Whether the module that was killed and is back starts only when the recorder has found all
        streams again. Otherwise it does so at once.
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
        patient: bool = False,
    ) -> None:
        self._case, self._recorder, self._folder = case, recorder, folder
        self._streamed_s, self._patient = streamed_s, patient
        self._life = contextlib.ExitStack()  # what ends with the module
        self._board = SimulatedBoard(
            case.sketch,
            case.rate_hz,
            delay_s=delay_s,
            jitter_s=delay_s / 5,
            clock=local_clock,
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
                self._disturb(lives)
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
            self._case.events,
            names,
            n_breaks=1 if self._case.disturb else 0,
        )
        result = compare(path, expected)
        if not in_time:
            result.faults.append("the callback did not come")
        return result

    def _start(self) -> None:
        self._room.send("START", start_in_s=START_IN_S)
        self._observer.wait(_latest_s, "the first samples")
        self._stream_on()

    def _stream_on(self) -> None:
        """Wait until what is streamed has come some seconds further."""
        until_s = local_clock() + self._streamed_s
        self._observer.wait(lambda s: _latest_s(s) > until_s, f"samples of {until_s:.1f} s")

    def _disturb(self, lives: list[list[dict[str, Any]]]) -> None:
        if self._case.disturb == "restart":
            self._board.restart()
            self._observer.wait(lambda s: s["counters"]["restarts"], "the restart")
            self._stream_on()
        elif self._case.disturb == "kill":
            n_consumers = self._module.n_consumers - 1  # the listener does not come back
            lives.append(self._observer.status()["streams"])
            self._module.kill()
            self._life.close()
            self._launch()
            self._prepare()
            if self._patient:
                self._await_consumers(n_consumers)
            self._start()
            self._await_consumers(n_consumers)

    def _await_consumers(self, n_consumers: int) -> None:
        self._observer.wait(
            lambda _: self._module.n_consumers >= n_consumers, "a connection for each stream"
        )


def _latest_s(status: dict[str, Any]) -> float:
    """Give the stamp of the latest sample of any stream, 0 when there is none."""
    return max((s["last_lsl_s"] or 0.0 for s in status["streams"]), default=0.0)
