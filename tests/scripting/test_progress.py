"""The progress bar: on a terminal only, and only when it takes long."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from bela_module.scripting import progress
from bela_module.scripting.progress import ProgressDisplay


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PROGRESS_DELAY_S", 0.01)
    monkeypatch.setattr(progress, "PROGRESS_REFRESH_S", 0.01)


def test_a_terminal_is_shown_what_is_waited_for(wait_until: Callable[..., None]) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)
    with ProgressDisplay("1000 values of pot1", lambda: 0.5, console):
        wait_until(lambda: "50%" in shown.getvalue(), "the bar")
    assert "1000 values of pot1" in shown.getvalue()


def test_nothing_is_shown_elsewhere() -> None:
    shown = io.StringIO()
    threads = threading.active_count()
    with ProgressDisplay("values", lambda: 0.5, Console(file=shown)):
        assert threading.active_count() == threads
    assert shown.getvalue() == ""


def test_nothing_is_shown_when_it_is_over_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PROGRESS_DELAY_S", 20.0)
    shown = io.StringIO()
    with ProgressDisplay("values", lambda: 0.5, Console(file=shown, force_terminal=True)):
        pass
    assert shown.getvalue() == ""


def test_a_terminal_that_takes_nothing_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setattr(progress, "PROGRESS_END_S", 0.05)
    goes_on, reached = threading.Event(), threading.Event()

    class Stopped(io.StringIO):
        def write(self, text: str, /) -> int:
            reached.set()
            goes_on.wait(20.0)
            return super().write(text)

    try:
        with ProgressDisplay("values", lambda: 0.5, Console(file=Stopped(), force_terminal=True)):
            reached.wait(20.0)
        assert not goes_on.is_set()
    finally:
        goes_on.set()
    wait_until(
        lambda: all(t.name != "bela-progress" for t in threading.enumerate()), "the thread's end"
    )
