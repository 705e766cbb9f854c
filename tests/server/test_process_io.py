"""What a program does when a signal ends it, or when nobody reads what it writes."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bela_module.errors import BelaError
from bela_module.server.process_io import (
    end_on_signals,
    guarded_output,
    print_err,
    print_out,
    report_error,
)
from tests.support.server_helpers import default_signals

NAMES = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    with default_signals():
        yield


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", NAMES)
def test_signals_end_it(name: str) -> None:
    calls: list[str] = []
    end_on_signals(lambda: calls.append(name))
    signal.raise_signal(signal.Signals[name])
    assert calls == [name]


@pytest.mark.skipif("SIGHUP" not in NAMES, reason="there is no such signal on Windows")
def test_what_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_on_signals(lambda: pytest.fail("the terminal is not needed"))
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_lines_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    print_out("one")
    print_err("two")
    assert report_error("a reason\nof two lines", 2) == 2
    assert capsys.readouterr() == ("one\n", "two\ndp-bela: a reason of two lines\n")


def test_an_output_that_takes_no_more_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(BelaError, match="^cannot write to standard output: No space left on dev"):
        print_out("one")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(BelaError, match="^cannot write to standard output: it is closed"):
        print_out("one")


def test_an_exit_because_of_a_closed_pipe_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = (tmp_path / "output").open("w")
    monkeypatch.setattr(sys, "stdout", output)  # its descriptor is redirected

    def exit_as_rich_does() -> None:
        try:
            raise BrokenPipeError(32, "Broken pipe")
        except BrokenPipeError:
            raise SystemExit(1)  # noqa: B904

    with (
        pytest.raises(BelaError, match="^cannot write to standard output: Broken pipe"),
        guarded_output(),
    ):
        exit_as_rich_does()
    output.close()


@pytest.mark.parametrize("stream", [Full(), None])
def test_no_remark_is_ever_in_the_way(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert report_error("nobody hears it", 1) == 1
