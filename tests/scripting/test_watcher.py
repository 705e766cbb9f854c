"""The variables of a board, as pybela's Watcher gives them."""

from __future__ import annotations

from bela_module import Watcher
from bela_module.simulator.simulated_board import SimulatedBoard


def test_it_lists_the_variables_and_tells_whether_it_is_connected(board: SimulatedBoard) -> None:
    watcher = Watcher("127.0.0.1", board.port)
    assert watcher.ws_ctrl.state == watcher.ws_data.state == 3
    watcher.connect()
    assert watcher.ws_ctrl.state == 1
    assert len(watcher.list()["watchers"]) == len(watcher.watcher_vars) == 6
    watcher.cleanup()
    assert watcher.ws_ctrl.state == 3
