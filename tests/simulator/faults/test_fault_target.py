"""The simulated board offers everything that timed faults change."""

from __future__ import annotations

import inspect

import pytest

from bela_module.simulator.faults.fault_target import FaultTarget
from bela_module.simulator.simulated_board import SimulatedBoard

CHANGES = sorted({name for name in vars(FaultTarget) if name[0] != "_"} - {"sketch"})


@pytest.mark.parametrize("name", CHANGES)
def test_the_board_takes_each_change_with_the_same_arguments(name: str) -> None:
    wanted = inspect.signature(getattr(FaultTarget, name)).parameters
    offered = inspect.signature(getattr(SimulatedBoard, name)).parameters
    assert list(offered) == list(wanted)
    assert {key: p.default for key, p in offered.items()} == {
        key: p.default for key, p in wanted.items()
    }
