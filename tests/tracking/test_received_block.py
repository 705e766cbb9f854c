"""What one dense block proves: certain values, padding, contradictions."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.data_channel import Block
from bela_module.tracking.received_block import ReceivedBlock
from tests.support.faulty_board import RAMP, SIZE


def received(tick: int, values: np.ndarray, possible_tick: float = np.inf) -> ReceivedBlock:
    return ReceivedBlock.of(Block(RAMP, tick, values), possible_tick)


@pytest.mark.parametrize(
    ("at", "value", "n_certain"), [(-1, 1.0, SIZE), (9, 1.0, 10), (9, -0.0, 10)]
)
def test_values_are_certain_up_to_the_last_that_is_not_zero(
    at: int, value: float, n_certain: int
) -> None:
    values = np.zeros(SIZE)
    values[at] = value
    assert received(5, values).n_certain == n_certain
    assert received(5, np.zeros(SIZE)).n_certain == 0


def test_the_evidence_is_tick_certain_values_and_latest_possible_tick() -> None:
    block = received(5, np.ones(SIZE), possible_tick=700.0)
    assert (block.tick, block.evidence.tick, block.evidence.n_certain) == (5, 5, SIZE)
    assert block.evidence.possible_tick == 700.0


def test_it_was_sent_when_it_came_or_before() -> None:
    block = received(5, np.ones(SIZE), possible_tick=700.0)
    assert block.sent_by(600).evidence.possible_tick == 600
    assert block.sent_by(800).evidence.possible_tick == 700.0


def test_other_values_among_certain_ones_are_a_contradiction() -> None:
    block = received(0, np.arange(1.0, SIZE + 1.0))
    assert block.is_contradicted_by(received(100, np.full(SIZE, 7.0)), step=1)
    assert block.is_contradicted_by(received(101, np.arange(51.0, SIZE + 51.0)), step=2)


def test_a_repetition_and_a_later_block_are_no_contradiction() -> None:
    block = received(0, np.arange(1.0, SIZE + 1.0))
    assert not block.is_contradicted_by(received(100, np.arange(101.0, SIZE + 101.0)), step=1)
    assert not block.is_contradicted_by(received(SIZE, np.full(SIZE, 7.0)), step=1)
