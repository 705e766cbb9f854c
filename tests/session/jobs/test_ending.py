"""What STOP answers, and that START after it is a new run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import Running, WaitUntil, answer, board_of, flow
from tests.support.signal_cases import SKETCH, value_of


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with board_of(*SKETCH) as board:
        yield board


def until_idle(one: Running, wait_until: WaitUntil) -> None:
    wait_until(lambda: one.state == "idle", "the end of the schedule")


def assert_exactly(one: Running, name: str, first: int, last: int, step: int = 1) -> None:
    """Check that a stream has each value of a time, both its ends included, and no other."""
    kept = one.sink[f"bela_{name}"]
    np.testing.assert_array_equal(kept.ticks, np.arange(first, last + 1, step))
    np.testing.assert_array_equal(kept.values, value_of(name, kept.ticks))
    assert one.streams[f"bela_{name}"]["samples"] == kept.n_samples
    assert one.streams[f"bela_{name}"]["lost"] == 0


def test_start_and_stop_twice(one: Running) -> None:
    one.start("ramp", "saw")
    assert one.start("saw", "ramp") == "already streaming"
    with pytest.raises(RequestError, match=r"ramp, saw streaming already; STOP first"):
        one.start("zero")
    with pytest.raises(RequestError, match="STOP first"):
        one.schedule(start_in_s=1, duration_s=1)
    assert set(one.streams) == {"bela_ramp", "bela_saw"}
    assert one.stop() == "stopped"
    assert one.stop() == "nothing was running"


def test_some_streams_end_with_their_tail_and_the_others_go_on(
    one: Running, board: SimulatedBoard, wait_until: WaitUntil
) -> None:
    one.start("ramp", "saw")
    flow(one, wait_until)
    said = answer(one.session.stop_variables(["saw", "zero"]))
    assert said == "stopped bela_saw"
    (run,) = board.written("saw")
    assert_exactly(one, "saw", run.first_tick, run.last_tick)
    assert board.watched_names() == ["ramp"]
    n_samples = one.samples("bela_ramp")
    wait_until(lambda: one.samples("bela_ramp") > n_samples, "more of the other")
    assert answer(one.session.stop_variables(["saw"])) == "nothing was running"
    assert answer(one.session.stop_variables(["ramp"])) == "stopped bela_ramp"
    (run,) = board.written("ramp")
    assert_exactly(one, "ramp", run.first_tick, run.last_tick)
    assert one.stop() == "nothing was running"
    assert one.session.status()["shortfalls"] == []
