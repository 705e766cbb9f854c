"""``list``: the board's variables, and the board left as it was."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bela_module.cli.command_line import main
from bela_module.protocol.control_commands import monitor_command, watch_command
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.raw_client import raw_client
from tests.support.session_helpers import WaitUntil, left_on

CapturePath = Callable[[str], Path]


def test_json_is_the_reply_of_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--simulate", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    listing = json.loads(line)
    assert listing["project"] == "simulation"
    assert listing["sample_rate_hz"] == 44100.0
    assert listing["variables"][0] | {"value": 0} == {
        "name": "pot1",
        "type": "float",
        "mode": "dense",
        "value": 0,
        "watched": False,
        "controlled": False,
        "monitor_period_ticks": 0,
        "logged": False,
    }


def test_a_table_of_a_replayed_board(
    capture_path: CapturePath, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "--replay", str(capture_path("potentiometers"))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("potentiometers: ")
    assert lines[1].split() == ["variable", "type", "mode", "value", "in", "use"]
    assert [line.split()[0] for line in lines[2:]][:2] == ["pot1", "pot2"]


def test_what_others_use_is_shown_and_left_alone(
    capsys: pytest.CaptureFixture[str], wait_until: WaitUntil
) -> None:
    with SimulatedBoard("simulation") as board, raw_client(board.url) as other:
        other.tell(watch_command(["sine"]), monitor_command(["temperature"], [22050]))
        before: Any = (["sine"], {"temperature": 22050}, {})
        wait_until(lambda: left_on(board) == before)
        assert main(["list", "--board", f"127.0.0.1:{board.port}"]) == 0
        assert left_on(board) == before
    lines = capsys.readouterr().out.splitlines()
    ends = {line.split()[0]: line.rstrip() for line in lines}
    assert ends["sine"].endswith("  watched")
    assert ends["temperature"].endswith("  monitored every 22050 ticks")


def test_no_board_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert main(["list", "--board", f"127.0.0.1:{port}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"dp-bela: cannot connect to ws://127.0.0.1:{port}")


def test_a_wrong_address_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--board", "a b"]) == 2
    assert "--board a b: host = 'a b'" in capsys.readouterr().err
