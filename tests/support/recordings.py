"""XDF files as a recorder of our streams writes them, without LSL: for tests of reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.pulses.channel_choice import choose_channel
from bela_module.reports.pulses.pulse_edges import find_edges
from bela_module.reports.pulses.pulse_report import report_on_pulses
from bela_module.reports.recording_report import RecordingReport, report_on
from bela_module.reports.xdf_reader import read_recording
from bela_module.streams.clock_plan import CLOCK_UNITS
from bela_module.streams.loop_plan import LOOP_UNITS
from benchmarks.xdf_file import XdfFile
from tests.support.pulse_signals import ENDS_S, pulses

BEGIN_S = 5000.0
RATE_HZ = 1000.0
BOARD = "bela:simulation"

Floats = NDArray[np.float64]


@dataclass
class MadeStream:
    """A stream of a file that is made."""

    name: str
    stamps_s: Floats
    rows: Any
    rate_hz: float = 0.0
    labels: Sequence[str] = ("x",)
    content_type: str = "Bela"
    channel_format: str = "float32"
    source_id: str | None = None
    mode: str = "dense"
    input_delay_s: float = 0.0
    offset_s: float = 0.0

    def header(self) -> str:
        source_id = f"bela:{BOARD}:{self.name}" if self.source_id is None else self.source_id
        channels = "".join(
            f"<channel><label>{escape(label)}</label></channel>" for label in self.labels
        )
        return (
            f"<?xml version='1.0'?><info><name>{escape(self.name)}</name>"
            f"<type>{self.content_type}</type><channel_count>{len(self.labels)}</channel_count>"
            f"<nominal_srate>{self.rate_hz}</nominal_srate>"
            f"<channel_format>{self.channel_format}</channel_format>"
            f"<source_id>{escape(source_id)}</source_id><desc><channels>{channels}</channels>"
            f"<acquisition><mode>{self.mode}</mode>"
            f"<compensated_lag>{self.input_delay_s}</compensated_lag></acquisition></desc></info>"
        )


@dataclass
class MadeRecording:
    """A file that is made; a board's streams are added with the methods."""

    streams: list[MadeStream] = field(default_factory=list)

    def samples(self, name: str, stamps_s: Floats, **more: Any) -> MadeStream:
        rows = more.pop("rows", np.zeros((stamps_s.size, len(more.get("labels", ("x",))))))
        stream = MadeStream(name, stamps_s, rows.astype(np.float32), **{"rate_hz": RATE_HZ, **more})
        self.streams.append(stream)
        return stream

    def events(self, markers: Sequence[tuple[float, str]], **more: Any) -> None:
        stamps_s = np.array([at_s for at_s, _ in markers])
        rows = [[text] for _, text in markers]
        given = {"content_type": "Markers", "channel_format": "string", **more}
        self.streams.append(MadeStream("bela_events", stamps_s, rows, **given))

    def clock(self, stamps_s: Floats, uncertainty_s: Floats, unix_s: float = 1e9) -> None:
        rows = np.zeros((stamps_s.size, len(CLOCK_UNITS)))
        rows[:, 0] = 1000 * np.arange(stamps_s.size)
        rows[:, 1], rows[:, 3], rows[:, 5] = uncertainty_s, 12.5, stamps_s + unix_s
        labels = tuple(CLOCK_UNITS)
        given: dict[str, Any] = {"content_type": "Clock", "channel_format": "double64"}
        self.streams.append(MadeStream("bela_clock", stamps_s, rows, labels=labels, **given))

    def loop(self, stamps_s: Floats, one_way_s: Floats, inputs: Floats, lost: Floats) -> None:
        rows = np.zeros((stamps_s.size, len(LOOP_UNITS)))
        rows[:, 0], rows[:, 1], rows[:, 2] = np.arange(stamps_s.size), one_way_s, 0.0004
        rows[:, 3], rows[:, 4], rows[:, 5] = 2 * one_way_s, lost, inputs
        given: dict[str, Any] = {"content_type": "Loop", "channel_format": "double64"}
        self.streams.append(
            MadeStream("bela_loop", stamps_s, rows, labels=tuple(LOOP_UNITS), **given)
        )

    def write(self, path: Path) -> Path:
        with XdfFile(path) as file:
            for number, stream in enumerate(self.streams, 1):
                file.write_header(number, stream.header())
            for number, stream in enumerate(self.streams, 1):
                for part in np.array_split(np.arange(stream.stamps_s.size), 4):
                    if part.size == 0:
                        continue
                    begin, end = part[0], part[-1] + 1
                    stamps_s = stream.stamps_s[begin:end]
                    if isinstance(stream.rows, list):
                        file.write_texts(number, stamps_s, stream.rows[begin:end])
                    else:
                        file.write_samples(number, stamps_s, stream.rows[begin:end])
                ends_s = stream.stamps_s[[0, -1]] if stream.stamps_s.size else np.zeros(2)
                for at_s in ends_s:
                    file.write_offset(number, float(at_s), stream.offset_s)
                file.write_footer(number, float(ends_s[0]), float(ends_s[1]), stream.stamps_s.size)
        return path


def regular(n_samples: int, rate_hz: float = RATE_HZ, begin_s: float = BEGIN_S) -> Floats:
    """Give the stamps of a stream without a gap."""
    return begin_s + np.arange(n_samples) / rate_hz


def healthy(n_samples: int = 10_000) -> MadeRecording:
    """Make a recording of a board with two streams, clock and events, in which nothing is wrong."""
    made = MadeRecording()
    stamps_s = regular(n_samples)
    made.samples("bela_pot1", stamps_s, labels=("pot1",))
    made.samples("bela_touch", stamps_s[::1000], labels=("touch",), rate_hz=0.0, mode="sparse")
    made.clock(regular(n_samples // 1000, 1.0), np.full(n_samples // 1000, 0.0004))
    made.events([(BEGIN_S - 0.01, "started"), (float(stamps_s[-1]) + 0.01, "stopped")])
    return made


def with_pulses(lag_s: float = 0.03, eeg_rate_hz: float = 500.0) -> MadeRecording:
    """Make a healthy recording with pulses that an EEG amplifier stamps later by a lag."""
    made = healthy(1000)
    for name, label, rate_hz, late_s in (
        ("bela_sync", "sync", 2000.0, 0.0),
        ("EEG", "TRIG", eeg_rate_hz, lag_s),
    ):
        true_s = np.arange(0, ENDS_S, 1 / rate_hz)
        rows = np.zeros((true_s.size, 2))
        rows[:, 1] = pulses(true_s)
        more = {} if late_s == 0 else {"source_id": "eeg-1", "content_type": "EEG"}
        labels = ("ramp", label)
        stamps_s = BEGIN_S + true_s + late_s
        made.samples(name, stamps_s, rows=rows, labels=labels, rate_hz=rate_hz, **more)
    return made


def pulses_of(
    path: Path, pulse: str = "bela_sync/sync", against: str = "EEG/TRIG"
) -> RecordingReport:
    """Report on a recording and the pulses in it, as the command does."""
    recording = read_recording(path, lambda _name, _source_id, labels: tuple(range(len(labels))))
    first = choose_channel(pulse, recording.streams)
    second = choose_channel(against, recording.streams)
    pulses_found = report_on_pulses(first, second, find_edges(first), find_edges(second))
    return report_on(recording, pulses_found)
