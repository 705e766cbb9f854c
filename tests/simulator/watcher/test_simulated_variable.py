"""One variable of the simulated board: when it has to be run, and what becomes of its values."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.variables import Ticks, ValueType
from bela_module.simulator.sketches.assignments import EVERY_TICK, Assignments
from bela_module.simulator.sketches.signals import Times, ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.watcher.simulated_variable import NEVER, SimulatedVariable
from bela_module.simulator.watcher.written_values import Account, WrittenRun

SCATTERED = Assignments(step_ticks=100, scattered=True)


def times_of(ticks: Ticks) -> Times:
    return ticks / 1000.0


def make(
    kind: ValueType = ValueType.DOUBLE,
    *,
    sparse: bool = False,
    assignments: Assignments = EVERY_TICK,
) -> SimulatedVariable:
    spec = SketchVariable("v", kind, ramp, sparse, assignments)
    return SimulatedVariable(0, spec, times_of, client_active=True)


def test_it_is_due_when_its_block_is_full() -> None:
    variable = make()
    assert variable.due_tick == NEVER
    variable.start(variable.watch, 0, 0, now_tick=100)
    assert variable.due_tick == 100
    assert variable.advance(150) == []
    assert variable.due_tick == 100 + 511
    (payload,) = variable.advance(611)
    assert (payload.tick, payload.first_tick, payload.n_values) == (611, 100, 512)
    assert variable.due_tick == 611 + 512


@pytest.mark.parametrize("assignments", [Assignments(), SCATTERED])
def test_a_start_that_never_comes_is_never_due(assignments: Assignments) -> None:
    variable = make(assignments=assignments)
    variable.start(variable.watch, 2**61, 2**61, now_tick=0)
    assert variable.due_tick >= 2**61
    assert variable.advance(10**6) == []


def test_a_stream_that_no_client_wants_is_not_due() -> None:
    variable = make()
    variable.start(variable.watch, 0, 0, now_tick=0)
    variable.advance(10)
    variable.client_active = False
    variable.find_due(11)
    assert variable.due_tick == NEVER


def test_scattered_assignments_keep_their_ticks() -> None:
    variable = make(sparse=True, assignments=SCATTERED)
    variable.start(variable.watch, 0, 1000, now_tick=0)
    (payload,) = variable.advance(2000)
    expected = SCATTERED.ticks(np.arange(20))
    n_expected = int(np.searchsorted(expected, 1000)) + 1
    assert payload.n_values == n_expected
    values = np.frombuffer(payload.data, "<f8", payload.n_values, 8)
    np.testing.assert_array_equal(values, expected[:n_expected])


def test_every_start_begins_a_run_and_what_it_discards_is_counted() -> None:
    variable = make()
    variable.start(variable.watch, 0, 0, now_tick=0)
    variable.advance(599)
    variable.start(variable.watch, 0, 0, now_tick=600)
    variable.advance(649)
    assert variable.written == (WrittenRun(0, 599, 600), WrittenRun(600, 649, 50))
    assert variable.account == Account(written=650, sent=512, discarded=88, pending=50)


def test_a_log_alone_writes_nothing_for_the_clients() -> None:
    variable = make()
    variable.start(variable.log, 0, 0, now_tick=0)
    assert variable.advance(5000) == []
    assert variable.account == Account(0, 0, 0, 0)
    assert variable.describe(5000).logged


def test_what_a_log_wrote_while_no_client_was_active_is_sent_with_the_block() -> None:
    variable = make()
    variable.start(variable.watch, 0, 0, now_tick=0)
    variable.start(variable.log, 0, 0, now_tick=0)
    variable.advance(99)
    variable.client_active = False
    variable.find_due(100)
    variable.advance(299)
    variable.client_active = True
    variable.find_due(300)
    (payload,) = variable.advance(511)
    assert payload.n_values == 512
    assert variable.written == (WrittenRun(0, 511, 512),)
    assert variable.account == Account(written=512, sent=512, discarded=0, pending=0)


def test_ticks_that_are_left_out_are_no_part_of_a_run() -> None:
    variable = make()
    variable.start(variable.watch, 0, 0, now_tick=0)
    variable.advance(9)
    variable.skip(100)
    variable.advance(104)
    assert variable.written == (WrittenRun(0, 9, 10), WrittenRun(100, 104, 5))


def test_before_its_first_assignment_its_value_is_zero() -> None:
    variable = make(assignments=Assignments(step_ticks=1000, phase_ticks=500))
    assert [variable.input_value(tick) for tick in (499, 500, 1499, 1500)] == [0, 500, 500, 1500]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (ValueType.CHAR, 300, 44),
        (ValueType.CHAR, -1, 255),
        (ValueType.INT, -3.9, -3),
        (ValueType.INT, 2**31, -(2**31)),
        (ValueType.UNSIGNED_INT, -3, 4294967293),
        (ValueType.UNSIGNED_INT, float("inf"), 0),
        (ValueType.FLOAT, 0.1, float(np.float32(0.1))),
        (ValueType.DOUBLE, 0.1, 0.1),
    ],
)
def test_set_converts_as_the_board_does(kind: ValueType, value: float, expected: float) -> None:
    variable = make(kind)
    variable.set_control(True, 0)
    variable.set_value(value)
    assert variable.describe(5).value == expected
    variable.set_control(False, 5)
    assert variable.describe(5).value == 5


def test_a_mask_leaves_other_bits() -> None:
    variable = make(ValueType.UNSIGNED_INT)
    variable.set_control(True, 4)
    variable.set_masked(255, 240)
    assert variable.describe(5).value == 244


def test_while_it_is_not_assigned_nothing_happens_and_its_value_stays() -> None:
    variable = make()
    variable.start(variable.watch, 0, 0, now_tick=0)
    variable.advance(99)
    variable.set_assigned(False, 99)
    assert variable.due_tick == NEVER
    variable.stop(variable.watch, 150, now_tick=100)
    assert variable.advance(9999) == []
    described = variable.describe(9999)
    assert (described.watched, described.value_input) == (True, 99.0)
    variable.set_assigned(True, 9999)
    assert variable.describe(10_000).value_input == 10_000.0
    (payload,) = variable.advance(10_001)
    assert (payload.tick, payload.first_tick, payload.n_values) == (10_000, 0, 101)
    assert variable.written == (WrittenRun(0, 99, 100), WrittenRun(10_000, 10_000, 1))
    assert not variable.describe(10_001).watched


def test_not_being_assigned_is_over_with_one_call_and_begins_with_the_first() -> None:
    variable = make()
    variable.set_assigned(False, 99)
    variable.set_assigned(False, 500)
    assert variable.describe(600).value_input == 99.0
    variable.set_assigned(True, 600)
    assert variable.describe(700).value_input == 700.0


def test_a_monitor_overflows_when_the_host_stood_still_and_a_slow_one_does_not() -> None:
    fast, slow = make(), make(assignments=Assignments(1000))
    for variable in (fast, slow):
        variable.monitor(2, now_tick=-1)
    fast_ticks = [payload.tick for payload in fast.advance(1_000_000)]
    assert fast_ticks[-1] in (999_999, 1_000_000)
    assert len(fast_ticks) <= 2502
    assert [payload.tick for payload in slow.advance(1_000_000)] == list(range(0, 1_000_001, 1000))
