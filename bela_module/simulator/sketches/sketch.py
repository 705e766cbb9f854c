"""Sketches as data: variables, their signals, and the rates of the board. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import EVERY_TICK, Assignments
from bela_module.simulator.sketches.signals import Signal


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
