"""Fixtures: a board whose values end in zeros, and a session that knows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import Running, board_of, session_on
from tests.support.signal_cases import SKETCH


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    """Run a board with the variables of ``SKETCH``."""
    with board_of(*SKETCH) as board:
        yield board


@pytest.fixture
def one(board: SimulatedBoard) -> Iterator[Running]:
    """Run a session that has read the list of variables; it must leave the board clean."""
    with session_on(board) as one:
        one.list()
        yield one
