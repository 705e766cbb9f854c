"""``stream``: what it prints, how it ends, and with which status."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bela_module.cli import stream_command
from bela_module.connection.capture_file import read_capture
from bela_module.session.driver import Driver
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.built_in import SKETCHES
from bela_module.streams.lsl_clock import local_clock
from tests.support.paths import ROOT
from tests.support.server_helpers import Client, default_signals
from tests.support.session_helpers import TIMEOUT_S, WaitUntil, left_on
from tests.support.stopwatch import Stopwatch

CapturePath = Callable[[str], Path]
ENDS_WITHIN_S = 3.0
"""It takes less than 1 s, but on a machine that stalls."""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    with default_signals():
        yield


class Program:
    """The program in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, output: int | None = None) -> None:
        self._output = (folder / "output.txt").open("w+")
        self._errors = (folder / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "main.py", "--port", "0", *arguments],
            cwd=ROOT,
            stdout=self._output if output is None else output,
            stderr=self._errors,
        )

    def wait(self) -> int:
        return self.process.wait(2 * TIMEOUT_S)

    def errors(self) -> str:
        return Path(self._errors.name).read_text("utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """Give what was printed, one JSON object a line."""
        text = Path(self._output.name).read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._output.close()
        self._errors.close()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start(*arguments: str, output: int | None = None) -> Program:
        folder = tmp_path / f"run{len(programs)}"
        folder.mkdir()
        programs.append(Program(folder, *arguments, output=output))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


def run(*arguments: str) -> int:
    return stream_command.main(["--port", "0", *arguments])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# ---- arguments ---------------------------------------------------------------------------------


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    options = (
        "simulate replay board config ip port variables group duration json record-wire log-level"
    )
    for option in options.split():
        assert f"--{option}" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["--simulate", "--board", "127.0.0.1"],
        ["--duration", "soon"],
        ["--duration", "-1"],
        ["--duration", "nan"],
        ["--port", "many"],
        ["--group", "some"],
    ],
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert arguments[-2 if len(arguments) > 1 else -1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "/nowhere/bela.toml"], "cannot read the configuration /nowhere/bela.toml"),
        (["--port", "65536"], "server.port = 65536"),
        (["--log-level", "LOUD"], "log.level = 'LOUD'"),
        (["--board", "a b"], "--board a b: host = 'a b'"),
        (["--variables", " , "], "--variables names none"),
    ],
)
def test_wrong_values(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    shown = capsys.readouterr().err
    assert re.fullmatch(rf"dp-bela: .*{re.escape(words)}.*\n", shown)


# ---- what cannot be delivered ------------------------------------------------------------------


def reasons(text: str) -> list[str]:
    """Give the lines that say why the program failed, apart from the log."""
    return [line for line in text.splitlines() if line.startswith("dp-bela: ")]


def test_no_board(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert run("--board", f"127.0.0.1:{port}", "--duration", "1") == 1
    (reason,) = reasons(capsys.readouterr().err)
    assert f"cannot connect to ws://127.0.0.1:{port}" in reason


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--simulate", "--variables", "pot1,nothing"], "no variable 'nothing'; it offers 'pot1'"),
        (["--replay", "nowhere.jsonl"], "cannot read the capture nowhere.jsonl"),
        (["--simulate", "--record-wire", str(ROOT / "README.md")], "cannot create the capture"),
    ],
)
def test_what_cannot_be_begun_ends_at_once(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 1
    (reason,) = reasons(capsys.readouterr().err)
    assert words in reason


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert stream_command.main(["--simulate", "--port", port]) == 1
    (reason,) = reasons(capsys.readouterr().err)
    assert f"cannot serve at 127.0.0.1:{port}" in reason


# ---- the main job ------------------------------------------------------------------------------


def test_simulate_record_and_replay(launch: Callable[..., Program], tmp_path: Path) -> None:
    wire = tmp_path / "wire.jsonl.gz"
    simulated = launch("--simulate", "--duration", "3", "--json", f"--record-wire={wire}")
    assert simulated.wait() == 0, simulated.errors()
    *statuses, summary = simulated.lines()
    assert statuses
    assert all("final" not in status and status["module"] == "dp-bela" for status in statuses)
    assert summary["final"] is True
    streams = {stream["name"]: stream for stream in summary["streams"]}
    assert list(streams) == [f"bela_{v.name}" for v in SKETCHES["simulation"].variables]
    assert all(stream["samples"] > 0 for stream in streams.values())
    assert summary["samples"] == sum(stream["samples"] for stream in streams.values())
    assert summary["lost"] == 0
    assert summary["last_error"] is None
    assert summary["counters"]["bad_frames"] == summary["counters"]["orphan_payloads"] == 0

    assert sum(message.channel == "data" for message in read_capture(wire)) > 100
    replayed = launch("--replay", str(wire), "--json")
    assert replayed.wait() == 0, replayed.errors()
    again = replayed.lines()[-1]
    assert again["lost"] == 0
    for stream in again["streams"]:
        # The replay knows no end of its own, so that zeros at the end stay in doubt, and the
        # sparse value that told the board of the end, which lies past it, is one of the samples.
        past_the_end = 1 if stream["mode"] == "sparse" else 0
        assert 0 < stream["samples"] <= streams[stream["name"]]["samples"] + past_the_end


@pytest.mark.parametrize("name", ["alltypes", "potentiometers", "manyvars"])
def test_replays_of_a_real_board_deliver_all(
    name: str, capture_path: CapturePath, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run("--replay", str(capture_path(name)), "--json")
    shown = capsys.readouterr()
    assert status == 0, shown.err
    summary = json.loads(shown.out.splitlines()[-1])
    assert summary["final"] is True
    assert summary["lost"] == 0
    assert summary["streams"]
    dense = [stream for stream in summary["streams"] if stream["mode"] == "dense"]
    assert all(stream["samples"] > 0 for stream in dense)
    if name == "potentiometers":
        assert {stream["nominal_rate_hz"] for stream in dense} == {22050.0}


def test_a_table_and_the_board_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        monkeypatch.setenv("BELA_HOST", "127.0.0.1")
        monkeypatch.setenv("BELA_PORT", str(board.port))
        assert run("--duration", "1", "--variables", "pot2") == 0
        assert board.account("pot1").written == 0
        assert board.account("pot2").sent > 0
        assert left_on(board) == ([], {}, {})
    shown = capsys.readouterr().out
    assert "PCOMMs are served at 127.0.0.1:" in shown
    assert f"potentiometers at {board.url}" in shown
    assert "bela_pot2" in shown
    assert "bela_pot1" not in shown


def test_variables_share_a_stream_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--variables", "pot1,pot2,counter", "--group", "all", "--json"]
    assert run("--simulate", "--duration", "1.5", *options) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    shared = {stream["name"]: stream["variables"] for stream in summary["streams"]}
    assert shared == {"bela_float32": ["pot1", "pot2"], "bela_double64": ["counter"]}


# ---- its end -----------------------------------------------------------------------------------


def served_port(program: Program) -> int:
    found = re.search(r"PCOMMs are served at 127\.0\.0\.1:(\d+)", program.errors())
    return int(found[1]) if found else 0


@pytest.mark.parametrize("way", ["SIGINT", "SIGTERM", "SIGHUP", "CLOSE"])
def test_each_end_is_quick_and_clean(
    way: str, launch: Callable[..., Program], wait_until: WaitUntil
) -> None:
    if way != "CLOSE" and sys.platform == "win32":
        pytest.skip("Windows has no such signals")
    with SimulatedBoard("simulation", clock=local_clock) as board:
        program = launch("--board", f"127.0.0.1:{board.port}", "--json")
        wait_until(lambda: served_port(program), "the served port")
        client = Client(served_port(program))
        client.send('VERBOSE;SET|{"values":{"noise":0.5}};MONITOR|{"variables":"sine"};')
        assert [client.line() for _ in range(3)] == ["OK VERBOSE", "OK SET", "OK MONITOR"]
        wait_until(lambda: board.account("counter").sent, "a block")
        watch = Stopwatch(program.process.pid)
        if way == "CLOSE":
            client.send("CLOSE;")
        else:
            program.process.send_signal(signal.Signals[way])
        took_s = watch.wait_for(program.process)
        status = program.wait()
        client.close()
        assert status == 0, program.errors()
        assert took_s < ENDS_WITHIN_S
        assert left_on(board) == ([], {}, {})
        summary = program.lines()[-1]
        assert summary["final"] is True
        assert summary["lost"] == 0
        (counter,) = (s for s in summary["streams"] if s["name"] == "bela_counter")
        assert counter["samples"] == board.account("counter").sent


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_during_the_imports_ends_it_without_a_word(
    launch: Callable[..., Program],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    slow = "import pathlib, time\npathlib.Path(__file__).with_name('there').touch()\n"
    (tmp_path / "argparse.py").write_text(slow + "time.sleep(60)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    program = launch("--simulate")
    wait_until((tmp_path / "there").exists, "the import")
    program.process.send_signal(signal.SIGINT)
    assert program.wait() == -signal.SIGINT  # a shell calls it 130
    assert program.errors() == ""


@pytest.mark.parametrize("options", [["--json"], ["--duration", "1"]])
def test_an_output_that_nobody_reads_ends_it(
    options: list[str], launch: Callable[..., Program]
) -> None:
    reader, writer = os.pipe()
    with SimulatedBoard("simulation", clock=local_clock) as board:
        program = launch("--board", f"127.0.0.1:{board.port}", *options, output=writer)
        os.close(writer)
        assert os.read(reader, 1)
        os.close(reader)
        assert program.wait() == 1
        assert left_on(board) == ([], {}, {})
    (reason,) = reasons(program.errors())
    assert reason.startswith("dp-bela: cannot write to standard output: ")
    assert "Traceback" not in program.errors()


def test_a_session_that_dies_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def die(_driver: Driver) -> None:
        await asyncio.sleep(1.0)
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Driver, "run", die)
    assert run("--board", f"127.0.0.1:{free_port()}", "--duration", "10", "--json") == 1
    (reason,) = reasons(capsys.readouterr().err)
    assert reason == "dp-bela: the session has ended: ZeroDivisionError('a defect')"
