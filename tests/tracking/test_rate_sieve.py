"""Fast and slow sparse variables, as a coarse monitor shows them."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.rate_sieve import RateSieve

PERIOD = 132
NAMES = ("touch", "busy")
VARIABLES = [Variable(k, name, ValueType.DOUBLE, sparse=True) for k, name in enumerate(NAMES)]


def monitored(spacing: int, n_ticks: int) -> list[int]:
    """Give the ticks that a monitor sends of a variable that is assigned evenly."""
    sent: list[int] = []
    for tick in range(0, n_ticks, spacing):
        if not sent or tick - sent[-1] >= PERIOD:
            sent.append(tick)
    return sent


@pytest.mark.parametrize(
    ("spacing", "is_fast"),
    [(1, True), (9, True), (66, True), (88, False), (100, False), (441, False), (8000, False)],
)
def test_what_has_a_value_whenever_the_period_is_over_is_fast(spacing: int, is_fast: bool) -> None:
    sieve = RateSieve(VARIABLES, PERIOD)
    for tick in monitored(spacing, 6 * PERIOD):
        sieve.add(Block(VARIABLES[1], tick, np.zeros(1), monitor=True))
    assert sieve.fast == (["busy"] if is_fast else [])


def test_only_what_is_monitored_for_it_belongs_to_it() -> None:
    sieve = RateSieve(VARIABLES[:1], PERIOD)
    assert 0 in sieve
    assert 1 not in sieve
    assert sieve.fast == []
