"""What the simulated board runs: sketches, their variables, and the signals these carry.

A sketch is data. A new one is a :class:`Sketch` with a function for each variable that gives the
values for an array of ticks, added to ``SKETCHES``. Values depend on nothing but tick and time:
asked twice, a signal gives the same, so tests can compute what the board must have sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import RequestError
from bela_module.protocol.variables import ValueType

Ticks = NDArray[np.int64]
Times = NDArray[np.float64]
Signal = Callable[[Ticks, Times], NDArray[Any]]
"""Ticks, and the seconds at which they happen, to values; all of shape (n_ticks,)."""


@dataclass(frozen=True, slots=True)
class Assignments:
    """The ticks at which a sketch assigns a variable.

    Parameters
    ----------
    step_ticks : int
        Ticks from one assignment to the next, at least 1.
    phase_ticks : int
        Tick of assignment number 0.
    scattered : bool
        Whether each assignment falls anywhere in its step, as events do, instead of at its start.
    """

    step_ticks: int = 1
    phase_ticks: int = 0
    scattered: bool = False

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        """Tick of each assignment, by its number."""
        ticks = numbers * self.step_ticks + self.phase_ticks
        if self.scattered:
            ticks += (uniform_noise(numbers) * self.step_ticks).astype(np.int64)
        return ticks

    def tick(self, number: int) -> int:
        """Tick of one assignment."""
        if not self.scattered:
            return number * self.step_ticks + self.phase_ticks
        return int(self.ticks(np.array([number], dtype=np.int64))[0])

    def first_at_or_after(self, tick: int) -> int:
        """Give the number of the first assignment that is not before a tick."""
        number = (tick - self.phase_ticks) // self.step_ticks
        return number if self.tick(number) >= tick else number + 1


EVERY_TICK: Final = Assignments()


@dataclass(frozen=True, slots=True)
class SketchVariable:
    """One variable of a simulated sketch.

    Parameters
    ----------
    name : str
        Its name.
    value_type : ValueType
        Its C++ type; integer types need a signal of integers, which wrap as in C++.
    signal : callable
        ``signal(ticks, times_s)`` gives the value at each tick.
    sparse : bool
        Whether Watcher sends a tick with each value.
    assignments : Assignments
        When the sketch assigns it.
    """

    name: str
    value_type: ValueType
    signal: Signal
    sparse: bool = False
    assignments: Assignments = EVERY_TICK


@dataclass(frozen=True, slots=True)
class Sketch:
    """A program on the simulated board.

    Parameters
    ----------
    name : str
        Name of the project.
    summary : str
        One line that says what it is good for.
    variables : tuple of SketchVariable
        In the order in which they are declared and, within a tick, assigned.
    declared_rate_hz : float
        What it tells Watcher as its sample rate.
    tick_rate_hz : float
        The rate of its ticks, which need not be the declared one.
    burst_ticks : int
        Ticks in one audio block: they all happen at once.
    """

    name: str
    summary: str
    variables: tuple[SketchVariable, ...]
    declared_rate_hz: float = 44100.0
    tick_rate_hz: float = 44100.0
    burst_ticks: int = 16


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
    """Give the tick itself; integer types wrap around."""
    return ticks


def float_ramp(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    """Give the tick, back to 0 at 2**24, up to which a ``float`` holds every integer."""
    return ticks % 2**24


def true_time(_ticks: Ticks, times_s: Times) -> NDArray[Any]:
    """Give the time at which the board takes the value, on the host's clock."""
    return times_s


def sine(frequency_hz: float, amplitude: float = 1.0) -> Signal:
    """Make a sine of time."""
    return lambda _ticks, times_s: amplitude * np.sin(2 * np.pi * frequency_hz * times_s)


def noise(amplitude: float, seed: int) -> Signal:
    """Make white noise in [-amplitude, amplitude)."""
    return lambda ticks, _times_s: amplitude * (2 * uniform_noise(ticks, seed) - 1)


def potentiometer(seed: int) -> Signal:
    """Make the position of a knob that somebody turns, in 0 to 1, with a converter's noise."""
    slow_hz, fast_hz = 0.11 + 0.04 * seed, 0.43 + 0.07 * seed

    def signal(ticks: Ticks, times_s: Times) -> NDArray[Any]:
        turn = np.sin(2 * np.pi * slow_hz * times_s + seed)
        wiggle = np.sin(2 * np.pi * fast_hz * times_s)
        return 0.5 + 0.32 * turn + 0.12 * wiggle + 0.002 * (uniform_noise(ticks, seed) - 0.5)

    return signal


def thermometer(ticks: Ticks, times_s: Times) -> NDArray[Any]:
    """Give a skin temperature in degrees Celsius, which changes slowly."""
    return 33.0 + 0.4 * np.sin(2 * np.pi * times_s / 60) + 0.02 * uniform_noise(ticks, 7)


def pad_number(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    """Give the number, 0 to 7, of the pad that was touched."""
    return (uniform_noise(ticks, 5) * 8).astype(np.int64)


def _byte(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    return ticks & 0xFF


def _above_two_to_31(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    return (0x80000000 + ticks) & 0xFFFFFFFF


def _alternating_sign(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    return np.where(ticks % 2 == 1, -ticks, ticks)


def _sixty_fourths(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    return (ticks % 16384) / 64 - 128


def _half_ticks(ticks: Ticks, _times_s: Times) -> NDArray[Any]:
    return ticks * 0.5 - 1e9


def _numbered_ramp(number: int) -> Signal:
    return lambda ticks, _times_s: 4096 * number + ticks % 4096


_C, _J, _I = ValueType.CHAR, ValueType.UNSIGNED_INT, ValueType.INT
_F, _D = ValueType.FLOAT, ValueType.DOUBLE
_EVERY_12 = Assignments(step_ticks=12)

_POTS = (
    SketchVariable("pot1", _F, potentiometer(1)),
    SketchVariable("pot2", _F, potentiometer(2)),
)
# Each signal is a formula of the tick, so every sample can be checked.
_ALL_TYPES = (
    ("c", _C, _byte),
    ("j", _J, _above_two_to_31),
    ("i", _I, _alternating_sign),
    ("f", _F, _sixty_fourths),
    ("d", _D, _half_ticks),
)

_SKETCHES: Final = (
    Sketch(
        "simulation",
        "two knobs, touches, a counter and signals to look at; ticks at half the declared rate",
        (
            *_POTS,
            SketchVariable("touch", _I, pad_number, True, Assignments(6000, 0, scattered=True)),
            SketchVariable("counter", _J, ramp),
            SketchVariable("sine", _F, sine(1.0)),
            SketchVariable("noise", _F, noise(1.0, seed=3)),
            SketchVariable("temperature", _F, thermometer, True, Assignments(2205)),
        ),
        tick_rate_hz=22050.0,
        burst_ticks=8,
    ),
    Sketch(
        "potentiometers",
        "two knobs on the analog inputs, ticking at half the declared rate",
        _POTS,
        tick_rate_hz=22050.0,
        burst_ticks=8,
    ),
    Sketch(
        "alltypes",
        "every type, dense (d.) and sparse (s.), each a formula of the tick",
        (
            *(SketchVariable("d" + code, kind, signal) for code, kind, signal in _ALL_TYPES),
            *(
                SketchVariable("s" + code, kind, signal, True, _EVERY_12)
                for code, kind, signal in _ALL_TYPES
            ),
        ),
    ),
    Sketch(
        "ramps",
        "values that are their own tick, in every type, and a sparse one",
        (
            SketchVariable("ramp_d", _D, ramp),
            SketchVariable("ramp_j", _J, ramp),
            SketchVariable("ramp_i", _I, ramp),
            SketchVariable("ramp_f", _F, float_ramp),
            SketchVariable("ramp_c", _C, ramp),
            SketchVariable("ramp_sparse", _D, ramp, True, _EVERY_12),
        ),
    ),
    Sketch(
        "truth",
        "a variable that holds the host's time at which the board took each value",
        (SketchVariable("truth", _D, true_time), SketchVariable("counter", _D, ramp)),
    ),
    Sketch(
        "multiplexed",
        "a knob behind a multiplexer: one tick for sixteen audio frames",
        (
            SketchVariable("truth", _D, true_time),
            SketchVariable("counter", _J, ramp),
            *_POTS,
        ),
        tick_rate_hz=2756.25,
        burst_ticks=1,
    ),
    Sketch(
        "fast",
        "ticks at 96 kHz",
        (SketchVariable("truth", _D, true_time), SketchVariable("counter", _J, ramp)),
        declared_rate_hz=96000.0,
        tick_rate_hz=96000.0,
        burst_ticks=32,
    ),
    Sketch(
        "many",
        "130 variables; v<k> counts from 4096 k to 4096 k + 4095, again and again",
        tuple(SketchVariable(f"v{k}", _F, _numbered_ramp(k)) for k in range(130)),
    ),
    Sketch(
        "slow",
        "one tick a second",
        (SketchVariable("counter", _D, ramp), SketchVariable("event", _I, ramp, True)),
        declared_rate_hz=1.0,
        tick_rate_hz=1.0,
        burst_ticks=1,
    ),
)

SKETCHES: Final[Mapping[str, Sketch]] = MappingProxyType({s.name: s for s in _SKETCHES})
"""The sketches that come with the simulated board, by name."""


def find_sketch(name: str) -> Sketch:
    """Look a sketch up.

    Raises
    ------
    RequestError
        When there is none of that name; lists those that there are.
    """
    try:
        return SKETCHES[name]
    except KeyError:
        raise RequestError(f"no sketch {name!r}; there are {', '.join(SKETCHES)}") from None
