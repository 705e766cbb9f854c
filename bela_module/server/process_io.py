"""What a program owes to whoever started it: to end when told to, and to say why in one line.

Both command lines stand on it, ``main.py`` and ``python -m api.server``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bela_module.errors import BelaError

_ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows has the last, but no SIGHUP


def end_on_signals(end: Callable[[], object]) -> None:
    """Have a function called when a signal tells this process to end.

    SIGHUP comes when the terminal is closed or its ssh connection drops. ``nohup`` has it ignored,
    and so it stays.

    Parameters
    ----------
    end : callable
        Takes nothing; it must return at once.
    """
    for name in _ENDING:
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
            continue
        signal.signal(number, lambda *_: end())


@contextmanager
def writing() -> Iterator[None]:
    """Guard what writes to standard output.

    Raises
    ------
    BelaError
        It is full, or nobody reads it any more.
    """
    try:
        yield
    except (OSError, SystemExit) as error:
        cause = error.__context__ if isinstance(error, SystemExit) else error  # rich exits itself
        _discard_output()
        words = getattr(cause, "strerror", None) or cause
        raise BelaError(f"cannot write to standard output: {words}") from error


def _discard_output() -> None:
    """Have what is left of the output go nowhere; flushed at the exit, it would fail once more.

    The way is that of https://docs.python.org/3/library/signal.html#note-on-sigpipe.
    """
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:  # unless it is no file at all
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def say(line: str) -> None:
    """Write a line to standard output, at once.

    Parameters
    ----------
    line : str
        Without its end.

    Raises
    ------
    BelaError
        It cannot be written.
    """
    if sys.stdout is None:  # it was closed before this process began
        raise BelaError("cannot write to standard output: it is closed")
    with writing():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def remark(line: str) -> None:
    """Write a line to standard error, as far as there is one.

    Parameters
    ----------
    line : str
        Without its end.
    """
    if sys.stderr is not None:
        with suppress(OSError):  # nobody is left to be told
            sys.stderr.write(line + "\n")


def complain(reason: object, status: int) -> int:
    """Say in one line on standard error why the program ends.

    Parameters
    ----------
    reason : object
        Its text is put into one line.
    status : int
        The exit status that goes with it.

    Returns
    -------
    int
        That status.
    """
    remark(f"dp-bela: {' '.join(str(reason).split())}")
    return status
