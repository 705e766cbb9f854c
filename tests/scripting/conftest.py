"""Fixtures of the Python API's tests: ramps of all types, and a Streamer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bela_module import Streamer
from bela_module.simulator.simulated_board import SimulatedBoard


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    """Run a board whose ticks soon exceed 31 bits."""
    with SimulatedBoard("ramps", first_tick=2**31 - 20_000) as board:
        yield board


@pytest.fixture
def streamer(board: SimulatedBoard) -> Iterator[Streamer]:
    """Connect a Streamer to the board, whose buffers are NumPy's."""
    with Streamer("127.0.0.1", board.port, arrays=True) as streamer:
        yield streamer
