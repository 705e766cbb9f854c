"""The tick rate to announce: a simple ratio of the declared rate, or the measured one. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

CRYSTAL_TOLERANCE: Final = 300e-6
"""How far two crystals may be apart, relative."""

_RATIOS: Final = tuple(2.0**power for power in range(-6, 5))
_SETTLED_WITHIN: Final = 0.0005
_SETTLED_WITHIN_IF_SIMPLE: Final = 0.002


class AnnouncedRate(NamedTuple):
    """A tick rate to announce, and whether the bounds confirm it to 0.05 %.

    A simple ratio is confirmed as soon as the bounds leave 0.2 % around it: sketches tick at such
    ratios, and hardly ever beside one.
    """

    rate_hz: float
    is_settled: bool


def announced_rate(
    declared_rate_hz: float, measured_rate_hz: float, range_hz: tuple[float, float]
) -> AnnouncedRate:
    """Choose the rate to announce, given the measured one and the range that bounds allow."""
    low_hz, high_hz = range_hz
    simple_hz = simple_rate_hz(declared_rate_hz, range_hz)
    rate_hz = simple_hz or few_digits(measured_rate_hz, 1e-4)
    spread = max(high_hz / rate_hz - 1.0, 1.0 - low_hz / rate_hz)
    limit = _SETTLED_WITHIN if simple_hz is None else _SETTLED_WITHIN_IF_SIMPLE
    return AnnouncedRate(rate_hz, spread <= limit)


def simple_rate_hz(declared_rate_hz: float, range_hz: tuple[float, float]) -> float | None:
    """Return the only simple ratio of the declared rate within a range of rates, if there is one.

    Sketches tick audio frames, or analog or multiplexed ones: 1, 1/2, 1/4 ... or 2, 4 ... of it.
    """
    low_hz = range_hz[0] * (1.0 - CRYSTAL_TOLERANCE)
    high_hz = range_hz[1] * (1.0 + CRYSTAL_TOLERANCE)
    rates_hz = [ratio * declared_rate_hz for ratio in _RATIOS]
    found = [rate_hz for rate_hz in rates_hz if low_hz <= rate_hz <= high_hz]
    return found[0] if len(found) == 1 else None


def few_digits(value: float, tolerance: float) -> float:
    """Return the decimal number with the fewest digits within a relative tolerance."""
    rounded = (float(f"{value:.{digits}g}") for digits in range(1, 17))
    return next((near for near in rounded if abs(near - value) <= tolerance * value), value)
