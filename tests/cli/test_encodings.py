"""What is printed is readable in any encoding, on a terminal and in a pipe, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console

from bela_module.cli.list_command import variable_table
from bela_module.cli.live_view import render
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.cli.test_screen import STATUS
from tests.support.amount import THOROUGH
from tests.support.paths import ROOT

RATE_HZ = 5000.0
# Without a µ and with one, of one byte and of several; all of them when there is time.
IN_A_PIPE = ["gbk", "cp437", "utf-16", *(["ascii", "utf-8"] if THOROUGH else [])]
ON_A_TERMINAL = ["ascii", *(["gbk"] if THOROUGH else [])]
STREAM = {
    "name": "bela_[/red]", "mode": "dense", "format": "float32", "nominal_rate_hz": 100.0,
    "effective_rate_hz": None, "samples": 1, "lost": 0, "gaps": 0, "delay_s": None,
}  # fmt: skip
VARIABLE = {
    "name": "[/red]", "type": "float", "mode": "dense", "value": 0.0, "watched": False,
    "controlled": False, "logged": False, "monitor_period_ticks": 0,
}  # fmt: skip


@pytest.fixture
def command() -> Iterator[list[str]]:
    """Give a command that streams of a board."""
    with SimulatedBoard("potentiometers", RATE_HZ, clock=local_clock) as board:
        address = f"127.0.0.1:{board.port}"
        yield [sys.executable, "main.py", "--board", address, "--port", "0"]


def environment(encoding: str) -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "200"}


def test_names_are_no_markup() -> None:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(render({**STATUS, "streams": [STREAM]}))
        console.print(variable_table([VARIABLE]))
    assert "bela_[/red] " in shown.get()
    assert shown.get().count("[/red]") == 2


@pytest.mark.parametrize("encoding", IN_A_PIPE)
def test_a_run_in_a_pipe(encoding: str, command: list[str]) -> None:
    done = subprocess.run(
        [*command, "--duration", "1.5"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        timeout=50,
        env=environment(encoding),
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    text = done.stdout.decode(encoding)
    unit = "µs" if encoding in ("cp437", "utf-16", "utf-8") else "us"
    assert f" {unit}, drift " in text
    assert "bela_pot1" in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize("encoding", ON_A_TERMINAL)
def test_a_run_on_a_terminal(encoding: str, command: list[str]) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*command, "--duration", "3"],
        cwd=ROOT,
        stdout=theirs,
        stderr=theirs,
        env=environment(encoding) | {"TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert process.wait(40) == 0
    text = shown.decode(encoding)
    assert "Traceback" not in text
    assert text.count(" us, drift ") > 1  # the live table was drawn
