"""Faults on demand for the simulated board: all of them, and how they are written.

A fault is a small frozen object: give it to :meth:`SimulatedBoard.inject`, or write it as text
for ``--fault``, as in ``drop-header:p=0.01`` or ``disconnect:at_s=10,every_s=60``. There are two
sorts. A *message fault* (:mod:`bela_module.message_faults`) happens to messages as they leave. A
*timed fault*, below, happens to the board or the network at a time.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from bela_module.control import encode_commands
from bela_module.errors import RequestError
from bela_module.message_faults import (
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
from bela_module.network import Delay, Network
from bela_module.sketches import find_sketch

if TYPE_CHECKING:
    from bela_module.simulated_board import SimulatedBoard

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
    "OtherClient",
    "OversizedPayload",
    "Refuse",
    "RepeatPair",
    "Restart",
    "Silence",
    "Slow",
    "Stall",
    "StepClock",
    "TimedFault",
    "WrongReply",
    "describe_faults",
    "parse_fault",
]


@dataclass(frozen=True, slots=True)
class TimedFault(ABC):
    """A fault that happens to the board or the network.

    Parameters
    ----------
    at_s : float
        How long after its injection it happens.
    every_s : float
        After how long it happens again and again; 0 for once.
    """

    at_s: float = 0.0
    every_s: float = 0.0

    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse times in the past."""
        if not (self.at_s >= 0 and self.every_s >= 0):
            raise RequestError(f"at_s={self.at_s}, every_s={self.every_s}: must be 0 or more")

    @abstractmethod
    def happen(self, board: SimulatedBoard) -> None:
        """Do it."""


@dataclass(frozen=True, slots=True)
class Disconnect(TimedFault):
    """All connections end; ``clean`` sends a close frame first."""

    clean: bool = False

    name = "disconnect"

    def happen(self, board: SimulatedBoard) -> None:
        """Disconnect."""
        board.disconnect(clean=self.clean)


@dataclass(frozen=True, slots=True)
class Refuse(TimedFault):
    """Connections end, and new ones are refused for ``for_s`` seconds."""

    for_s: float = 2.0

    name = "refuse"

    def happen(self, board: SimulatedBoard) -> None:
        """Stop listening for a while."""
        board.disconnect()
        board.refuse_connections(True)
        board.later(self.for_s, lambda: board.refuse_connections(False))


@dataclass(frozen=True, slots=True)
class Silence(TimedFault):
    """The board takes connections and says nothing for ``for_s`` seconds."""

    for_s: float = 2.0

    name = "silence"

    def happen(self, board: SimulatedBoard) -> None:
        """Fall silent for a while."""
        board.go_silent(True)
        board.later(self.for_s, lambda: board.go_silent(False))


@dataclass(frozen=True, slots=True)
class Stall(TimedFault):
    """Nothing arrives, either way, for ``for_s`` seconds; then everything does."""

    for_s: float = 1.0

    name = "stall"

    def happen(self, board: SimulatedBoard) -> None:
        """Stall the network."""
        board.stall_network(self.for_s)


@dataclass(frozen=True, slots=True)
class Slow(TimedFault):
    """The network's delays change: see :class:`bela_module.network.Delay`."""

    to_board_s: float = 0.0
    to_client_s: float = 0.0
    jitter_s: float = 0.0
    spike_share: float = 0.0
    spike_s: float = 0.0

    name = "slow"

    def happen(self, board: SimulatedBoard) -> None:
        """Change the delays."""
        rest = (self.jitter_s, self.spike_share, self.spike_s)
        board.set_network(Network(Delay(self.to_board_s, *rest), Delay(self.to_client_s, *rest)))


@dataclass(frozen=True, slots=True)
class Restart(TimedFault):
    """The board starts again, perhaps with another sketch or project, from ``first_tick``."""

    first_tick: int = 0
    sketch: str = ""
    project: str = ""
    down_s: float = 0.0

    name = "restart"

    def __post_init__(self) -> None:
        """Refuse an unknown sketch at once."""
        TimedFault.__post_init__(self)
        if self.sketch:
            find_sketch(self.sketch)

    def happen(self, board: SimulatedBoard) -> None:
        """Restart, and stay away for a while."""
        if self.down_s:
            board.refuse_connections(True)
            board.later(self.down_s, lambda: board.refuse_connections(False))
        board.restart(self.sketch or None, first_tick=self.first_tick, project=self.project)


@dataclass(frozen=True, slots=True)
class OtherClient(TimedFault):
    """Another client sends a command, for ``variables`` (joined by ``+``) or for all."""

    cmd: str = "unwatch"
    variables: str = ""

    name = "other-client"

    def happen(self, board: SimulatedBoard) -> None:
        """Send the command."""
        names = self.variables.split("+") if self.variables else []
        names = names or [variable.name for variable in board.sketch.variables]
        for text in encode_commands([{"cmd": self.cmd, "watchers": names}]):
            board.inject_command(text)


@dataclass(frozen=True, slots=True)
class StepClock(TimedFault):
    """The board's clock steps: forward leaves ticks out, back makes the board stand still."""

    step_s: float = 0.1

    name = "step-clock"

    def happen(self, board: SimulatedBoard) -> None:
        """Step the clock."""
        board.step_clock(self.step_s)


@dataclass(frozen=True, slots=True)
class Drift(TimedFault):
    """The board's clock drifts differently from now on."""

    ppm: float = 100.0

    name = "drift"

    def happen(self, board: SimulatedBoard) -> None:
        """Change the drift."""
        board.set_drift(self.ppm)


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
    OtherClient,
    StepClock,
    Drift,
)

FAULTS: Final[Mapping[str, type[Fault]]] = MappingProxyType({kind.name: kind for kind in _ALL})
"""All faults by the name that ``--fault`` takes."""


# ---- from text -----------------------------------------------------------------------------------


def parse_fault(text: str) -> Fault:
    """Read a fault from text.

    Parameters
    ----------
    text : str
        ``name`` or ``name:key=value,key=value``; the keys are the fault's fields.

    Raises
    ------
    RequestError
        When the name, a key or a value is wrong; names what there is.
    """
    name, _, rest = text.partition(":")
    kind = FAULTS.get(name)
    if kind is None:
        raise RequestError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    chosen: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, _, value = item.partition("=")
        if key not in defaults:
            raise RequestError(f"the fault {name!r} has no {key!r}; it has {', '.join(defaults)}")
        chosen[key] = _convert(name, key, value, type(defaults[key]))
    return kind(**chosen)


def describe_faults() -> list[str]:
    """Give a line for each fault: its name, its keys with their defaults, what it does."""
    lines = []
    for name, kind in FAULTS.items():
        keys = ",".join(f"{field.name}={field.default}" for field in dataclasses.fields(kind))
        lines.append(f"{name}:{keys}\n    {kind.__doc__}")
    return lines


def _convert(fault: str, key: str, value: str, kind: type[Any]) -> Any:
    if kind is bool:
        if value.lower() in ("1", "true", "0", "false"):
            return value.lower() in ("1", "true")
    else:
        try:
            return kind(value)
        except ValueError:
            pass
    raise RequestError(f"{key}={value!r} of the fault {fault!r} is not {_KINDS[kind]}")


_KINDS: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
