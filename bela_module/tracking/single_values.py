"""How a variable's values come: in blocks, or one by one from a monitor of period 2. Pure, no I/O.

A monitor of period 2 sends every value that is assigned at least two ticks after the one before,
at once and with its own tick, while the watch beside it collects the same values in blocks. Its
single values are the prompt way; the blocks prove that none is missing, and carry the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from bela_module.protocol.variables import Array, Ticks

PROMPT_PERIOD_TICKS: Final = 2
"""Period of a monitor that sends every value that comes two ticks or more after the last."""


class Transport(StrEnum):
    """Where a tracker takes the values from."""

    BLOCK = "block"
    """From blocks; single values are ignored."""
    AWAITED = "awaited"
    """From blocks up to the first single value: those that have come are held until then."""
    SINGLE = "single"
    """From single values as they come; blocks prove that none is missing."""


class SingleValue(NamedTuple):
    """One value from a monitor: its tick, and an array of it alone."""

    tick: int
    value: Array


def join(values: Sequence[SingleValue]) -> tuple[Ticks, Array]:
    """Join single values, at least one, to arrays of shape (n_values,)."""
    ticks = np.array([value.tick for value in values], dtype=np.int64)
    return ticks, np.concatenate([value.value for value in values])


def count_up_to_last(values: Array, singles: Sequence[SingleValue]) -> int:
    """Return how many of a block's values came up to the last of some single values.

    They are looked for in order, each as early as possible.
    """
    at = 0
    for single in singles:
        found = np.flatnonzero(values[at:] == single.value[0])
        if not found.size:
            return max(at, min(len(singles), values.size))
        at += int(found[0]) + 1
    return at
