"""Signals and events as they come; the time between STOP and START is no loss."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.viewing.signals.lanes import Channel
from bela_module.viewing.signals.live_signals import EventLog, LiveEvent, LiveSignal


def signal_with_gaps() -> LiveSignal:
    signal = LiveSignal((Channel("s", 0, "a", ""),), 1.0, 100.0)
    signal.add(np.array([0.0, 1.0, 5.0, 6.0, 20.0]), np.arange(5.0)[:, None])
    return signal


def test_losses_are_gaps_but_not_pauses() -> None:
    signal = signal_with_gaps()
    assert signal.losses(()) == [(1, 5), (6, 20)]
    assert signal.losses([LiveEvent(7.0, "stopped"), LiveEvent(19.9, "started")]) == [(1, 5)]
    assert signal.losses([LiveEvent(3.0, "gap a 3"), LiveEvent(10.0, "set a=1")]) == [
        (1, 5),
        (6, 20),
    ]


def test_of_an_irregular_stream_the_events_tell() -> None:
    signal = LiveSignal((Channel("s", 0, "a b", ""),), 0.0, 100.0)
    signal.add(np.array([0.0, 1.0]), np.zeros((2, 1)))
    signal.add(np.array([5.0, 6.0]), np.zeros((2, 1)))
    assert signal.losses([LiveEvent(1.1, "gap a b 3")]) == [(1, 5)]
    assert signal.losses([LiveEvent(5.5, "gap a b 3")]) == [(5, 6)]
    assert signal.losses([LiveEvent(1.1, "gap b 3"), LiveEvent(3.0, "stopped")]) == []
    # Nothing has come after the gap yet, or nothing is kept of the time before it.
    assert signal.losses([LiveEvent(5.99, "gap a b 3"), LiveEvent(-1.0, "gap a b 3")]) == []


def test_the_event_of_a_loss_may_be_some_samples_beside_it() -> None:
    signal = LiveSignal((Channel("s", 0, "a", ""),), 0.0, 100.0)
    stamps_s = np.concatenate([np.arange(0, 1, 0.001), np.arange(1.3, 2, 0.001)])
    for k in range(0, stamps_s.size, 100):
        signal.add(stamps_s[k : k + 100], np.zeros((stamps_s[k : k + 100].size, 1)))
    for event_s in (0.96, 0.9991, 1.2, 1.34):
        (gap,) = signal.losses([LiveEvent(event_s, "gap a 300")])
        assert gap == pytest.approx((0.999, 1.3))


@pytest.mark.parametrize("step_s", [-0.9, -0.003, -0.0001, 0.0001, 0.003])
@pytest.mark.parametrize("is_within", [True, False])
def test_a_corrected_offset_is_neither_another_clock_nor_a_loss(
    step_s: float, is_within: bool
) -> None:
    one = LiveSignal((Channel("a", 0, "a", ""),), 10_000.0, 75.0, 0.005)
    stamps_s = 10.0 + np.arange(20_000) / 10_000.0
    stamps_s[10_000:] += step_s
    for part in [slice(None)] if is_within else [slice(10_000), slice(10_000, None)]:
        one.add(stamps_s[part], np.arange(20_000)[part, None])
    block = one.history.between(0.0, 100.0)
    assert block.values[:, 0].tolist() == list(range(20_000))
    assert np.all(np.diff(block.stamps_s) >= 0)
    assert (one.history.generation, one.losses(())) == (0, [])
    one.add(block.stamps_s[-1:] + 0.02, np.zeros((1, 1)))
    assert len(one.losses(())) == 1


def test_a_step_back_of_more_than_a_second_is_another_clock() -> None:
    one = LiveSignal((Channel("a", 0, "a", ""),), 100.0, 75.0)
    one.add(np.array([10.0, 10.01]), np.zeros((2, 1)))
    one.add(np.array([8.9, 8.91]), np.ones((2, 1)))
    assert one.history.between(0.0, 100.0).stamps_s.tolist() == [8.9, 8.91]


def test_a_frozen_one_stays_as_it_was() -> None:
    one = LiveSignal((Channel("a", 0, "a", ""),), 1.0, 5.0)
    one.add(np.array([1.0, 2.0, 5.0]), np.zeros((3, 1)))
    frozen = one.frozen()
    one.add(np.arange(6.0, 90.0), np.ones((84, 1)))
    assert frozen.history.between(0.0, 100.0).stamps_s.tolist() == [1.0, 2.0, 5.0]
    assert frozen.losses(()) == [(2.0, 5.0)]


def test_samples_are_kept() -> None:
    history = signal_with_gaps().history
    assert history.count_between(0, 100) == 5
    assert history.last_stamp_s == 20


def test_events_are_kept_for_a_time() -> None:
    log = EventLog(10.0)
    log.add(1.0, "started")
    log.add(5.0, "gap a 1")
    assert log.events == ((1.0, "started"), (5.0, "gap a 1"))
    log.add(12.0, "stopped")
    assert log.events == ((5.0, "gap a 1"), (12.0, "stopped"))
