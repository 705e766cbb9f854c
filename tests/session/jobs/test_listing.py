"""LIST, for people and for Python."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import (
    Running,
    answer,
)
from tests.support.signal_cases import TYPED


def test_list_describes_the_variables(board: SimulatedBoard, one: Running) -> None:
    one.set(short=0.5)
    one.monitor(variables="byte", periods=100)
    listed: dict[str, Any] = json.loads(json.dumps(one.list(), allow_nan=False))
    assert listed["project"] == "test"
    assert listed["sample_rate_hz"] == 44100.0
    assert 0 < listed["tick"] <= board.tick_now()
    described = {each["name"]: each for each in listed["variables"]}
    assert list(described) == [v.name for v in TYPED]
    types = ["double", "int", "unsigned int", "char", "float", "int"]
    assert [each["type"] for each in listed["variables"]] == types
    assert described["touch"]["mode"] == "sparse"
    assert {each["mode"] for name, each in described.items() if name != "touch"} == {"dense"}
    assert described["short"]["controlled"]
    assert described["short"]["value"] == 0.5
    assert described["byte"]["monitor_period_ticks"] == 100
    assert not any(each["watched"] or each["logged"] for each in listed["variables"])


def test_a_look_for_python_has_the_measured_rate(board: SimulatedBoard, one: Running) -> None:
    one.monitor(variables="ramp", periods=100)  # which measures the clock
    view = answer(one.session.look())
    assert [v.name for v in view.variables] == [v.name for v in TYPED]
    assert (view.project, view.declared_rate_hz) == ("test", 44100.0)
    assert view.tick_rate_hz == pytest.approx(44100.0, rel=0.1)
    assert view.tick <= board.tick_now()
