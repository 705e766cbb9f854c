"""Variables that other programs stream: those of which data come, not those that are left over."""

from __future__ import annotations

from dataclasses import replace

from bela_module.config import BoardSettings
from bela_module.lab_recording.other_programs import streamed_by_others
from bela_module.protocol.control_commands import monitor_command, watch_command
from bela_module.protocol.variables import Variable
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.raw_client import raw_client
from tests.support.session_helpers import WaitUntil, board_of, variable


def settings_of(board: SimulatedBoard) -> BoardSettings:
    return BoardSettings(host="127.0.0.1", port=board.port, reply_timeout_s=10.0)


def test_watched_ones_of_which_data_come_and_monitored_ones(wait_until: WaitUntil) -> None:
    board = board_of(variable("a"), variable("b"), variable("c"))
    with board, raw_client(board.url) as other:
        listed = other.list().variables
        assert streamed_by_others(settings_of(board), lambda: listed) == {}
        other.tell(watch_command(["b"]), monitor_command(["c"], [4410]))
        wait_until(lambda: board.watched_names() == ["b"], "watched")
        periods = {"c": 4410}
        looked = [
            replace(v, watched=v.name == "b", monitor_period_ticks=periods.get(v.name, 0))
            for v in listed
        ]
        assert list(streamed_by_others(settings_of(board), lambda: looked)) == ["b", "c"]


def test_a_watch_of_which_nothing_comes_is_left_over() -> None:
    with board_of(variable("a"), variable("rare", sparse=True, step=44_100 * 600)) as board:
        with raw_client(board.url) as other:
            listed = other.list().variables
        left = [replace(v, watched=v.name == "rare") for v in listed]
        assert streamed_by_others(settings_of(board), lambda: left) == {}


def test_what_cannot_be_listened_to_counts_as_streamed() -> None:
    with board_of(variable("a")) as board:
        with raw_client(board.url) as other:
            listed = [replace(v, watched=True) for v in other.list().variables]
        settings = settings_of(board)
    assert list(streamed_by_others(settings, lambda: listed)) == ["a"]


def test_what_ended_meanwhile_is_not_streamed() -> None:
    with board_of(variable("a")) as board:
        with raw_client(board.url) as other:
            listed = other.list().variables
        looks: list[list[Variable]] = [[replace(v, watched=True) for v in listed]] * 2
        looks.append(list(listed))
        assert streamed_by_others(settings_of(board), lambda: looks.pop(0)) == {}
