"""Signals, exit status, guarded output: what each command of this package needs of its process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

from bela_module.errors import BelaError

_TERMINATION_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Windows has the last one, but no SIGHUP."""


def end_on_signals(end: Callable[[], object]) -> None:
    """Have a function called when a signal asks this process to end; it must return at once.

    SIGHUP comes when the terminal is closed or its ssh connection drops. Under ``nohup`` it is
    ignored, and stays so.
    """
    for name in _TERMINATION_SIGNALS:
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
            continue
        signal.signal(number, lambda *_: end())


@contextmanager
def guarded_output() -> Iterator[None]:
    """Turn a failure to write to standard output into a `BelaError` with the cause."""
    try:
        yield
    except (OSError, SystemExit) as error:
        cause = error.__context__ if isinstance(error, SystemExit) else error  # rich exits itself
        _discard_output()
        words = getattr(cause, "strerror", None) or cause
        raise BelaError(f"cannot write to standard output: {words}") from error


def _discard_output() -> None:
    """Redirect standard output to the null device; flushing it at exit would fail once more.

    As described at https://docs.python.org/3/library/signal.html#note-on-sigpipe.
    """
    with suppress(OSError), Path(os.devnull).open("wb") as null:  # stdout may be no real file
        os.dup2(null.fileno(), sys.stdout.fileno())


def print_out(line: str) -> None:
    """Write a line to standard output and flush it.

    Raises
    ------
    BelaError
        It cannot be written.
    """
    print_to(sys.stdout, line)


def print_to(stream: TextIO | None, line: str) -> None:
    """Write a line to standard output, or to a stream that stands for it, and flush it.

    Raises
    ------
    BelaError
        It cannot be written.
    """
    if stream is None:  # it was closed before this process began
        raise BelaError("cannot write to standard output: it is closed")
    with guarded_output():
        stream.write(line + "\n")
        stream.flush()


def print_err(line: str) -> None:
    """Write a line to standard error, if there is one; a failure is ignored."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(line + "\n")


def report_error(reason: object, status: int) -> int:
    """Print in one line on standard error why the program ends; return its exit status."""
    print_err(f"dp-bela: {' '.join(str(reason).split())}")
    return status
