"""Faults on demand for the simulated board: all of them, and how they are written.

A fault is a small frozen object: give it to :meth:`SimulatedBoard.inject`, or write it as text
for ``--fault``, as in ``drop-header:p=0.01`` or ``disconnect:at_s=10,every_s=60``. There are two
sorts. A *message fault* (``message_faults``) happens to messages as they leave. A
*timed fault* (``timed_faults``) happens to the board or the network at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from bela_module.errors import RequestError, UnknownVariableError
from bela_module.simulator.faults.message_faults import (
    CorruptHeader,
    CorruptPayload,
    DropHeader,
    DropPair,
    DropPayload,
    MessageFault,
    OversizedPayload,
    RepeatPair,
    WrongReply,
)
from bela_module.simulator.faults.timed_faults import (
    Disconnect,
    Drift,
    NoData,
    OtherClient,
    Pause,
    Refuse,
    Restart,
    Silence,
    Slow,
    Stall,
    StepClock,
    TimedFault,
    Unassigned,
)
from bela_module.simulator.parameters import parameters_of, variables_named_by
from bela_module.simulator.sketches.built_in import find_sketch
from bela_module.simulator.sketches.sketch import Sketch
from bela_module.validation import shown

__all__ = [
    "CorruptHeader",
    "CorruptPayload",
    "Disconnect",
    "Drift",
    "DropHeader",
    "DropPair",
    "DropPayload",
    "FAULTS",
    "Fault",
    "MessageFault",
    "NoData",
    "OtherClient",
    "OversizedPayload",
    "Pause",
    "Refuse",
    "RepeatPair",
    "Restart",
    "Silence",
    "Slow",
    "Stall",
    "StepClock",
    "TimedFault",
    "Unassigned",
    "WrongReply",
    "check_variables",
    "describe_faults",
    "parse_fault",
]

Fault = MessageFault | TimedFault

_ALL: Final[tuple[type[Fault], ...]] = (
    DropHeader,
    DropPayload,
    DropPair,
    CorruptHeader,
    CorruptPayload,
    OversizedPayload,
    RepeatPair,
    WrongReply,
    Disconnect,
    Refuse,
    Silence,
    Stall,
    Slow,
    Restart,
    Pause,
    Unassigned,
    NoData,
    OtherClient,
    StepClock,
    Drift,
)

FAULTS: Final[Mapping[str, type[Fault]]] = MappingProxyType({kind.name: kind for kind in _ALL})
"""All faults by the name that ``--fault`` takes."""


def parse_fault(text: str) -> Fault:
    """Read a fault from text.

    Parameters
    ----------
    text : str
        ``name`` or ``name:key=value,key=value``; the keys are the fault's parameters.

    Raises
    ------
    RequestError
        When the name, a key or a value is wrong; names what there is.
    """
    name, _, rest = text.partition(":")
    kind = FAULTS.get(name)
    if kind is None:
        raise RequestError(f"no fault {shown(name)}; there are {', '.join(FAULTS)}")
    parameters = parameters_of(kind)
    chosen: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, _, value = item.partition("=")
        if key not in parameters:
            there = ", ".join(parameters)
            raise RequestError(f"the fault {name!r} has no {shown(key)}; it has {there}")
        if key in chosen:
            raise RequestError(f"the fault {name!r} was given {key!r} twice")
        chosen[key] = parameters[key].read(value, f"the fault {name!r}")
    return kind(**chosen)


def describe_faults() -> list[str]:
    """Give some lines for each fault: how it is written, what it does, what its parameters are."""
    return [_describe(kind) for kind in _ALL]


def check_variables(faults: Iterable[Fault], sketch: Sketch) -> None:
    """Refuse faults that name variables which a board does not have.

    Parameters
    ----------
    faults : iterable of Fault
        Faults that are to happen to it.
    sketch : Sketch
        What it runs. The variables of what a restart among the faults brings count as well.

    Raises
    ------
    UnknownVariableError
        Names what is not there, and what is.
    """
    faults = list(faults)
    later = [find_sketch(f.sketch) for f in faults if isinstance(f, Restart) and f.sketch]
    there = dict.fromkeys(v.name for each in (sketch, *later) for v in each.variables)
    unknown = {name for fault in faults for name in variables_named_by(fault)} - there.keys()
    if unknown:
        raise UnknownVariableError(sorted(unknown), there)


def _describe(kind: type[Fault]) -> str:
    parameters = parameters_of(kind).values()
    keys = ",".join(f"{p.name}={_written(p.default)}" for p in parameters)
    lines = [f"    {line}" for line in inspect.cleandoc(kind.__doc__ or "").splitlines() if line]
    lines += [f"      {p.name:12} {p.meaning} ({p.rule})" for p in parameters]
    return "\n".join([f"{kind.name}:{keys}", *lines]).replace("``", "")


def _written(value: object) -> str:
    """Write a value as ``--fault`` takes it."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
