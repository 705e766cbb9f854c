"""``dp-bela report``: what an XDF recording proves, as text, JSON or a page with pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bela_module.errors import BelaError
from bela_module.server.process_io import guarded_output, print_out, report_error

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from bela_module.reports.recording_report import RecordingReport


def main(arguments: Sequence[str]) -> int:
    """Report on a recording; return the exit status: 1 when it failed or cannot be read."""
    options = _parser().parse_args(arguments)
    try:
        report = _report(options)
        if options.json:
            from bela_module.reports.recording_report import as_json, without_nan

            print_out(json.dumps(without_nan(as_json(report))))
        else:
            _print_text(report)
    except BelaError as error:
        return report_error(error, 1)
    return int(report.verdict.value == "fail")


def _report(options: argparse.Namespace) -> RecordingReport:
    from bela_module.reports.recording_report import report_on, require_ours
    from bela_module.reports.xdf_reader import read_recording

    report = report_on(read_recording(options.file))
    require_ours(report)
    return report


def _print_text(report: RecordingReport) -> None:
    """Print tables; where no terminal bounds the width, nothing is wrapped."""
    import sys

    from rich.console import Console

    from bela_module.reports.text_report import render_report

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_PIPE_COLUMNS, highlight=False)
    with guarded_output():
        console.print(render_report(report))


_PIPE_COLUMNS = 240


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dp-bela report",
        description="What an XDF recording proves: samples, gaps, stated uncertainty, events.",
        epilog="The exit status is 1 when the verdict is fail, or when the file cannot be read.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.xdf", help="what a recorder wrote")
    parser.add_argument("--json", action="store_true", help="one JSON object, no table")
    return parser
