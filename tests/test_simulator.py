"""The command line of the simulated board."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from raw_client import raw_client

from bela_module.simulated_board import SimulatedBoard
from bela_module.simulator import main

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def launched(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the simulator as a process, and give it with the address that it prints."""
    command = [sys.executable, "-m", "bela_module.simulator", "--port", "0", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("a simulated board runs")
            yield process, line.split()[-1]
        finally:
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a process can take")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_at_once(number: signal.Signals) -> None:
    with (
        launched("--sketch", "ramps", "--rate", "1000", "--fault", "stall:at_s=500") as (
            process,
            url,
        ),
        raw_client(url) as client,
    ):
        assert client.list().sample_rate_hz == 1000.0
        process.send_signal(number)
        began_s = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - began_s < 5.0


def test_it_replays_a_capture() -> None:
    capture = ROOT / "tests" / "captures" / "manyvars.jsonl.gz"
    with launched("--replay", str(capture)) as (_, url), raw_client(url) as client:
        assert len(client.list().variables) == 124


def test_sketches_and_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-sketches"]) == 0
    assert "potentiometers  two knobs" in capsys.readouterr().out
    assert main(["--list-faults"]) == 0
    assert "drop-header:p=1.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--fault", "nope"], 2, "no fault 'nope'"),
        (["--rate", "0"], 2, "above 0"),
        (["--replay", "missing.jsonl", "--fault", "stall"], 2, "takes none"),
        (["--replay", "missing.jsonl"], 1, "cannot read the capture"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", *arguments]) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with SimulatedBoard() as board:
        assert main(["--port", str(board.port)]) == 1
    assert "cannot listen on" in capsys.readouterr().err
