"""Ranges of the sliders that set a board's variables: their ends, their steps. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.protocol.variables import ValueType

_STEPS: Final = 100
"""Of a slider, at least: about one for each pixel or two."""
_ROUND_STEPS: Final = (1.0, 2.0, 5.0)
_SPARE_DIGITS: Final = 3
_WHOLE_FROM: Final = 100.0
"""The shortest range of a whole number that is offered first."""


@dataclass(frozen=True, slots=True)
class ControlRange:
    """The range of a slider.

    Attributes
    ----------
    value_type : ValueType
        Of the variable.
    low, high : float
        Its ends.
    """

    value_type: ValueType
    low: float
    high: float

    @property
    def is_whole(self) -> bool:
        """Whether the variable takes whole numbers only."""
        return self.value_type.dtype.kind != "f"

    @property
    def step(self) -> float:
        """What a key moves the slider by: a round number, at most a hundredth of the range."""
        wanted = (self.high - self.low) / _STEPS
        decade = 10.0 ** math.floor(math.log10(wanted))
        step = max(decade * part for part in _ROUND_STEPS if decade * part <= wanted * (1 + 1e-9))
        return max(1.0, step) if self.is_whole else step

    def rounded(self, value: float) -> float:
        """Give the value that a position of the slider stands for."""
        value = min(max(value, self.low), self.high)
        if self.is_whole:
            return float(round(value))
        return round(value, _SPARE_DIGITS - math.floor(math.log10(self.step)))

    def with_ends(self, low: float, high: float) -> ControlRange | None:
        """Give the range with other ends; None when there is no such range for this type."""
        least, most = _limits(self.value_type)
        low, high = max(low, least), min(high, most)
        if self.is_whole:
            low, high = math.ceil(low), math.floor(high)
        is_range = low < high and (high - low) / _STEPS > 0 and math.isfinite(high - low)
        return ControlRange(self.value_type, float(low), float(high)) if is_range else None

    def including(self, value: float) -> ControlRange:
        """Give the range that has a value in it: this one, or a wider one."""
        if self.low <= value <= self.high:
            return self
        wider = first_range(self.value_type, value)
        return self.with_ends(min(self.low, wider.low), max(self.high, wider.high)) or self


def first_range(value_type: ValueType, value: float) -> ControlRange:
    """Offer a range for a variable of which nothing but its value is known.

    Parameters
    ----------
    value_type : ValueType
        Its type.
    value : float
        Its present value; NaN when it is not known.
    """
    least, most = _limits(value_type)
    if value_type is ValueType.CHAR:
        return ControlRange(value_type, least, most)
    shortest = 1.0 if value_type.dtype.kind == "f" else _WHOLE_FROM
    size = min(abs(value), 1e300) if math.isfinite(value) else 0.0
    high = 10.0 ** math.ceil(math.log10(max(size, shortest)) - 1e-9)
    low = -high if value < 0 else 0.0
    return ControlRange(value_type, max(low, least), min(high, most))


def short_value(value_type: ValueType, value: float) -> float:
    """Give the shortest number that the type holds as this value: 0.3, not 0.300000011920929."""
    return float(str(np.float32(value))) if value_type is ValueType.FLOAT else value


def type_of(label: str) -> ValueType:
    """Give the type that LIST calls so."""
    return ValueType[label.upper().replace(" ", "_")]


def _limits(value_type: ValueType) -> tuple[float, float]:
    dtype = value_type.dtype
    if dtype.kind == "f":
        largest = min(float(np.finfo(dtype).max), 1e300)
        return -largest, largest
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
