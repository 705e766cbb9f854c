"""A check of simulated boards, through real sockets and LSL, alone and beside others."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module.checking import checker
from bela_module.checking.checker import run_check
from bela_module.checking.verdicts import Check, CheckReport, Verdict
from bela_module.config import Settings, parse_settings
from bela_module.errors import BelaError
from bela_module.protocol.control_commands import watch_command
from bela_module.requests import PrepareRequest
from bela_module.session.session import Session
from bela_module.simulator.faults.message_faults import DropPair
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl.inlet_receiver import InletReceiver
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from tests.support.raw_client import raw_client
from tests.support.session_helpers import WaitUntil, left_on

NOTHING: tuple[list[str], dict[str, int], dict[str, float]] = ([], {}, {})
DEPENDS_ON_THE_COMPUTER = {"clock", "ticks", "network", "lateness", "LSL found", "LSL received"}
"""What a computer that stalls may turn to a warning."""

RAMPS_HZ = 11_025.0


def address_of(board: SimulatedBoard) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": board.port, "reply_timeout_s": 10.0}


def settings_of(simulated: SimulatedBoard, **tables: Any) -> Settings:
    address = {"board": address_of(simulated), "server": {"port": 0}}
    return parse_settings({**address, **tables}, "test")


def by_name(report: CheckReport) -> dict[str, Check]:
    return {check.name: check for check in report.checks}


def turned(report: CheckReport) -> set[str]:
    """Tell which lines are not fine, but for those that a busy computer may turn."""
    names = {check.name for check in report.checks if check.verdict is not Verdict.OK}
    return names - DEPENDS_ON_THE_COMPUTER


@pytest.mark.timeout(120)
def test_a_healthy_board_is_fine_and_left_as_it_was() -> None:
    told: list[str] = []
    for _ in range(3):  # a computer that stalls receives late, and is told so
        with SimulatedBoard("simulation", clock=local_clock) as board:
            report = run_check(settings_of(board), 2.0, told.append)
            assert left_on(board) == NOTHING
        assert turned(report) == set()
        lines = by_name(report)
        if lines["LSL received"].verdict is Verdict.OK:
            break
    assert "7 variables" in lines["sketch"].measured
    assert lines["complete"].measured.endswith(" values, 0 lost")
    got, sent = lines["LSL received"].measured.split(" samples", 1)[0].split(" of ")
    assert int(got) == int(sent) > 50_000
    assert "bela_check_touch" in lines["slow values"].measured
    assert told[0].startswith("looking for ws://127.0.0.1")


@pytest.mark.timeout(120)
def test_beside_another_client_nothing_of_it_is_touched(wait_until: WaitUntil) -> None:
    ramps = SimulatedBoard("ramps", RAMPS_HZ, clock=local_clock)
    with ramps as board, raw_client(board.url) as other:
        other.list()
        other.tell(watch_command(["ramp_d"]))
        wait_until(lambda: board.watched_names() == ["ramp_d"])
        ticks: list[int] = []
        ended = threading.Event()

        def hear() -> None:
            while not ended.is_set():
                block = other.block()
                if block.variable.name == "ramp_d":
                    ticks.append(block.tick)

        hearing = threading.Thread(target=hear)
        hearing.start()
        report = run_check(settings_of(board), 3.0)
        assert left_on(board) == (["ramp_d"], {}, {})
        ended.set()
        hearing.join()
    assert turned(report) == {"other clients"}
    assert set(np.diff(ticks)) == {512}  # its blocks were neither cut nor begun again
    lines = by_name(report)
    assert "1 of others heard" in lines["streams"].measured
    assert lines["other clients"].measured == "1 watched: ramp_d"
    assert int(lines["complete"].measured.split()[0]) > 2 * RAMPS_HZ


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("sketch", "line", "words"),
    [
        ("duplicates", "names", "several are called"),
        ("gain", "assigned", "gain"),
    ],
)
def test_what_is_odd_in_the_sketch_turns_its_line(sketch: str, line: str, words: str) -> None:
    with SimulatedBoard(sketch, clock=local_clock) as board:
        report = run_check(settings_of(board), 2.0)
    assert turned(report) == {line}
    assert words in by_name(report)[line].measured


@pytest.mark.timeout(120)
def test_losses_turn_their_line() -> None:
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        board.inject(DropPair(p=0.2))
        report = run_check(settings_of(board), 3.0)
    assert turned(report) == {"complete"}
    assert by_name(report)["complete"].verdict is Verdict.FAIL


@pytest.mark.timeout(120)
def test_a_sketch_without_variables_fails() -> None:
    with SimulatedBoard("empty", clock=local_clock) as board:
        report = run_check(settings_of(board), 1.0)
    assert by_name(report)["sketch"].verdict is Verdict.FAIL


def test_what_is_no_board_fails_at_once_and_the_computer_is_judged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        settings = parse_settings(
            {
                "board": {"host": "127.0.0.1", "port": port, "reply_timeout_s": 0.3},
                "server": {"port": 0},
            },
            "test",
        )
        lines = by_name(run_check(settings, 1.0))
    assert lines["board"].verdict is Verdict.FAIL
    assert "Watcher" in lines["board"].advice
    assert "disk" in lines
    assert "clock" not in lines


@pytest.mark.timeout(120)
def test_folder_and_port_of_this_computer(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with (
        SimulatedBoard("potentiometers", clock=local_clock) as board,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        settings = settings_of(
            board,
            recording={"dir": str(blocked / "recordings")},
            server={"port": taken.getsockname()[1]},
        )
        report = run_check(settings, 1.0)
    assert turned(report) == {"disk", "PCOMM port"}


@pytest.mark.timeout(120)
def test_a_cancelled_check_leaves_the_board_as_it_was() -> None:
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        begun_s = time.monotonic()
        streamed: list[bool] = []

        def is_cancelled() -> bool:
            if board.watched_names() or time.monotonic() > begun_s + 20:
                streamed.append(True)
            return bool(streamed)

        with pytest.raises(BelaError, match="ended before its time"):
            run_check(settings_of(board), 60.0, is_cancelled=is_cancelled)
        assert left_on(board) == NOTHING
        assert time.monotonic() < begun_s + 40


@pytest.mark.timeout(120)
def test_variables_of_the_configuration_that_are_not_there_fail() -> None:
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        settings = settings_of(board, streaming={"variables": ["pot1", "pot9"]})
        report = run_check(settings, 1.0)
        assert left_on(board) == NOTHING
    assert by_name(report)["streams"].verdict is Verdict.FAIL
    assert "pot9" in by_name(report)["streams"].measured


@pytest.mark.timeout(120)
def test_what_the_module_here_has_scheduled_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "names_in_use", lambda _settings, _board, **_: {"pot1"})
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        report = run_check(settings_of(board), 1.0)
        commands = [text for text in board.control_messages if "watch" in text or "monitor" in text]
    assert not [text for text in commands if "pot1" in text]
    assert [text for text in commands if "pot2" in text]
    assert by_name(report)["streams"].measured.startswith("1 started")


@pytest.mark.timeout(120)
def test_streams_that_are_found_but_cannot_be_received_are_a_line_of_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("the stream cannot be opened")

    monkeypatch.setattr(InletReceiver, "find", refuse)
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        report = run_check(settings_of(board), 1.0)
        assert left_on(board) == NOTHING
    assert by_name(report)["LSL"].verdict is Verdict.FAIL
    assert "cannot be opened" in by_name(report)["LSL"].measured


@pytest.mark.timeout(120)
@pytest.mark.parametrize("same_board", [True, False])
def test_streams_of_this_board_on_this_computer_are_of_no_other_board(same_board: bool) -> None:
    with (
        SimulatedBoard("potentiometers", clock=local_clock) as board,
        SimulatedBoard("potentiometers", clock=local_clock) as other,
    ):
        settings = settings_of(board, board={**address_of(board), "name": uuid.uuid4().hex})
        module_of = board if same_board else other
        with Session(
            settings_of(module_of, board={**address_of(module_of), "name": settings.board.name}),
            sink=LslOutlets,
            now=local_clock,
        ) as module:
            module.prepare(PrepareRequest()).result(30)
            report = run_check(settings, 1.0)
    verdict = by_name(report)["LSL identity"].verdict
    assert verdict is (Verdict.OK if same_board else Verdict.FAIL)
