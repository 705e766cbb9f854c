"""Signals of simulated variables: deterministic functions of tick and time. Pure.

So tests can compute what the board must have sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.variables import Ticks

Times = NDArray[np.float64]
Signal = Callable[[Ticks, Times], NDArray[Any]]
"""Function of ticks and the seconds at which they happen to values, all of shape (n_ticks,).

For a variable ``by_number``, of the numbers of the assignments instead of the ticks.
"""


def uniform_noise(numbers: NDArray[np.int64], seed: int = 0) -> Times:
    """Hash integers into [0, 1), the same for the same number and seed.

    The mixing is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)
    return mixed.astype(np.float64) * 2.0**-53


def ramp(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    """Return the tick itself; integer types wrap around."""
    return ticks


def float_ramp(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    """Return the tick modulo 2**24, up to which a ``float`` holds every integer."""
    return ticks % 2**24


def falling_ramp(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    """Return the negative tick."""
    return -ticks


def true_time(_ticks: Ticks, times_s: Times) -> NDArray[Any]:
    """Return the time at which the board takes the value, on the host's clock."""
    return times_s


def sine(frequency_hz: float, amplitude: float = 1.0) -> Signal:
    """Make a sine of time."""
    return lambda _ticks, times_s: amplitude * np.sin(2 * np.pi * frequency_hz * times_s)


def noise(amplitude: float, seed: int) -> Signal:
    """Make white noise in [-amplitude, amplitude)."""
    return lambda ticks, _times_s: amplitude * (2 * uniform_noise(ticks, seed) - 1)


def potentiometer(seed: int) -> Signal:
    """Make the position of a turned knob, 0 to 1, with a converter's noise."""
    slow_hz, fast_hz = 0.11 + 0.04 * seed, 0.43 + 0.07 * seed

    def signal(ticks: Ticks, times_s: Times) -> NDArray[Any]:
        turn = np.sin(2 * np.pi * slow_hz * times_s + seed)
        wiggle = np.sin(2 * np.pi * fast_hz * times_s)
        return 0.5 + 0.32 * turn + 0.12 * wiggle + 0.002 * (uniform_noise(ticks, seed) - 0.5)

    return signal


def sync_pulse(delay_ticks: int = 0, rate_hz: float = 44100.0) -> Signal:
    """Make pulses of 10 ms, one in each second, at uneven intervals of 0.6 s to 1.4 s.

    Parameters
    ----------
    delay_ticks : int
        How much later they are, as what an input reads back from an output.
    rate_hz : float
        Ticks a second.
    """
    slot_ticks, pulse_ticks = round(rate_hz), round(0.01 * rate_hz)

    def signal(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
        slots, since = np.divmod(ticks - delay_ticks, slot_ticks)
        onsets = (0.4 * slot_ticks * uniform_noise(slots, seed=11)).astype(np.int64)
        return ((since >= onsets) & (since < onsets + pulse_ticks)).astype(np.int64)

    return signal


def thermometer(ticks: Ticks, times_s: Times) -> NDArray[Any]:
    """Return a slowly changing skin temperature in degrees Celsius."""
    return 33.0 + 0.4 * np.sin(2 * np.pi * times_s / 60) + 0.02 * uniform_noise(ticks, 7)


def pad_number(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    """Return the number, 0 to 7, of the touched pad."""
    return (uniform_noise(ticks, 5) * 8).astype(np.int64)
