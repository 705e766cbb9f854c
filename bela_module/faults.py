"""Faults on demand for the simulated board.

A fault is a small frozen object: give it to :meth:`SimulatedBoard.inject`, or write it as text
for ``--fault``, as in ``drop-header:p=0.01`` or ``disconnect:at_s=10,every_s=60``. There are two
sorts. A *message fault* happens to messages as they leave, with a probability or to the next few;
what it makes the client lose is recorded. A *timed fault* happens to the board or the network at
a time.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np

from bela_module.control import encode_commands
from bela_module.errors import RequestError
from bela_module.network import Delay, Network

if TYPE_CHECKING:
    from bela_module.simulated_board import SimulatedBoard
    from bela_module.simulated_variable import Payload

_KEPT_LOSSES: Final = 100_000
_OVERSIZE_BYTES: Final = 2 * 2**20


class Loss(NamedTuple):
    """A payload that a fault kept from the clients.

    Attributes
    ----------
    fault : str
        Name of the fault.
    variable : str
        Whose payload it was.
    first_tick : int
        Tick of its first value.
    n_values : int
        How many values of the sketch it held.
    monitor : bool
        Whether it came from a monitor.
    """

    fault: str
    variable: str
    first_tick: int
    n_values: int
    monitor: bool


# ---- faults of messages --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageFault(ABC):
    """A fault of single messages.

    Parameters
    ----------
    p : float
        Probability with which it happens to each message, 0 to 1.
    n : int
        How often it happens before it ends; 0 for ever.
    variable : str
        The only variable that it happens to; empty for all.
    """

    p: float = 1.0
    n: int = 0
    variable: str = ""

    name: ClassVar[str]
    loses: ClassVar[bool] = True
    of_replies: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what is no probability or no count."""
        if not 0 <= self.p <= 1 or self.n < 0:
            raise RequestError(f"p={self.p}, n={self.n}: p must be in 0 to 1, n 0 or more")

    @abstractmethod
    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Turn messages, a header and its payload or one reply, into what is sent instead."""


class DropHeader(MessageFault):
    """The header is lost on the board; the payload comes without it."""

    name = "drop-header"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Leave the payload."""
        return parts[1:]


class DropPayload(MessageFault):
    """The payload is lost on the board; the header announces nothing."""

    name = "drop-payload"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Leave the header."""
        return parts[:1]


class DropPair(MessageFault):
    """Header and payload are both lost on the board."""

    name = "drop-pair"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Leave nothing."""
        return []


class CorruptHeader(MessageFault):
    """The header names no variable."""

    name = "corrupt-header"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Replace the header by one of an unknown variable, or by noise."""
        header = b"99999999/f" if random.random() < 0.5 else b"\xff" + random.bytes(5)
        return [header, *parts[1:]]


class CorruptPayload(MessageFault):
    """The payload is cut short, or starts with a tick that no board can have counted to."""

    name = "corrupt-payload"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Cut the payload, or set all bits of its tick."""
        header, payload = parts
        cut = payload[:-3] if random.random() < 0.5 else b"\xff" * 8 + payload[8:]
        return [header, cut]


class OversizedPayload(MessageFault):
    """The payload is followed by 2 MiB that do not belong there."""

    name = "oversized-payload"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Append zeros."""
        header, payload = parts
        return [header, payload + bytes(_OVERSIZE_BYTES)]


class RepeatPair(MessageFault):
    """Header and payload are sent twice."""

    name = "repeat-pair"
    loses = False

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Double them."""
        return parts * 2


class WrongReply(MessageFault):
    """A reply on the control channel is cut short, and so not JSON."""

    name = "wrong-reply"
    of_replies = True

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Cut it somewhere."""
        return [part[: int(random.integers(1, len(part)))] for part in parts]


# ---- faults in time ------------------------------------------------------------------------------


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


# ---- at work -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Armed:
    """A message fault and how often it will still happen; never 0 when that is for ever."""

    fault: MessageFault
    remaining: int


class Injector:
    """Lets message faults happen, and keeps account of what they lose.

    Parameters
    ----------
    random : numpy.random.Generator
        Where chance comes from.

    Attributes
    ----------
    losses : deque of Loss
        What was lost, the latest 100 000.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self.losses: deque[Loss] = deque(maxlen=_KEPT_LOSSES)
        self._random = random
        self._armed: list[_Armed] = []

    def arm(self, fault: MessageFault) -> None:
        """Let a fault happen from now on."""
        self._armed.append(_Armed(fault, fault.n))

    def disarm(self) -> None:
        """End all faults."""
        self._armed.clear()

    def pair(self, variable: str, header: bytes, payload: Payload) -> list[bytes]:
        """Give what is sent instead of a header and its payload."""
        parts = [header, payload.data]
        fault = self._strike(variable, of_replies=False)
        if fault is None:
            return parts
        if fault.loses:
            self.losses.append(
                Loss(fault.name, variable, payload.first_tick, payload.n_values, payload.monitor)
            )
        return fault.change(parts, self._random)

    def reply(self, text: str) -> str:
        """Give what is sent instead of a reply."""
        fault = self._strike("", of_replies=True)
        if fault is None:
            return text
        return fault.change([text.encode("ascii")], self._random)[0].decode("ascii")

    def _strike(self, variable: str, *, of_replies: bool) -> MessageFault | None:
        """Choose the fault that happens now, at most one, and count it down."""
        for armed in self._armed:
            fault = armed.fault
            if fault.of_replies is not of_replies or fault.variable not in ("", variable):
                continue
            if self._random.random() >= fault.p:
                continue
            armed.remaining -= 1
            if armed.remaining == 0:
                self._armed.remove(armed)
            return fault
        return None
