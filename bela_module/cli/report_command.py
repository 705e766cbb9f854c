"""``dp-bela report``: what an XDF recording proves, as text, JSON or a page with pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bela_module.errors import BelaError
from bela_module.server.process_io import guarded_output, print_out, report_error

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from bela_module.reports.pulses.pulse_report import PulseReport
    from bela_module.reports.recorded_stream import LoadedRecording
    from bela_module.reports.recording_report import RecordingReport

_EDGES: Final = ("auto", "rising", "falling")
_PIPE_COLUMNS: Final = 240  # where no terminal bounds the width, nothing is wrapped


def main(arguments: Sequence[str]) -> int:
    """Report on a recording; return the exit status: 1 when it failed or cannot be read."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if bool(options.pulse) != bool(options.against):
        parser.error("--pulse and --against belong together: two channels that saw the same pulse")
    try:
        report = _report(options)
        if options.html is not None:
            from bela_module.reports.html_report import write_html

            write_html(report, options.html)
        if options.json:
            from bela_module.reports.recording_report import as_json, without_nan

            print_out(json.dumps(without_nan(as_json(report))))
        else:
            print_report(report)
    except BelaError as error:
        return report_error(error, 1)
    return int(report.verdict.value == "fail")


def _report(options: argparse.Namespace) -> RecordingReport:
    from bela_module.reports.pulses.channel_choice import channels_meant
    from bela_module.reports.recording_report import report_on, require_ours
    from bela_module.reports.xdf_reader import read_recording

    choices = [choice for choice in (options.pulse, options.against) if choice]

    def keep(name: str, source_id: str, labels: tuple[str, ...]) -> tuple[int, ...]:
        meant = (channels_meant(choice, name, source_id, labels) for choice in choices)
        return tuple(sorted({channel for channels in meant for channel in channels}))

    recording = read_recording(options.file, keep)
    report = report_on(recording, _pulses(recording, options) if choices else None)
    require_ours(report)
    return report


def _pulses(recording: LoadedRecording, options: argparse.Namespace) -> PulseReport:
    from bela_module.reports.pulses.channel_choice import choose_channel
    from bela_module.reports.pulses.pulse_edges import find_edges
    from bela_module.reports.pulses.pulse_levels import EdgeDirection
    from bela_module.reports.pulses.pulse_report import report_on_pulses

    pulse = choose_channel(options.pulse, recording.streams)
    against = choose_channel(options.against, recording.streams)
    return report_on_pulses(
        pulse,
        against,
        find_edges(pulse, EdgeDirection(options.pulse_edge)),
        find_edges(against, EdgeDirection(options.against_edge)),
    )


def print_report(report: RecordingReport) -> None:
    """Print a report as text; where no terminal bounds the width, nothing is wrapped."""
    from rich.console import Console

    from bela_module.reports.text_report import plain_report, render_report

    console = Console(highlight=False)
    if not console.is_terminal:
        print_out(plain_report(report, _PIPE_COLUMNS))
        return
    with guarded_output():
        console.print(render_report(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dp-bela report",
        description="What an XDF recording proves: samples, gaps, stated uncertainty, events; and "
        "the lag and jitter between two channels that saw the same pulses.",
        epilog="CHANNEL is a label or a number from 0, as in --pulse bela_sync/0 --against "
        "EEG/TRIG; STREAM/CHANNEL=TEXT takes only markers of that text. The exit status is 1 when "
        "the verdict is fail, or when the file cannot be read.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.xdf", help="what a recorder wrote")
    channel = "STREAM/CHANNEL"
    parser.add_argument("--pulse", metavar=channel, help="a channel that has pulses")
    parser.add_argument("--against", metavar=channel, help="another one that has the same pulses")
    parser.add_argument(
        "--pulse-edge", choices=_EDGES, default="auto", help="which edge counts; default: the first"
    )
    parser.add_argument("--against-edge", choices=_EDGES, default="auto", help="the same there")
    parser.add_argument("--html", type=Path, metavar="OUT", help="a page with pictures, as well")
    parser.add_argument("--json", action="store_true", help="one JSON object, no table")
    return parser
