"""``dp-bela check``: one verdict before an experiment, with what to do, as a table or JSON.

It streams for some seconds, receives its streams back through LSL, and judges board, network,
clock, LSL and this computer. It may run beside a module that streams: nothing of others is touched.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bela_module.cli.board_options import add_board_options, settings_of, simulated_board
from bela_module.errors import BelaError, LibraryError
from bela_module.server.process_io import (
    end_on_signals,
    guarded_output,
    print_err,
    print_out,
    report_error,
)

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from rich.console import RenderableType

    from bela_module.checking.verdicts import CheckReport
    from bela_module.config import Settings
    from bela_module.simulator.replay.replayed_board import ReplayedBoard

_MAX_SECONDS: Final = 3600.0
_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "red"}
_UNLIMITED: Final = 10_000
"""Columns of what is no terminal: each check is one line there."""


def main(arguments: Sequence[str]) -> int:
    """Check everything; return 0 when nothing failed, 1 when something did, 2 for wrong options."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_of(options)
    except BelaError as error:
        return report_error(error, 2)
    try:
        with simulated_board(options) as simulated:
            if simulated is not None:
                settings = _at(settings, *simulated.start())
            report = _check(settings, options, simulated.replay if simulated is not None else None)
    except BelaError as error:
        return report_error(error, 1)
    if options.json:
        print_out(json.dumps(report.as_json()))
    else:
        _print_table(report)
    return 1 if report.verdict.value == "fail" else 0


def _at(settings: Settings, host: str, port: int) -> Settings:
    from bela_module.config import with_overrides

    return with_overrides(settings, board={"host": host, "port": port, "name": "simulated"})


def _check(
    settings: Settings, options: argparse.Namespace, replay: ReplayedBoard | None
) -> CheckReport:
    try:
        from bela_module.checking.checker import run_check
        from bela_module.checking.own_streams import Playback
        from bela_module.streams.lsl.lsl_settings import prepare_lsl
    except (ImportError, OSError, RuntimeError) as error:  # pylsl raises any of them
        raise LibraryError(f"{error}") from error
    from bela_module.server.process_limits import raise_descriptor_limit

    # What goes wrong is a line of the result; a log line beside it would say it twice.
    logging.getLogger("bela_module").addHandler(logging.NullHandler())
    raise_descriptor_limit()
    prepare_lsl(this_machine_only=options.simulate or options.replay is not None)
    asked_to_end: list[int] = []
    end_on_signals(lambda: asked_to_end.append(1))
    playback = None
    if replay is not None:
        playback = Playback(replay.watched, replay.monitored, replay.finished.is_set)
    with _progress(options) as tell:
        return run_check(settings, options.seconds, tell, lambda: bool(asked_to_end), playback)


@contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Callable[[str], None] | None]:
    """Show what is being done; on standard error, so that the table alone can be kept."""
    from rich.console import Console

    console = Console(stderr=True)
    if options.json:
        yield None
    elif console.is_terminal and not (console.is_dumb_terminal or console.no_color):
        with console.status("", spinner="line") as shown:  # plain characters
            yield lambda text: shown.update(f"{text} ...")
    else:
        yield lambda text: print_err(f"{text} ...")


def _print_table(report: CheckReport) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_UNLIMITED)
    if console.legacy_windows:  # its colours are no text: what is drawn into one has none
        console = Console(width=console.width, color_system=None)
    with guarded_output():
        with console.capture() as drawn:
            console.print(check_table(report))
            style = _STYLES[report.verdict.value]
            console.print(report.summary(), style=style, highlight=False, markup=False)
        print_out("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def check_table(report: CheckReport) -> RenderableType:
    """Draw the lines of a check as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="none", padding=(0, 2, 0, 0))
    for column in ("", "check", "measured", "what to do"):
        table.add_column(column, overflow="fold")
    for check in report.checks:
        verdict = check.verdict.value
        table.add_row(
            Text(verdict.upper(), style=_STYLES[verdict]),
            Text(check.name),
            Text(check.measured),  # whatever is in it is no markup
            Text(check.advice),
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dp-bela check",
        description="Check board, network, clock, LSL and this computer before an experiment. "
        "It may run beside a module that streams: what others use is left alone.",
        epilog="exit status: 0 when nothing failed, 1 when something did, 2 for wrong options",
    )
    add_board_options(parser)
    parser.add_argument(
        "--seconds", metavar="S", type=_seconds, default=8.0, help="how long to stream (8)"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object, no table")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 1.0 <= value <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {_MAX_SECONDS:g} seconds")
    return value
