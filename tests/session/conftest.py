"""Fixtures of the session's tests: a board on which faults can happen, and a session on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.fault_cases import make_board
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import Running, session_at


@pytest.fixture
def board() -> Iterator[ObservedBoard]:
    """Run a board with two dense variables, ``a`` and ``b``, whose commands are noted."""
    with make_board() as board:
        yield board


@pytest.fixture
def one(board: SimulatedBoard) -> Iterator[Running]:
    """Run a session that soon gives up a board which does not answer."""
    with session_at(board.port, board={"reply_timeout_s": 1.0}) as one:
        yield one
