"""Output of ``record``: progress line on a terminal, JSON lines for programs, else notices."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from bela_module.cli.time_limits import JSON_LINE_S, SCREEN_REFRESH_S
from bela_module.lab_recording.recording_order import RecordingObserver, RecordingProgress
from bela_module.server.process_io import guarded_output, print_err, print_out

_UNITS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000.0


class RecordScreen(RecordingObserver, AbstractContextManager["RecordScreen"]):
    """Shows how a recording goes on; ends it when that is asked for.

    Parameters
    ----------
    file_name : str
        Name of the file.
    json_lines : bool
        Whether a JSON object a second is printed instead.
    is_over : callable
        Tells whether to end: a signal asks for it, or a replay is at its end.
    """

    def __init__(self, file_name: str, *, json_lines: bool, is_over: Callable[[], bool]) -> None:
        self._file_name = file_name
        self._json_lines = json_lines
        self._live: Any = None
        self._context: AbstractContextManager[Any] = nullcontext()
        self._next_line_s = 0.0
        self._is_over = is_over

    def __enter__(self) -> RecordScreen:
        """Begin the progress line, where there is a terminal."""
        from rich.console import Console

        console = Console(stderr=True)
        if console.is_terminal and not self._json_lines:
            from rich.live import Live

            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._context = self._live
        self._context.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the progress line."""
        self._context.__exit__(None, None, None)

    def is_cancelled(self) -> bool:
        """Tell whether to end."""
        return self._is_over()

    def progress(self, progress: RecordingProgress) -> None:
        """Show how it goes on."""
        if self._live is not None:
            from rich.text import Text

            line = Text(progress_line(self._file_name, progress), no_wrap=True, overflow="ellipsis")
            if progress.n_lost:
                line.stylize("yellow")
            self._live.update(line, refresh=True)
        elif self._json_lines and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + JSON_LINE_S - SCREEN_REFRESH_S
            print_out(json.dumps(progress_json(progress)))

    def notice(self, text: str) -> None:
        """Show what is worth knowing."""
        if self._live is not None:
            with guarded_output():
                self._live.console.print(text, style="yellow", markup=False, highlight=False)
        else:
            print_err(text)


@contextmanager
def reading_back(file_name: str, *, json_lines: bool) -> Iterator[None]:
    """Show on a terminal that a file is being read back, which takes its time for a large one."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    if json_lines or not console.is_terminal:
        yield
        return
    text = f"reading {file_name} back ... (Ctrl-C: without a proof)"
    with console.status(escape(text), spinner="line"):  # plain characters
        yield


def progress_line(file_name: str, progress: RecordingProgress) -> str:
    """Describe a recording in a line."""
    seconds = int(progress.elapsed_s)
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return (
        f"{progress.stage.value} {file_name}  {clock}  {shown_bytes(progress.n_bytes)}  "
        f"{progress.n_streams} streams  {progress.n_samples} samples  {progress.n_lost} lost"
    )


def progress_json(progress: RecordingProgress) -> dict[str, Any]:
    """Describe a recording as an object for JSON."""
    return {
        "stage": progress.stage.value,
        "elapsed_s": round(progress.elapsed_s, 3),
        "size_bytes": progress.n_bytes,
        "streams": progress.n_streams,
        "samples": progress.n_samples,
        "lost": progress.n_lost,
    }


def shown_bytes(n_bytes: int) -> str:
    """Give a size with three digits or so."""
    size = float(n_bytes)
    for unit in _UNITS:
        if size < _THOUSAND or unit == _UNITS[-1]:
            break
        size /= _THOUSAND
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
