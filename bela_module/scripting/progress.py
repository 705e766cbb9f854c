"""A progress bar on the terminal, shown when something takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import Progress

from bela_module.scripting.time_limits import PROGRESS_DELAY_S, PROGRESS_END_S, PROGRESS_REFRESH_S


class ProgressDisplay:
    """Shows a bar on the terminal while a ``with`` block takes longer than a moment.

    Parameters
    ----------
    label : str
        What is waited for.
    fraction : callable
        How much of it is done, in 0 to 1; called from another thread.
    console : rich.console.Console, optional
        Where to show it; by default what is shown on stderr.
    """

    def __init__(
        self, label: str, fraction: Callable[[], float], console: Console | None = None
    ) -> None:
        self._label = label
        self._fraction = fraction
        self._console = console or Console(stderr=True)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ProgressDisplay:
        """Begin to wait."""
        if self._console.is_terminal:
            self._thread = threading.Thread(target=self._show, name="bela-progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(PROGRESS_END_S)  # a terminal may be stopped

    def _show(self) -> None:
        if self._ended.wait(PROGRESS_DELAY_S):
            return
        with Progress(console=self._console, transient=True) as bar:
            task = bar.add_task(self._label, total=1.0)
            while not self._ended.wait(PROGRESS_REFRESH_S):
                bar.update(task, completed=self._fraction())
