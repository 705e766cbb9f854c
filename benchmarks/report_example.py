"""Record the simulated board and an amplifier that sees its pulses; write the report's example.

``python benchmarks/report_example.py [--seconds 60] [--recorder stand-in|LabRecorderCLI] [--write
docs/report.md] [--picture assets/report.png]`` prints the report. The board drifts by 50 ppm and
loses two blocks; the amplifier samples at 500 Hz, and its stamps are 30 ms late.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pylsl
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.config import parse_settings  # noqa: E402
from bela_module.reports.pulses.channel_choice import choose_channel  # noqa: E402
from bela_module.reports.pulses.pulse_edges import find_edges  # noqa: E402
from bela_module.reports.pulses.pulse_report import report_on_pulses  # noqa: E402
from bela_module.reports.recording_report import RecordingReport, report_on  # noqa: E402
from bela_module.reports.report_figures import write_png  # noqa: E402
from bela_module.reports.text_report import render_report  # noqa: E402
from bela_module.reports.xdf_reader import read_recording  # noqa: E402
from bela_module.requests import PrepareRequest, StartRequest  # noqa: E402
from bela_module.session.session import Session  # noqa: E402
from bela_module.simulator.faults.message_faults import DropPair  # noqa: E402
from bela_module.simulator.simulated_board import SimulatedBoard  # noqa: E402
from bela_module.simulator.sketches.signals import sync_pulse  # noqa: E402
from bela_module.streams.lsl.outlets import LslOutlets  # noqa: E402
from bela_module.streams.lsl_clock import local_clock  # noqa: E402
from benchmarks.lab_recorder import CommandLineRecorder, StandInRecorder  # noqa: E402
from benchmarks.marked_text import write_between_marks  # noqa: E402
from tests.support.lsl_settings import isolate_lsl  # noqa: E402

PROGRAM: Final = "benchmarks/report_example.py"
RECORDERS: Final = {"stand-in": StandInRecorder, "LabRecorderCLI": CommandLineRecorder}
VARIABLES: Final = ("sync", "sync_in")
TIMEOUT_S: Final = 60.0
FETCHED_S: Final = 2.0
DRIFT_PPM: Final = 50.0
EEG_RATE_HZ: Final = 500.0
EEG_LATE_S: Final = 0.030
EEG_CHUNK: Final = 25
WIDTH: Final = 132


class Amplifier:
    """An amplifier whose trigger channel sees the board's pulses, with stamps that are late.

    Parameters
    ----------
    board : SimulatedBoard
        Whose pulses it sees.
    """

    def __init__(self, board: SimulatedBoard) -> None:
        info = pylsl.StreamInfo("EEG", "EEG", 1, EEG_RATE_HZ, pylsl.cf_float32, "amplifier-1")
        channels = info.desc().append_child("channels")
        channels.append_child("channel").append_child_value("label", "TRIG")
        self._outlet = pylsl.StreamOutlet(info)
        self._board = board
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        (zero_s,) = self._board.true_time_s([0])
        rate_hz = self._board.true_tick_rate_hz
        pulse = sync_pulse()
        at_s = local_clock()
        while not self._over.wait(max(0.0, at_s + EEG_CHUNK / EEG_RATE_HZ - local_clock())):
            times_s = at_s + np.arange(EEG_CHUNK) / EEG_RATE_HZ
            ticks = np.floor((times_s - zero_s) * rate_hz).astype(np.int64)
            rows = pulse(ticks, times_s)[:, None].astype(np.float32)
            self._outlet.push_chunk(np.ascontiguousarray(rows), float(times_s[-1] + EEG_LATE_S))
            at_s = float(times_s[-1]) + 1 / EEG_RATE_HZ


def record(path: Path, seconds: float, recorder_name: str) -> None:
    """Record a board and an amplifier for some seconds."""
    with SimulatedBoard("sync-pulse", drift_ppm=DRIFT_PPM, clock=local_clock) as board:
        sections = {"board": {"host": "127.0.0.1", "port": board.port, "name": "left"}}
        settings = parse_settings(sections, "example")
        amplifier = Amplifier(board)
        recorder = RECORDERS[recorder_name]()
        try:
            with Session(settings, sink=LslOutlets, now=local_clock) as session:
                session.prepare(PrepareRequest(variables=VARIABLES)).result(TIMEOUT_S)
                recorder.record(path)
                session.start(StartRequest()).result(TIMEOUT_S)
                for share in (0.35, 0.3):
                    time.sleep(share * seconds)
                    board.inject(DropPair(n=1, variable="sync"))
                time.sleep(0.35 * seconds)
                session.stop().result(TIMEOUT_S)
                time.sleep(FETCHED_S)
                recorder.stop()
        finally:
            recorder.close()
            amplifier.close()


def report(path: Path) -> RecordingReport:
    """Report on the recording, as the command does."""
    recording = read_recording(path, lambda _name, _source_id, labels: tuple(range(len(labels))))
    pulse = choose_channel("bela_sync/0", recording.streams)
    against = choose_channel("EEG/TRIG", recording.streams)
    pulses = report_on_pulses(pulse, against, find_edges(pulse), find_edges(against))
    return report_on(recording, pulses)


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--recorder", choices=RECORDERS, default="LabRecorderCLI")
    parser.add_argument("--write", type=Path, help="put the text between the marks of this file")
    parser.add_argument("--picture", type=Path, help="write the pictures into this PNG file")
    parser.add_argument("--keep", type=Path, help="keep the recording here")
    options = parser.parse_args()
    isolate_lsl()
    with TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "pulses.xdf"
        record(path, options.seconds, options.recorder)
        made = report(path)
    console = Console(width=WIDTH, highlight=False, no_color=True)
    with console.capture() as shown:
        console.print(render_report(made))
    text = "\n".join(line.rstrip() for line in shown.get().splitlines())
    text = text.replace(str(path), "pulses.xdf")
    print(text)
    if options.write is not None:
        write_between_marks(options.write, f"```\n{text}\n```", PROGRAM)
    if options.picture is not None:
        write_png(made, options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
