"""What all trackers share: the accounts, and what a tracker does unless it knows better."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.runs import Gap, GapReason, TrackedItem, Tracker, ValueRun

LAMP = Variable(0, "lamp", ValueType.INT)


class Plain(Tracker):
    """Gives every block's first value, and a gap of five for each that is dropped."""

    @property
    def finished(self) -> bool:
        return self._end_tick is not None

    def add(self, block: Block, possible_tick: float = math.inf) -> list[TrackedItem]:
        if self._is_stale(block):
            return [self._gap(block.tick, block.tick + 4, 5, GapReason.LOST)]
        return [self._run(np.array([block.tick]), block.values[:1])]

    def finish(self) -> list[TrackedItem]:
        return [self._gap(50, 59, 10, GapReason.UNKNOWN_END)]


def block(tick: int) -> Block:
    return Block(LAMP, tick, np.zeros(1024, "<i4"))


def test_everything_is_counted_and_doubtful_zeros_apart() -> None:
    made = Plain(LAMP)
    made.begin(first_tick=10)
    [run] = made.add(block(20))
    assert isinstance(run, ValueRun)
    assert (made.delivered, made.last_tick) == (1, 20)
    assert made.add(block(3)) == [Gap(3, 7, 5, GapReason.LOST)]
    assert made.last_tick == 20
    made.finish()
    assert (made.lost, made.withheld, made.gaps, made.last_tick) == (5, 10, 1, 59)


def test_new_run_keeps_the_counters_and_forgets_the_ticks() -> None:
    made = Plain(LAMP)
    made.begin(first_tick=10, last_tick=30)
    made.add(block(20))
    made.begin()
    assert (made.delivered, made.last_tick, made.finished) == (1, None, False)
    assert isinstance(made.add(block(3))[0], ValueRun)


def test_defaults_say_nothing() -> None:
    made = Plain(LAMP)
    assert made.step_ticks is None
    assert made.missed_block() == made.interrupted() == made.end_at(9) == []
    assert made.finished


def test_floor_after_a_reconnect() -> None:
    made = Plain(LAMP)
    made.begin()
    made.resume(10)
    assert isinstance(made.add(block(9))[0], Gap)


@pytest.mark.parametrize("reason", GapReason)
def test_reasons_are_words_for_people(reason: GapReason) -> None:
    assert len(reason.split()) > 3
