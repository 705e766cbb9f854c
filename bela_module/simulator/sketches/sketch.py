"""Sketch of the simulated board as data: variables, signals, rates. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import EVERY_TICK, AssignmentPattern
from bela_module.simulator.sketches.signals import Signal


@dataclass(frozen=True, slots=True)
class SketchVariable:
    """One variable of a simulated sketch."""

    name: str
    value_type: ValueType
    """C++ type; integer types need a signal of integers, which wrap as in C++."""
    signal: Signal
    sparse: bool = False
    """Whether Watcher sends a tick with each value."""
    assignments: AssignmentPattern = EVERY_TICK
    by_number: bool = False
    """Whether the signal is one of the assignments' numbers instead of their ticks."""
    copies: int | None = None
    """Which number of buffer 0 it copies in the audio block in which a new one has come."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """A program on the simulated board."""

    name: str
    """Name of the project."""
    summary: str
    """One line for the list of sketches."""
    variables: tuple[SketchVariable, ...]
    """In the order in which they are declared and, within a tick, assigned."""
    declared_rate_hz: float = 44100.0
    """The sample rate that the sketch tells Watcher."""
    tick_rate_hz: float = 44100.0
    """The rate of the ticks, which need not be the declared one."""
    burst_ticks: int = 16
    """Ticks of one audio block, which happen at once."""
    tick_call_step: int = 1
    """Ticks from one call of ``tick()`` to the next: 16 where it is called once per block of 16."""
    echoes_buffers: bool = False
    """Whether it ticks and assigns its variables only when a client sends a buffer."""
