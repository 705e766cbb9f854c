"""What runs: one START or SCHEDULE, one MONITOR, and what is known of the last ones."""

from __future__ import annotations

from typing import Any, cast

from bela_module.session.delivery.delivery import Delivery, DeliveryKind
from bela_module.session.running import RunningDeliveries


class StandIn:
    """As much of a delivery as is looked at."""

    def __init__(self, kind: DeliveryKind, *names: str, problems: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.all_problems = problems
        self.streams = [StreamStandIn(name) for name in names]


class StreamStandIn:
    def __init__(self, name: str) -> None:
        self.plan = self
        self.name = name

    def status(self) -> dict[str, Any]:
        return {"name": self.name}


def delivery(kind: DeliveryKind, *names: str, problems: tuple[str, ...] = ()) -> Delivery:
    return cast(Delivery, StandIn(kind, *names, problems=problems))


def test_a_start_and_a_monitor_run_beside_each_other() -> None:
    running = RunningDeliveries()
    assert not running
    start, monitor = delivery(DeliveryKind.START, "a"), delivery(DeliveryKind.MONITOR, "b")
    running.adopt(start)
    running.adopt(monitor)
    assert list(running) == [start, monitor]
    assert start in running
    running.drop(start)
    assert list(running) == [monitor]
    assert start not in running


def test_the_last_figures_stay_until_the_next_run() -> None:
    running = RunningDeliveries()
    first = delivery(DeliveryKind.START, "a")
    running.adopt(first)
    running.drop(first)
    assert running.stream_status() == [{"name": "a"}]
    assert running.has_streamed
    running.adopt(delivery(DeliveryKind.SCHEDULE, "b"))
    assert running.stream_status() == [{"name": "b"}]


def test_shortfalls_are_kept_once_and_belong_to_one_run() -> None:
    running = RunningDeliveries()
    start = delivery(DeliveryKind.START, "a")
    running.adopt(start)
    running.note_shortfall("x")
    running.note_shortfall("x")
    assert running.shortfalls == ("x",)
    running.adopt(delivery(DeliveryKind.MONITOR, "b"))
    assert running.shortfalls == ("x",)  # a monitor beside it is no other run
    running.drop(start)
    running.adopt(delivery(DeliveryKind.START, "a"))
    assert running.shortfalls == ()


def test_problems_are_those_of_all_that_runs() -> None:
    running = RunningDeliveries()
    running.adopt(delivery(DeliveryKind.START, problems=("slow",)))
    running.adopt(delivery(DeliveryKind.MONITOR, problems=("silent",)))
    assert running.problems == ("slow", "silent")
