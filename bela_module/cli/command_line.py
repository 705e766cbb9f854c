"""``dp-bela`` and ``python main.py``: chooses the command that the first word names.

A further command is a file like :mod:`bela_module.cli.list_command` and a row of `COMMANDS`. No
command imports anything heavy before it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bela_module.cli import (
    check_command,
    list_command,
    record_command,
    report_command,
    serve_command,
    simulate_command,
    stream_command,
    view_command,
)
from bela_module.server.process_io import report_error


@dataclass(frozen=True, slots=True)
class CliCommand:
    """A command of ``dp-bela``."""

    name: str
    main: Callable[[Sequence[str]], int]
    """Takes the arguments after the command's name, returns the exit status."""
    help: str


COMMANDS: Final = (
    CliCommand("stream", stream_command.main, "publish variables as LSL streams; the default"),
    CliCommand("check", check_command.main, "is everything ready for an experiment?"),
    CliCommand("record", record_command.main, "record into XDF, and prove what is in the file"),
    CliCommand("view", view_command.main, "a live page in the browser"),
    CliCommand("report", report_command.main, "say what an XDF recording proves"),
    CliCommand("list", list_command.main, "show the board's variables"),
    CliCommand("simulate", simulate_command.main, "run a simulated board for any Watcher client"),
    CliCommand("serve", serve_command.main, "wait for a control room's commands (PCOMMs)"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; without a word in front it is ``stream``.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; by default that of this process.

    Returns
    -------
    int
        Exit status: 0 when what was asked for was done, 1 with a line on standard error when not,
        2 for wrong arguments.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0].startswith("-"):
        return stream_command.main(words, overview=overview())
    first, *rest = words
    for command in COMMANDS:
        if command.name == first:
            return command.main(rest)
    known = ", ".join(command.name for command in COMMANDS)
    return report_error(f"unknown command {first!r}; known: {known}", 2)


def overview() -> str:
    """List the commands, for ``--help``."""
    lines = ["commands, each with a --help of its own (the options below are those of stream):"]
    lines += [f"  {command.name:9} {command.help}" for command in COMMANDS]
    return "\n".join(lines)
