"""The check's own streams: received from the first sample on, of captures and beside others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bela_module.checking.checker import _own_settings, run_check
from bela_module.checking.own_streams import OwnStreams, Playback
from bela_module.checking.verdicts import Verdict
from bela_module.config import parse_settings
from bela_module.protocol.control_commands import watch_command
from bela_module.simulator.replay.replayed_board import ReplayedBoard
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.raw_client import raw_client

CAPTURES = Path(__file__).parents[1] / "captures"

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("name", ["alltypes", "bela-test", "potentiometers", "monitor-alltypes"])
def test_a_capture_of_a_healthy_board_is_fine(name: str) -> None:
    with ReplayedBoard(CAPTURES / f"{name}.jsonl.gz", clock=local_clock) as board:
        settings = parse_settings(
            {
                "board": {"host": "127.0.0.1", "port": board.port, "reply_timeout_s": 10.0},
                "server": {"port": 0},
            },
            "test",
        )
        playback = Playback(board.watched, board.monitored, board.finished.is_set)
        report = run_check(settings, 8.0, playback=playback)
    lines = {check.name: check for check in report.checks}
    lines.pop("network")  # of this computer, which may be busy
    assert {c.name: c for c in lines.values() if c.verdict is not Verdict.OK} == {}
    assert int(lines["complete"].measured.split()[0]) > 0


def test_what_is_left_watched_by_an_earlier_check_turns_nothing_else() -> None:
    with SimulatedBoard("gain", clock=local_clock) as board:
        with raw_client(board.url) as other:
            other.list()
            other.tell(watch_command(["gain"]))
        settings = parse_settings(
            {
                "board": {"host": "127.0.0.1", "port": board.port, "reply_timeout_s": 10.0},
                "server": {"port": 0},
            },
            "test",
        )
        report = run_check(settings, 1.5)
    turned = {c.name: c.measured for c in report.checks if c.verdict is not Verdict.OK}
    assert set(turned) - {"network", "clock", "ticks", "lateness"} == {"assigned"}
    assert "gain" in turned["assigned"]


def test_streams_of_two_checks_are_told_apart_and_inputs_are_left_away() -> None:
    settings = parse_settings(
        {"inputs": {"loop": {"stream": "EEG", "variables": ["gain"]}}}, "test"
    )
    first, second = _own_settings(settings), _own_settings(settings)
    assert first.board.name != second.board.name
    assert settings.inputs
    assert not first.inputs


def test_what_others_begin_to_watch_before_start_is_listened_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SimulatedBoard("potentiometers", clock=local_clock) as board, raw_client(board.url) as one:
        prepare = OwnStreams._prepare

        def prepare_and_be_late(streams: OwnStreams, names: tuple[str, ...]) -> bool:
            is_prepared = prepare(streams, names)
            one.tell(watch_command(["pot1", "pot2"]))
            time.sleep(0.3)
            return is_prepared

        monkeypatch.setattr(OwnStreams, "_prepare", prepare_and_be_late)
        settings = parse_settings(
            {
                "board": {"host": "127.0.0.1", "port": board.port, "reply_timeout_s": 10.0},
                "server": {"port": 0},
            },
            "test",
        )
        report = run_check(settings, 1.5)
        assert board.watched_names() == ["pot1", "pot2"]
    lines = {check.name: check for check in report.checks}
    assert lines["streams"].measured.startswith("2 of others heard")
    turned = {c.name for c in report.checks if c.verdict is not Verdict.OK}
    assert turned - {"network", "clock", "ticks", "lateness"} == {"other clients"}
