"""Variables that show invented zeros, lost tails and wrong steps; variables of all types."""

from __future__ import annotations

import numpy as np

from bela_module.protocol.variables import Array, Ticks, ValueType
from bela_module.simulator.sketches.signals import Signal, Times, ramp
from tests.support.session_helpers import variable

AHEAD_TICKS = 110_250  # 2.5 s
"""How far ahead a schedule is made: no stall may take as long."""

TOUCH_STEP = 1000


def saw(ticks: Ticks, _times_s: Times) -> Array:
    """Give a ramp that crosses 0 all the time, and stays there for a while."""
    value: Array = np.maximum(ticks % 97 - 40, 0)
    return value


def zero(ticks: Ticks, _times_s: Times) -> Array:
    return np.zeros(ticks.size)


SKETCH = (
    variable("ramp"),
    variable("saw", ValueType.INT, saw),
    variable("zero", ValueType.FLOAT, zero),
    variable("byte", ValueType.CHAR, zero),
    variable("half", step=2),
    variable("seventh", step=7),
    variable("touch", ValueType.INT, step=TOUCH_STEP, sparse=True),
)
EACH_TICK = ("ramp", "saw", "zero", "byte")
STEPS = dict.fromkeys(EACH_TICK, 1) | {"half": 2, "seventh": 7}
"""How far values of the dense ones are apart, in ticks."""


def value_of(name: str, ticks: Ticks) -> Array:
    signals: dict[str, Signal] = {"saw": saw, "zero": zero, "byte": zero}
    return signals.get(name, ramp)(ticks, np.zeros(ticks.size))


TYPED_TOUCH_STEP = 500
TYPED = (
    variable("ramp"),
    variable("whole", ValueType.INT),
    variable("unsigned", ValueType.UNSIGNED_INT),
    variable("byte", ValueType.CHAR),
    variable("short", ValueType.FLOAT),
    variable("touch", ValueType.INT, step=TYPED_TOUCH_STEP, sparse=True),
)
