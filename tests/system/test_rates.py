"""Nominal rates over real sockets: right from the first start on, and the outlets stay."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.assignments import Assignments, RepeatedAssignments
from bela_module.simulator.sketches.built_in import SKETCHES
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    assert_times_are_true,
    board_of,
    flow,
    session_on,
    variable,
)

ZERO = variable("zero", signal=lambda ticks, _: 0.0 * ticks, step=441)
SLOW_TWICE = SketchVariable(
    "slow_twice",
    ValueType.DOUBLE,
    ramp,
    assignments=RepeatedAssignments(2, Assignments(441)),
    by_number=True,
)


def check_numbers(one: Running, name: str, each: int, step: int) -> None:
    """Check values that count assignments: all there, each with its tick, nothing lost."""
    kept = one.sink[f"bela_{name}"]
    numbers = kept.values.astype(np.int64)
    np.testing.assert_array_equal(np.diff(numbers), 1)
    expected = numbers * step // each if step >= each else numbers // each * step
    np.testing.assert_array_equal(kept.ticks, expected)
    assert one.streams[f"bela_{name}"]["lost"] == 0


@pytest.mark.parametrize("prepared", [False, True])
def test_twice_per_tick(prepared: bool, wait_until: WaitUntil) -> None:
    with SimulatedBoard(SKETCHES["twice"], clock=local_clock) as board, session_on(board) as one:
        for _ in range(2):
            if prepared:
                one.prepare("twice", "fast")
            one.sink.kept.clear()
            one.start("twice", "fast")
            flow(one, wait_until, 40)
            rates = {name: facts.nominal_rate_hz for name, facts in one.sink.facts.items()}
            assert rates == {"bela_twice": 88_200.0, "bela_fast": 44_100.0}
            assert one.streams["bela_twice"]["nominal_rate_hz"] == 88_200.0
            one.stop()
            check_numbers(one, "twice", 2, 1)


def test_sixteen_for_each_audio_block(wait_until: WaitUntil) -> None:
    sketch = SKETCHES["per-block"]
    with SimulatedBoard(sketch, clock=local_clock) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until, 40)
        assert one.sink.facts["bela_frame"].nominal_rate_hz == 44_100.0
        assert one.sink.facts["bela_block"].nominal_rate_hz == 44_100.0 / 16
        one.stop()
        check_numbers(one, "frame", 16, 16)
        assert_times_are_true(board, one.sink, "bela_block")


def test_a_slow_one_twice_per_tick_comes_in_blocks(wait_until: WaitUntil) -> None:
    with board_of(SLOW_TWICE, variable("fast")) as board, session_on(board) as one:
        one.start()
        flow(one, wait_until, 40)
        assert one.streams["bela_slow_twice"]["delivery"] == "block"
        assert one.sink.facts["bela_slow_twice"].nominal_rate_hz == pytest.approx(200.0)
        one.stop()
        kept = one.sink["bela_slow_twice"]
        numbers = kept.values.astype(np.int64)
        np.testing.assert_array_equal(np.diff(numbers), 1)
        assert np.abs(kept.ticks - numbers // 2 * 441).max() < 441
        assert one.streams["bela_slow_twice"]["lost"] == 0


def test_what_cannot_be_counted_is_irregular_and_stays_so(wait_until: WaitUntil) -> None:
    with board_of(ZERO, variable("fast")) as board, session_on(board) as one:
        for _ in range(2):
            one.prepare()
            one.start()
            wait_until(lambda: one.samples("bela_zero") >= 100, "values")
            assert one.streams["bela_zero"]["delivery"] == "single"
            one.stop()
            assert one.sink.facts["bela_zero"].nominal_rate_hz == 0.0
            assert one.sink.facts["bela_fast"].nominal_rate_hz == 44_100.0
            one.prepare("fast")  # another plan: the next one is made again
