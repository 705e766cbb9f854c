"""Faults are applied when they are due: at once, after a time, again, or with the first client."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from bela_module.simulator.faults.fault_scheduler import FaultScheduler
from bela_module.simulator.faults.fault_target import FaultTarget
from bela_module.simulator.faults.message_faults import DropPair
from bela_module.simulator.faults.timed_faults import Drift
from bela_module.simulator.watcher.written_values import Payload


class RecordedTarget:
    """A board on which only the drift can change, in time that is stepped by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.calls: list[tuple[float, Callable[[], object]]] = []
        self.drifts: list[tuple[float, float]] = []

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        self.calls.append((self.now_s + delay_s, call))

    def set_drift(self, drift_ppm: float) -> None:
        self.drifts.append((self.now_s, drift_ppm))

    def run_until(self, end_s: float) -> None:
        while due := [entry for entry in self.calls if entry[0] <= end_s]:
            first = min(due, key=lambda entry: entry[0])
            self.calls.remove(first)
            self.now_s = first[0]
            first[1]()
        self.now_s = end_s


def scheduled(target: RecordedTarget) -> FaultScheduler:
    return FaultScheduler(cast(FaultTarget, target), np.random.default_rng(0))


def test_a_timed_fault_is_applied_when_due_and_again() -> None:
    target = RecordedTarget()
    scheduled(target).add([Drift(at_s=1.0, every_s=2.0, ppm=5.0)], await_client=False)
    target.run_until(6.0)
    assert target.drifts == [(1.0, 5.0), (3.0, 5.0), (5.0, 5.0)]


def test_times_count_from_the_first_client_where_that_is_asked() -> None:
    target = RecordedTarget()
    faults = scheduled(target)
    faults.add([Drift(at_s=1.0, ppm=5.0)], await_client=True)
    target.run_until(10.0)
    assert target.drifts == []
    faults.on_client_ready()
    faults.on_client_ready()
    target.run_until(20.0)
    assert target.drifts == [(11.0, 5.0)]


def test_a_message_fault_is_applied_at_once() -> None:
    faults = scheduled(RecordedTarget())
    faults.add([DropPair(n=1)], await_client=True)
    payload = Payload(9, 0, b"payload", 5, 4)
    assert faults.messages.pair("v", b"0/f", payload) == []
    assert faults.messages.pair("v", b"0/f", payload) == [b"0/f", b"payload"]
