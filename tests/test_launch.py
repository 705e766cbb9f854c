"""``python -m api.server`` as a control room launches it: quickly up, quickly and cleanly gone."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from server_helpers import Client

from api import launch

ROOT = Path(__file__).resolve().parent.parent
NO_BOARD = "--board=127.0.0.1:9"  # the discard port: nobody listens
WaitUntil = Callable[..., None]


class Launched:
    """The module's process, as the control room starts it."""

    def __init__(self, *arguments: str) -> None:
        began_s = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api.server", *arguments, "--ip=127.0.0.1", "--port=0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        found = re.fullmatch(
            r"dp-bela listens on 127.0.0.1:(\d+)\n", self.process.stdout.readline()
        )
        assert found is not None
        self.port = int(found[1])
        self.listens_after_s = time.monotonic() - began_s

    def end(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit status and how long the end took."""
        began_s = time.monotonic()
        self.process.send_signal(by)
        return self.process.wait(20), time.monotonic() - began_s

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


Launch = Callable[..., Launched]


@pytest.fixture
def launched() -> Iterator[Launch]:
    processes: list[Launched] = []

    def start(*arguments: str) -> Launched:
        processes.append(Launched(*arguments))
        return processes[-1]

    yield start
    for process in processes:
        process.close()


@pytest.mark.parametrize("board", [NO_BOARD, "--simulate=1"])
def test_up_within_two_seconds_and_gone_within_one(launched: Launch, board: str) -> None:
    figures: list[tuple[float, float]] = []
    for _ in range(3):  # once must do: this machine may stall
        module = launched(board, "--loglevel=10")
        client = Client(module.port)
        client.send("VERBOSE;START;")
        assert client.line() == "OK VERBOSE"
        assert client.is_up() if board == NO_BOARD else client.line() == "OK START"
        status, end_s = module.end()
        client.close()
        assert status == 0
        figures.append((module.listens_after_s, end_s))
        if figures[-1][0] < 2.0 and figures[-1][1] < 1.0:
            return
    pytest.fail(f"seconds to listen and to end: {figures}")


def test_start_waits_for_a_board_that_is_not_there(launched: Launch, wait_until: WaitUntil) -> None:
    module = launched(NO_BOARD)
    client = Client(module.port)
    client.send("START;")

    def state() -> str:
        client.send("STATUS;")
        return str(client.reply()["state"])

    wait_until(lambda: state() == "waiting", "state waiting")
    assert client.is_up()
    client.close()
    assert module.end(signal.SIGINT)[0] == 0


def test_close_ends_the_process_and_the_simulated_board(launched: Launch) -> None:
    module = launched("--simulate=1")
    client = Client(module.port)
    client.send("VERBOSE;START;")
    assert client.line() == "OK VERBOSE"
    assert client.line() == "OK START"
    children = psutil.Process(module.process.pid).children()
    assert len(children) == 1
    client.send("CLOSE;")
    assert module.process.wait(20) == 0
    assert psutil.wait_procs(children, timeout=20)[1] == []
    client.close()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--port=many", "command line: server.port = 'many': must be a whole number"),
        ("--loglevel=7", "command line: log.level = '7': must be 'DEBUG', 'INFO'"),
        ("--config=/nowhere/bela.toml", "cannot read the configuration /nowhere/bela.toml"),
        ("--board=a b", "--board a b: host = 'a b': must be a host name"),
    ],
)
def test_wrong_settings_end_with_a_reason(
    argument: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.main([argument]) == 1
    assert words in capsys.readouterr().err


def test_a_port_in_use_ends_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert launch.main([f"--port={port}"]) == 1
    assert f"cannot serve at 127.0.0.1:{port}: " in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--simulate=perhaps", "--nonsense=1"])
def test_wrong_arguments_end_with_status_2(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        launch.main([argument])
    assert caught.value.code == 2
    assert argument.partition("=")[0] in capsys.readouterr().err
