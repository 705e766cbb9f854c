"""What the check's session shows: figures of STATUS over time, losses by cause."""

from __future__ import annotations

from typing import Any, cast

from bela_module.checking.session_watch import LossCountingOutlets, StatusWatcher
from bela_module.protocol.variables import ValueType, Variable
from bela_module.session.session import Session
from bela_module.tracking.runs import Gap, GapReason
from tests.support.check_facts import status, stream
from tests.support.outlet_helpers import plan_of


def watcher() -> StatusWatcher:
    return StatusWatcher(cast("Session", None))


def test_the_median_of_what_streams_counts() -> None:
    one = watcher()
    one.look(status(state="prepared", streams=[stream(samples=0)], clock={"uncertainty_s": 1.0}))
    for uncertainty_s, delay_s in ((0.001, 0.1), (0.002, 0.2), (0.5, 0.9)):
        one.look(status(clock={"uncertainty_s": uncertainty_s}, streams=[stream(delay_s=delay_s)]))
    assert one.uncertainty_s == 0.002
    assert one.delays_s == {"bela_check_pot1": 0.2}
    assert one.first_sample_s is not None


def test_a_sketch_with_sparse_variables_alone_has_a_clock() -> None:
    one = watcher()
    one.look(status(streams=[stream("bela_check_touch", mode="sparse", samples=0)]))
    assert one.uncertainty_s == 0.0004


def test_problems_are_kept_and_the_last_status_of_a_connected_board() -> None:
    one = watcher()
    connected: dict[str, Any] = status(problems=["silence"])
    one.look(connected)
    one.look(status(board={"connected": False}))
    assert list(one.problems) == ["silence"]
    assert one.last is connected


def test_losses_are_counted_by_cause_and_padding_is_none() -> None:
    plan, variable = plan_of("losses", ValueType.FLOAT), Variable(0, "a", ValueType.FLOAT)
    outlets = LossCountingOutlets("losses_events")
    try:
        for n_values, reason in (
            (5, GapReason.LOST),
            (3, GapReason.LOST),
            (7, GapReason.CUT),
            (9, GapReason.UNKNOWN_END),
        ):
            outlets.gap(plan, variable, Gap(0, 1, n_values, reason))
    finally:
        outlets.close()
    assert outlets.losses == {plan.name: {GapReason.LOST: 8, GapReason.CUT: 7}}
