"""Fast and slow sparse variables, as a coarse monitor shows them."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.rate_sieve import Pace, RateSieve, StreamSieve

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


SLOW_TICKS = (1000, 9000, 17_000)


def single(tick: int) -> Block:
    return Block(VARIABLES[0], tick, np.zeros(1), monitor=True)


def sieve_of(*ticks: int) -> StreamSieve:
    made = StreamSieve(VARIABLES[:1], 66, 4410)
    for tick in ticks:
        made.add(single(tick), tick / 44_100, DenseTracker(VARIABLES[0]))
    return made


def test_nothing_is_decided_before_something_came() -> None:
    assert sieve_of().pace(1000.0, 10**6) is Pace.UNKNOWN
    assert sieve_of().pace(1000.0, 10**6, final=True) is Pace.UNKNOWN


def test_a_stream_that_sends_one_value_and_then_none_is_slow() -> None:
    made = sieve_of(1000)
    assert made.pace(1000 / 44_100 + 0.05, 4000) is Pace.UNKNOWN
    assert made.pace(1000 / 44_100 + 0.05, 4000, final=True) is Pace.SLOW
    assert made.pace(1000 / 44_100 + 0.11, 4000) is Pace.SLOW
    assert made.pace(1000 / 44_100 + 5.0, 1100) is Pace.UNKNOWN  # the board may be held up


def test_its_values_are_kept() -> None:
    made = sieve_of(*SLOW_TICKS)
    assert made.pace(1.0, 40_000) is Pace.SLOW
    assert [block.tick for block, _ in made.kept] == list(SLOW_TICKS)


def test_a_value_whenever_the_period_is_over_is_fast() -> None:
    made = sieve_of(*range(1000, 1000 + 66 * 4, 66))
    assert made.pace(1000 / 44_100 + 0.02, 1300) is Pace.FAST


def test_a_pause_before_or_after_short_rows_of_values_is_enough() -> None:
    """It is looked at now and then: the newest values may be those of a burst."""
    made = sieve_of(1000, 1088, 1176, 5410, 5498)
    assert made.pace(5500 / 44_100, 5500) is Pace.SLOW


def test_a_pause_does_not_hide_a_fast_row() -> None:
    made = sieve_of(1000, 20_000, *range(30_000, 30_000 + 66 * 4, 66))
    assert made.pace(0.7, 31_000) is Pace.FAST


@pytest.mark.parametrize(("late_tick", "misses"), [(4410, 0), (20_000, 7000), (None, 7000)])
def test_what_was_silent_at_first_has_not_lost_what_came_before(
    late_tick: int | None, misses: int
) -> None:
    tracker = DenseTracker(VARIABLES[0])
    tracker.begin(first_tick=0, step_ticks=1)
    tracker.confirm_start()
    made = StreamSieve(VARIABLES[:1], 66, late_tick)
    made.add(single(7000), 0.2, tracker)
    tracker.add(Block(VARIABLES[0], 7000, np.ones(512)), 7600.0)
    assert tracker.lost == misses
