"""Built-in sketches of the simulated board, by name; add a further one to ``_SKETCHES``.

Those with unusual assignments or names are in ``unusual``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import RequestError
from bela_module.protocol.variables import Ticks, ValueType
from bela_module.simulator.sketches.assignments import Assignments
from bela_module.simulator.sketches.signals import (
    Signal,
    Times,
    float_ramp,
    noise,
    pad_number,
    potentiometer,
    ramp,
    sine,
    sync_pulse,
    thermometer,
    true_time,
)
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from bela_module.simulator.sketches.unusual import UNUSUAL_SKETCHES


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
        "sync-pulse",
        "a pulse a second, as written to an output and as an input reads it two blocks later",
        (
            SketchVariable("sync", _C, sync_pulse()),
            SketchVariable("sync_in", _C, sync_pulse(delay_ticks=32)),
        ),
    ),
    Sketch(
        "closed-loop",
        "copies the number of each command in buffer 0 to 'echo', and what it sets to 'level'",
        (
            SketchVariable("echo", _I, ramp, True, copies=0),
            SketchVariable("level", _F, ramp, copies=1),
        ),
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
    *UNUSUAL_SKETCHES,
)

SKETCHES: Final[Mapping[str, Sketch]] = MappingProxyType({s.name: s for s in _SKETCHES})
"""The built-in sketches by name."""


def find_sketch(name: str) -> Sketch:
    """Return a built-in sketch; RequestError lists the known names."""
    try:
        return SKETCHES[name]
    except KeyError:
        raise RequestError(f"no sketch {name!r}; there are {', '.join(SKETCHES)}") from None
