"""List of the simulated board's faults, parsing of ``--fault`` texts, and their help.

A fault is a frozen dataclass: give it to :meth:`SimulatedBoard.inject`, or write it as text
for ``--fault``, as in ``drop-header:p=0.01`` or ``disconnect:at_s=10,every_s=60``. A *message
fault* (``message_faults``) changes messages as they leave; a *timed fault* (``timed_faults``)
changes the board or the network at a time.
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
    LateBurst,
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
    Underrun,
)
from bela_module.simulator.parameters import parameters_of, variables_named_by
from bela_module.simulator.sketches.built_in import find_sketch
from bela_module.simulator.sketches.sketch import Sketch
from bela_module.validation import shown

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
    Underrun,
    LateBurst,
)

FAULTS: Final[Mapping[str, type[Fault]]] = MappingProxyType({kind.name: kind for kind in _ALL})
"""All faults by the name that ``--fault`` takes."""


def parse_fault(text: str) -> Fault:
    """Parse a fault from the text of ``--fault``.

    Parameters
    ----------
    text : str
        ``name`` or ``name:key=value,key=value``; the keys are the fault's parameters.

    Raises
    ------
    RequestError
        When the name, a key or a value is wrong; lists what is allowed.
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
            known = ", ".join(parameters)
            raise RequestError(f"the fault {name!r} has no {shown(key)}; it has {known}")
        if key in chosen:
            raise RequestError(f"the fault {name!r} was given {key!r} twice")
        chosen[key] = parameters[key].read(value, f"the fault {name!r}")
    return kind(**chosen)


def describe_faults() -> list[str]:
    """Return a text of several lines for each fault: its defaults, effect and parameters."""
    return [_describe(kind) for kind in _ALL]


def check_variables(faults: Iterable[Fault], sketch: Sketch) -> None:
    """Check that a sketch has the variables that some faults name.

    The variables of the sketches that ``Restart`` faults among them start are accepted, too.

    Raises
    ------
    UnknownVariableError
        Lists the unknown variables and the known ones.
    """
    faults = list(faults)
    later = [find_sketch(f.sketch) for f in faults if isinstance(f, Restart) and f.sketch]
    known = dict.fromkeys(v.name for each in (sketch, *later) for v in each.variables)
    unknown = {name for fault in faults for name in variables_named_by(fault)} - known.keys()
    if unknown:
        raise UnknownVariableError(sorted(unknown), known)


def _describe(kind: type[Fault]) -> str:
    parameters = parameters_of(kind).values()
    keys = ",".join(f"{p.name}={_to_text(p.default)}" for p in parameters)
    lines = [f"    {line}" for line in inspect.cleandoc(kind.__doc__ or "").splitlines() if line]
    lines += [f"      {p.name:12} {p.meaning} ({p.rule})" for p in parameters]
    return "\n".join([f"{kind.name}:{keys}", *lines]).replace("``", "")


def _to_text(value: object) -> str:
    """Write a value in the syntax of ``--fault``."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
