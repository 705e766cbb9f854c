"""Standard output and error of a program that no terminal, pipe or reader can stop.

A pipe that nobody reads, a terminal that was paused, a console in which text is selected: a program
that writes there waits. Here a thread of its own waits, and what does not fit into its queue is
dropped.
LSL's library writes to the file descriptor of standard error itself, in the session's thread: in a
program that is a pipe, which is read into the log.

Only programs use this (:func:`run_program`); importing the package changes nothing.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from bela_module.server.output.background_writer import BackgroundStream
from bela_module.server.process_limits import share_one_heap
from bela_module.server.time_limits import STDERR_END_S

# LSL: date, time, (uptime s) [thread] file:line LEVEL| message
_LSL_LINE: Final = re.compile(r"^\d{4}-\d\d-\d\d .*?(\w+)\| ?(.*)$")
_LSL_LEVELS: Final = {
    "FATL": logging.CRITICAL,
    "ERR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
}


def run_program(main: Callable[[], int]) -> int:
    """Run the main function of a program, whose standard streams cannot stop it."""
    share_one_heap()
    _open_missing_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with _background_stderr():
        return main()


def _open_missing_descriptors() -> None:
    """Have no socket or file of ours become the standard error that a library writes to."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


@contextmanager
def _background_stderr() -> Iterator[None]:
    """Write standard error in the background, and read what libraries write there into the log."""
    before = sys.stderr
    if not _is_descriptor(before, 2):
        yield
        return
    before.flush()
    saved = os.dup(2)
    raw = open(saved, "wb", buffering=0, closefd=False)  # noqa: SIM115 - the writer's thread has it
    stream = BackgroundStream(raw, before.encoding or "utf-8", is_strict=False, name="errors")
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    reader = threading.Thread(
        target=_read_library_output, args=(reading, stream), name="library output", daemon=True
    )
    reader.start()
    sys.stderr = stream
    try:
        yield
    finally:
        _discard(2)  # ends the pipe, and so its reader
        reader.join(STDERR_END_S)
        # Whatever still writes must not wait: only a reader that reads gets standard error back.
        if stream.finish(STDERR_END_S):
            os.dup2(saved, 2)
            sys.stderr = before
        else:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end


def _is_descriptor(stream: Any, number: int) -> bool:
    try:
        return bool(stream.fileno() == number)
    except (AttributeError, OSError):  # there is none, or it stands for no file
        return False


def _discard(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def _read_library_output(descriptor: int, stderr: BackgroundStream) -> None:
    """Log what is written to a pipe, a record a line; before the log begins, pass it on."""
    logger = logging.getLogger("bela_module.library_output")
    package = logging.getLogger("bela_module")
    with suppress(OSError), open(descriptor, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not package.handlers:
                stderr.write(line)
                continue
            found = _LSL_LINE.match(line)
            if found is None:
                logger.warning("%s", line.rstrip())
            else:
                logger.log(_LSL_LEVELS.get(found[1], logging.DEBUG), "LSL: %s", found[2])
