"""The command line of the simulated board."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed

from bela_module.protocol.control_commands import CONNECTION_REPLY
from bela_module.simulator.__main__ import main
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.paths import ROOT
from tests.support.raw_client import raw_client
from tests.support.stopwatch import Stopwatch


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
        watch = Stopwatch(process.pid)
        process.send_signal(number)
        took_s = watch.wait_for(process)
        assert process.returncode == 0
        assert took_s < 5.0


def test_it_replays_a_capture() -> None:
    capture = ROOT / "tests" / "captures" / "manyvars.jsonl.gz"
    with launched("--replay", str(capture)) as (_, url), raw_client(url) as client:
        assert len(client.list().variables) == 124


def test_a_network_and_the_timing_of_tcp_are_chosen_by_name() -> None:
    with (
        launched("--sketch", "ramps", "--network", "usb", "--tcp", "delayed-ack") as (_, url),
        raw_client(url) as client,
    ):
        assert client.list().variables


@pytest.mark.parametrize("rate", [(), ("--rate", "24000")])
def test_a_sketch_may_declare_a_wrong_rate(rate: tuple[str, ...]) -> None:
    arguments = ("--sketch", "potentiometers", "--declared-rate", "44100", *rate)
    with launched(*arguments) as (_, url), raw_client(url) as client:
        assert client.list().sample_rate_hz == 44100.0


def test_sketches_and_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-sketches"]) == 0
    assert "potentiometers  two knobs" in capsys.readouterr().out
    assert main(["--list-faults"]) == 0
    listed = capsys.readouterr().out
    assert "so many seconds after the first client is there" in listed
    assert "drop-header:p=1,n=0,variable=" in listed


def test_a_fault_without_a_time_waits_for_the_first_client() -> None:
    with (
        launched("--sketch", "ramps", "--fault", "disconnect") as (_, url),
        raw_client(url, reply=False) as client,
    ):
        assert client.list().variables
        client.control.send(CONNECTION_REPLY)
        with pytest.raises(ConnectionClosed):
            client.control.recv(timeout=20)


def test_faults_for_the_sketch_after_a_restart_are_taken() -> None:
    with launched(
        "--sketch",
        "ramps",
        "--fault",
        "restart:sketch=truth",
        "--fault",
        "drop-pair:variable=truth",
    ) as (_, url):
        with raw_client(url, reply=False) as client:
            assert len(client.list().variables) == 6
            client.control.send(CONNECTION_REPLY)
            with pytest.raises(ConnectionClosed):
                client.control.recv(timeout=20)
        with raw_client(url) as client:
            assert len(client.list().variables) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--fault", "nope"], 2, "no fault 'nope'"),
        (["--fault", "stall:for_s=nan"], 2, "for_s=nan of the fault 'stall': it must be 0.001 to"),
        (["--fault", "drop-pair:variable=zzz"], 2, "no variable 'zzz'; it offers 'pot1'"),
        (["--rate", "0"], 2, "--rate 0.0: it must be 0.001 to 100000000 Hz"),
        (["--rate", "inf"], 2, "--rate inf"),
        (["--drift-ppm", "nan"], 2, "--drift-ppm nan: it must be -500000 to 1000000 ppm"),
        (["--delay-ms", "-1"], 2, "--delay-ms -1.0: it must be 0 to 60000 ms"),
        (["--jitter-ms", "inf"], 2, "--jitter-ms inf"),
        (["--network", "usb", "--jitter-ms", "1"], 2, "--network has delays of its own"),
        (["--port", "70000"], 2, "it must be a whole number, 0 to 65535"),
        (["--seed", "-1"], 2, "--seed -1"),
        (["--speed", "0"], 2, "--speed 0.0: it must be 0.001 to 1000"),
        (["--replay", "missing.jsonl", "--fault", "stall"], 2, "takes none"),
        (["--replay", "missing.jsonl"], 1, "cannot read the capture"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--port" not in arguments:
        arguments = ["--port", "0", *arguments]
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with SimulatedBoard() as board:
        assert main(["--port", str(board.port)]) == 1
    assert "cannot listen on" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a process can take")
def test_a_signal_may_come_while_the_main_thread_holds_a_lock() -> None:
    script = """
        import os, signal, sys, threading, types
        from bela_module.simulator import __main__ as simulator

        class Interrupted(threading.Event):
            def wait(self, timeout=None):
                with self._cond:  # as an Event does that begins to wait
                    os.kill(os.getpid(), signal.SIGTERM)
                    sum(range(1000))
                return super().wait(timeout)

        simulator.threading = types.SimpleNamespace(Event=Interrupted, Thread=threading.Thread)
        sys.exit(simulator.main(["--port", "0", "--sketch", "ramps"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=40, check=False)
    assert (run.returncode, run.stderr) == (0, "")
