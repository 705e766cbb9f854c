"""``python -m api.server`` as a control room launches it: quickly up, quickly and cleanly gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bela_module.server import launch
from tests.support.log_server import LogServer
from tests.support.server_helpers import ROOT, Client, ControlRoom, Launched, default_signals

NO_BOARD = "--board=127.0.0.1:9"  # the discard port: nobody listens
WaitUntil = Callable[..., None]


Launch = Callable[..., Launched]


@pytest.fixture
def launched() -> Iterator[Launch]:
    processes: list[Launched] = []

    def start(*arguments: str) -> Launched:
        processes.append(Launched(*arguments))
        return processes[-1]

    with default_signals():
        yield start
    for process in processes:
        process.close()


def attempts() -> Iterator[int]:
    """Try a few times, ever later, what has to do once: this machine may stall."""
    for attempt in range(8):
        time.sleep(attempt)
        yield attempt


@pytest.mark.timeout(180)
@pytest.mark.parametrize("board", [NO_BOARD, "--simulate=1"])
def test_up_within_two_seconds_and_gone_within_one(launched: Launch, board: str) -> None:
    listens_s: list[float] = []
    ends_s: list[float] = []
    for _ in attempts():
        module = launched(board, "--loglevel=10")
        client = Client(module.port)
        client.send("VERBOSE;START;")
        assert [client.line(), client.line()] == ["OK VERBOSE", "OK START"]
        assert client.is_up()
        status, end_s = module.end()
        client.close()
        assert status == 0
        listens_s.append(module.listens_after_s)
        ends_s.append(end_s)
        if min(listens_s) < 2.0 and min(ends_s) < 1.0:
            return
    pytest.fail(f"seconds to listen: {listens_s}, to end: {ends_s}")


@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot freeze a process so")
def test_gone_within_one_second_though_the_simulated_board_hangs(launched: Launch) -> None:
    ends_s: list[float] = []
    for _ in attempts():
        module = launched("--simulate=1")
        client = Client(module.port)
        client.send("VERBOSE;START;")
        assert [client.line(), client.line()] == ["OK VERBOSE", "OK START"]
        (board,) = psutil.Process(module.process.pid).children()
        board.suspend()
        status, end_s = module.end()
        client.close()
        assert status == 0
        assert not board.is_running()
        ends_s.append(end_s)
        if end_s < 1.0:
            return
    pytest.fail(f"seconds to end: {ends_s}")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("way", ["SIGINT", "SIGHUP"])
def test_start_waits_for_a_board_that_is_not_there(
    way: str, launched: Launch, wait_until: WaitUntil
) -> None:
    module = launched(NO_BOARD)
    client = Client(module.port)
    client.send("START;")

    def state() -> str:
        client.send("STATUS;")
        return str(client.reply()["state"])

    wait_until(lambda: state() == "waiting", "state waiting")
    assert client.is_up()
    client.close()
    assert module.end(signal.Signals[way])[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    "program",
    [
        ["-m", "api.server", "--port=0"],
        ["main.py", "--simulate", "--port=0"],
        ["-m", "bela_module.simulator", "--port=0"],
    ],
)
def test_ctrl_c_during_the_imports_ends_it_without_a_word(
    program: list[str], tmp_path: Path
) -> None:
    slow = "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
    (tmp_path / "argparse.py").write_text(slow, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, *program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == -signal.SIGINT  # a shell calls it 130


def test_a_closed_output_ends_it_with_a_reason() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "api.server", "--port=0", NO_BOARD, "--loglevel=ERROR"],
        check=False,
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=50,
    )
    os.close(writer)
    assert ended.returncode == 1
    assert ended.stderr.startswith("dp-bela: cannot write to standard output: ")
    assert ended.stderr.count("\n") == 1


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


def test_an_experiment_from_launch_to_sigterm(
    launched: Launch, tmp_path: Path, wait_until: WaitUntil
) -> None:
    callback = "dp-lsl-recording|STOPRECORD|{}"
    config = tmp_path / "bela.toml"
    config.write_text(f'[callbacks]\nschedule_finished = "{callback}"\n', encoding="utf-8")
    module = launched("--simulate=1", f"--config={config}")
    room, raw = ControlRoom(module.port, module.process.pid), Client(module.port)
    up_times_s: list[float] = []

    def ask(state: str) -> bool:
        up_times_s.append(room.up_s())
        raw.send("STATUS;")
        status = raw.reply()
        assert status["last_error"] is None
        return bool(status["state"] == state)

    try:
        room.send('START|{"variables": ["pot1", "pot2"]}')
        wait_until(lambda: ask("streaming"), "streaming")
        room.send('SET|{"values": {"pot1": "0.5"}}')
        raw.send("LIST;")
        assert "pot1" in json.dumps(raw.reply())
        room.send("STOP|{}")
        wait_until(lambda: ask("idle"), "the end of streaming")
        room.send('SCHEDULE|{"variables": "pot1", "start_in_s": "0.5", "duration_s": 0.2}')
        wait_until(lambda: room.callbacks, "the callback at the end of the schedule")
        wait_until(lambda: ask("idle"), "the end of the schedule")
    finally:
        room.close()
        raw.close()
    assert room.callbacks == [callback]
    assert room.strays == []
    assert sorted(up_times_s)[len(up_times_s) // 2] < 0.05
    assert module.end()[0] == 0


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


def test_the_control_rooms_log_has_the_reason(tmp_path: Path, log_server: LogServer) -> None:
    config = tmp_path / "bela.toml"
    config.write_text(f"[log]\nport = {log_server.port}\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert launch.main([f"--port={port}", f"--config={config}"]) == 1
    log_server.close()
    (record,) = [one for one in log_server.records if one["levelname"] == "ERROR"]
    assert record["name"] == "dp-bela"
    assert str(record["msg"]).startswith(f"cannot serve at 127.0.0.1:{port}: ")


@pytest.mark.parametrize("argument", ["--simulate=perhaps", "--nonsense=1"])
def test_wrong_arguments_end_with_status_2(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        launch.main([argument])
    assert caught.value.code == 2
    assert argument.partition("=")[0] in capsys.readouterr().err
