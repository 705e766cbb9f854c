"""Output of ``stream``: live table, JSON lines, or plain lines where there is no terminal."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from bela_module.cli.time_limits import JSON_LINE_S, SCREEN_REFRESH_S
from bela_module.errors import BelaError
from bela_module.server.output.background_writer import BackgroundStream, background_stdout
from bela_module.server.process_io import guarded_output, print_err, print_to

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from rich.console import Console


class Screen(AbstractContextManager["Screen"]):
    """Output of a session; the live table is shown inside of its context."""

    def __init__(self, *, json_lines: bool) -> None:
        self._json_lines = json_lines
        self._output = background_stdout()
        self._console = None if json_lines else _console(self._output)
        self.live = self._console is not None and self._console.is_terminal
        """Whether it is a live table, which lines of a log would break."""
        self._live: Any = nullcontext()
        self._next_line_s = 0.0

    @property
    def _is_behind(self) -> bool:
        """Whether what was shown before is not read yet."""
        return isinstance(self._output, BackgroundStream) and self._output.is_behind

    def __enter__(self) -> Screen:
        """Begin the live table."""
        if self.live:
            from rich.live import Live

            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        with guarded_output():
            self._live.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the live table."""
        with guarded_output():
            self._live.__exit__(None, None, None)

    def print_line(self, line: str) -> None:
        """Print a line for people: on standard error when the output is JSON."""
        if self._console is None:
            print_err(line)
        else:
            with guarded_output():
                self._console.print(line, markup=False, soft_wrap=True)

    def show(self, status: dict[str, Any]) -> None:
        """Show a STATUS object, as often as the kind of output allows."""
        if self._is_behind:
            return  # nobody reads, as in a terminal that was paused; the session goes on
        if self.live:
            from bela_module.cli.live_view import render

            with guarded_output():
                self._live.update(render(status), refresh=True)
        elif self._json_lines and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + JSON_LINE_S - SCREEN_REFRESH_S / 2
            print_to(self._output, json.dumps(status))

    def summary(self, status: dict[str, Any]) -> None:
        """Show the last STATUS object; `BelaError` when it cannot be written, or nobody reads."""
        from bela_module.cli.live_view import render, totals

        if self._console is not None:
            with guarded_output():
                self._console.print(render(status))
        else:
            samples, lost = totals(status)
            last = {**status, "samples": samples, "lost": lost, "final": True}
            print_to(self._output, json.dumps(last))
        if isinstance(self._output, BackgroundStream) and not self._output.finish():
            raise BelaError("cannot write to standard output: nobody reads it")


def _console(output: Any) -> Console:
    from rich.console import Console

    return Console(file=output)
