"""Fixtures: a board with variables of all types, and a session that knows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import Running, board_of, session_on
from tests.support.signal_cases import TYPED


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    """Run a board with the variables of ``TYPED``."""
    with board_of(*TYPED) as board:
        yield board


@pytest.fixture
def one(board: SimulatedBoard) -> Iterator[Running]:
    """Run a session that has read the list of variables; it must leave the board clean."""
    with session_on(board) as one:
        one.list()
        yield one
