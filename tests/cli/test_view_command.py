"""``view`` on the command line: which module it shows, its warnings, what is missing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from bela_module.cli import view_command
from bela_module.cli.command_line import main
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.paths import ROOT
from tests.support.server_helpers import Launched, default_signals

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    with default_signals():
        yield


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


@contextmanager
def launched(*options: str) -> Iterator[tuple[Any, str, list[str]]]:
    """Run ``view``; give its process, its line on standard output, and those on standard error."""
    pytest.importorskip("bokeh")
    process = subprocess.Popen(
        [sys.executable, "main.py", "view", "--no-browser", "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    errors: list[str] = []
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, line, errors
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            _, text = process.communicate(timeout=60)
            errors += text.splitlines()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def test_wrong_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--port", "70000"], ["--module", "here"], ["--module", "here:x"]):
        with pytest.raises(SystemExit) as ended:
            main(["view", *options])
        assert ended.value.code == 2
        assert "usage: dp-bela view" in capsys.readouterr().err


def test_without_the_extra_a_sentence_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)
    assert main(["view", "--simulate"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("dp-bela: Bokeh, which draws the live page, is not installed: pip ")
    assert len(error.splitlines()) == 1


def test_a_module_that_is_named_must_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("bokeh")
    port = unused_port()
    assert main(["view", "--module", f"127.0.0.1:{port}", "--no-browser"]) == 1
    assert f"no dp-bela answers at 127.0.0.1:{port}" in capsys.readouterr().err


def test_it_attaches_to_a_module_that_runs_and_leaves_it_running() -> None:
    with SimulatedBoard(clock=local_clock) as board:
        module = Launched(f"--board=127.0.0.1:{board.port}")
        try:
            with launched("--module", f"127.0.0.1:{module.port}") as (process, line, errors):
                assert line.startswith("the live page is at http://127.0.0.1:")
            assert process.returncode == 0
            assert f"attached to the dp-bela at 127.0.0.1:{module.port}" in errors
            assert module.process.poll() is None
        finally:
            module.close()


@pytest.mark.parametrize("is_same", [True, False])
def test_it_attaches_only_to_a_module_of_the_board_that_is_named(
    tmp_path: Path, is_same: bool, wait_until: Callable[..., None]
) -> None:
    with SimulatedBoard(clock=local_clock) as board, SimulatedBoard(clock=local_clock) as other:
        module = Launched(f"--board=127.0.0.1:{board.port}")
        try:
            config = tmp_path / "bela.toml"
            config.write_text(f"[server]\nport = {module.port}\n[board]\nname = 'view-test'\n")
            port = board.port if is_same else other.port
            with launched("--config", str(config), "--board", f"127.0.0.1:{port}") as (_, line, _e):
                assert "the live page is at" in line
                if not is_same:
                    wait_until(lambda: len(other.watched_names()) == 7, "its own streams")
                assert board.watched_names() == []
            assert other.watched_names() == []
        finally:
            module.close()


def test_the_browser_is_opened_beside_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_in: Queue[threading.Thread] = Queue()

    async def serve(_page: Any, _ended: Any, on_listening: Callable[[str], None]) -> None:
        on_listening("http://127.0.0.1:1/")

    monkeypatch.setattr("webbrowser.open", lambda _: opened_in.put(threading.current_thread()))
    monkeypatch.setattr("bela_module.viewing.page_server.serve_pages", serve)
    asyncio.run(view_command._serve(view_command._parser().parse_args([]), "127.0.0.1", 1))
    assert opened_in.get(timeout=30) is not threading.main_thread()


def test_an_address_that_others_reach_is_warned_of() -> None:
    with launched("--simulate", "--ip", "0.0.0.0", "--control") as (process, line, errors):
        assert "the live page is at http://127.0.0.1:" in line
    assert process.returncode == 0
    assert any(
        one.startswith("warning: everybody who reaches 0.0.0.0 can see the signals and command")
        for one in errors
    )
