"""``check`` on the command line: table, JSON, exit status, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bela_module.cli.command_line import main
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.paths import ROOT
from tests.support.server_helpers import default_signals
from tests.support.session_helpers import WaitUntil, left_on

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    with default_signals():
        yield


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "bela.toml"
    path.write_text("[server]\nport = 0\n[board]\nreply_timeout_s = 10\n")
    return str(path)


def test_json_is_one_object(capsys: pytest.CaptureFixture[str], config: str) -> None:
    status = main(["check", "--simulate", "--seconds", "2", "--json", "--config", config])
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert set(report) == {"verdict", "checks"}
    assert {tuple(check) for check in report["checks"]} == {
        ("name", "verdict", "measured", "advice")
    }
    assert status == (1 if report["verdict"] == "fail" else 0)
    assert output.err == ""


def test_a_table_without_a_board_says_what_to_do(
    capsys: pytest.CaptureFixture[str], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert main(["check", "--board", f"127.0.0.1:{port}", "--config", config]) == 1
    output = capsys.readouterr()
    (line,) = [one for one in output.out.splitlines() if one.startswith("FAIL")]
    assert f"ws://127.0.0.1:{port}" in line
    assert "is the board on" in line
    assert "\x1b" not in output.out
    assert "not ready: 1 of" in output.out


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "x", "1e9"])
def test_wrong_seconds_are_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--simulate", "--seconds", seconds])
    assert ended.value.code == 2
    assert "--seconds" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_ends_it_in_one_line_with_the_board_left_as_it_was(
    config: str, wait_until: WaitUntil
) -> None:
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        process = subprocess.Popen(
            [sys.executable, "main.py", "check", "--seconds", "60", "--json"]
            + ["--board", f"127.0.0.1:{board.port}", "--config", config],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        wait_until(lambda: bool(board.watched_names()), "the check streams")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert left_on(board) == ([], {}, {})
    assert process.returncode == 1
    assert output == ""
    assert errors == "dp-bela: the check was ended before its time\n"


def run_check(config: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a check of a replayed capture, which is short, on the command line."""
    cleared = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    return subprocess.run(
        [sys.executable, "main.py", "check", "--config", config, *arguments],
        cwd=ROOT,
        env=cleared | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_capture_is_played_and_in_a_pipe_each_check_is_one_line(config: str) -> None:
    run = run_check(config, "--replay", "tests/captures/potentiometers.jsonl.gz")
    lines = run.stdout.splitlines()
    assert "FAIL" not in run.stdout
    assert run.returncode == 0
    assert lines[0].split() == ["check", "measured", "what", "to", "do"]
    assert {line.split()[0] for line in lines[1:-1]} <= {"OK", "WARN"}
    assert lines[-1].startswith("ready")
    assert not [line for line in lines if line != line.rstrip()]
    assert run.stderr.startswith("looking for ws://127.0.0.1")


def test_a_table_is_as_wide_as_it_may_be_and_plain_for_whoever_wants_that(config: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    asked = ("--board", f"127.0.0.1:{port}")
    run = run_check(config, *asked, COLUMNS="100", FORCE_COLOR="1")
    assert "\x1b[31mFAIL" in run.stdout
    plain = run_check(config, *asked, COLUMNS="100", FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b" not in plain.stdout
    assert max(map(len, plain.stdout.splitlines())) <= 100
    assert plain.returncode == 1
