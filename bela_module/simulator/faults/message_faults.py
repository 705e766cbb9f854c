"""Faults of single messages of the simulated board, and the record of lost payloads.

A message fault changes a header with its payload, or a reply on the control channel, as it leaves
the board: each one with a probability, or the next few. Pure, but for its random generator.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

import numpy as np

from bela_module.simulator.parameters import NumberRange, VariableName, WholeRange, check_parameters
from bela_module.simulator.watcher.written_values import Payload

ReplyDefect = Literal["turn", "cut", "text", "binary", "number", "missing", "fewer", "empty"]
"""How :class:`WrongReply` changes a reply."""

_KEPT_LOSSES: Final = 100_000
_OVERSIZE_BYTES: Final = 2 * 2**20


class Loss(NamedTuple):
    """A payload that a fault kept from the clients."""

    fault: str
    """Name of the fault."""
    variable: str
    first_tick: int
    n_values: int
    """Values of the sketch, without padding."""
    monitor: bool
    """Whether the payload was one of ``monitor``."""


@dataclass(frozen=True, slots=True)
class MessageFault(ABC):
    """A fault of single messages.

    Raises
    ------
    RequestError
        When a parameter is out of its range.
    """

    p: Annotated[float, NumberRange(0, 1), "probability for each message"] = 1.0
    n: Annotated[int, WholeRange(0, 10**9), "how often before it ends; 0 for ever"] = 0

    name: ClassVar[str]
    loses_data: ClassVar[bool] = True
    on_replies: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_parameters(self, f"the fault {self.name!r}")

    def variant(self, count: int) -> Self:
        """Return the fault to apply after ``count`` applications: by default the same."""
        return self

    def matches(self, variable: str) -> bool:
        """Whether it applies to messages of a variable."""
        return True

    @abstractmethod
    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Return what is sent instead of some messages: a header and its payload, or a reply."""


@dataclass(frozen=True, slots=True)
class PairFault(MessageFault):
    """A fault of a header with its payload."""

    variable: Annotated[str, VariableName(), "the only one that it happens to"] = ""

    def matches(self, variable: str) -> bool:
        """Whether it applies to messages of a variable."""
        return self.variable in ("", variable)


class DropHeader(PairFault):
    """The header is lost on the board; the payload comes without it."""

    name = "drop-header"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Keep the payload alone."""
        return parts[1:]


class DropPayload(PairFault):
    """The payload is lost on the board; the header announces nothing."""

    name = "drop-payload"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Keep the header alone."""
        return parts[:1]


class DropPair(PairFault):
    """Header and payload are both lost on the board."""

    name = "drop-pair"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Keep nothing."""
        return []


class CorruptHeader(PairFault):
    """The header names no variable."""

    name = "corrupt-header"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Replace the header by one of an unknown variable, or by noise."""
        header = b"99999999/f" if random.random() < 0.5 else b"\xff" + random.bytes(5)
        return [header, *parts[1:]]


class CorruptPayload(PairFault):
    """The payload is cut short, or starts with a tick that no board can have counted to."""

    name = "corrupt-payload"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Cut the payload, or set all bits of its tick."""
        header, payload = parts
        cut = payload[:-3] if random.random() < 0.5 else b"\xff" * 8 + payload[8:]
        return [header, cut]


class OversizedPayload(PairFault):
    """The payload is followed by 2 MiB that do not belong there."""

    name = "oversized-payload"

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Append zeros."""
        header, payload = parts
        return [header, payload + bytes(_OVERSIZE_BYTES)]


class RepeatPair(PairFault):
    """Header and payload are sent twice."""

    name = "repeat-pair"
    loses_data = False

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Send both messages again."""
        return parts * 2


@dataclass(frozen=True, slots=True)
class WrongReply(MessageFault):
    """A reply on the control channel is wrong.

    It is ``cut`` short, ``text`` that is not JSON, or ``binary`` noise; the list of variables is a
    ``number``, ``missing``, has ``fewer`` of them, or is ``empty``. ``turn`` takes all of these in
    turn but the last two, which no client can tell from the truth.
    """

    how: Annotated[ReplyDefect, "in which way"] = "turn"

    name = "wrong-reply"
    on_replies = True

    def variant(self, count: int) -> Self:
        """Return the variant whose turn it is."""
        return replace(self, how=_TURN[count % len(_TURN)]) if self.how == "turn" else self

    def change(self, parts: list[bytes], random: np.random.Generator) -> list[bytes]:
        """Change the reply."""
        return [self._wrong(part, random) for part in parts]

    def _wrong(self, reply: bytes, random: np.random.Generator) -> bytes:
        match self.how:
            case "text":
                return b"Segmentation fault"
            case "binary":
                return b"\xff" + random.bytes(40)
            case "number" | "missing" | "fewer" | "empty":
                return self._reshaped(json.loads(reply))
            case _:
                return reply[: int(random.integers(1, len(reply)))]

    def _reshaped(self, root: dict[str, Any]) -> bytes:
        watchers = root["watcher"].pop("watchers", [])
        match self.how:
            case "number":
                root["watcher"]["watchers"] = len(watchers)
            case "missing":
                root["watcher"].clear()
            case _:
                kept = len(watchers) // 2 if self.how == "fewer" else 0
                root["watcher"]["watchers"] = watchers[:kept]
        return json.dumps(root, separators=(",", ":")).encode("ascii")


_TURN: Final[tuple[ReplyDefect, ...]] = ("cut", "text", "binary", "number", "missing")


@dataclass(slots=True)
class _ArmedFault:
    """A message fault, and how often it was applied."""

    fault: MessageFault
    count: int = 0


class MessageFaultInjector:
    """Applies message faults to outgoing messages and records what they lose."""

    def __init__(self, random: np.random.Generator) -> None:
        self.losses: deque[Loss] = deque(maxlen=_KEPT_LOSSES)
        """The latest 100 000 lost payloads."""
        self._random = random
        self._armed: list[_ArmedFault] = []

    def arm(self, fault: MessageFault) -> None:
        """Apply a fault from now on."""
        self._armed.append(_ArmedFault(fault))

    def disarm(self) -> None:
        """End all faults."""
        self._armed.clear()

    def pair(self, variable: str, header: bytes, payload: Payload) -> list[bytes]:
        """Return what is sent instead of a header and its payload."""
        parts = [header, payload.data]
        fault = self._select_fault(variable, on_replies=False)
        if fault is None:
            return parts
        if fault.loses_data:
            self.losses.append(
                Loss(fault.name, variable, payload.first_tick, payload.n_values, payload.monitor)
            )
        return fault.change(parts, self._random)

    def reply(self, text: str) -> str | bytes:
        """Return what is sent instead of a reply: bytes if it is not ASCII."""
        fault = self._select_fault("", on_replies=True)
        if fault is None:
            return text
        (changed,) = fault.change([text.encode("ascii")], self._random)
        return changed.decode("ascii") if changed.isascii() else changed

    def _select_fault(self, variable: str, *, on_replies: bool) -> MessageFault | None:
        """Select the first fault that applies to a message, and count the application."""
        for armed in self._armed:
            fault = armed.fault
            if fault.on_replies is not on_replies or not fault.matches(variable):
                continue
            if self._random.random() >= fault.p:
                continue
            armed.count += 1
            if armed.count == fault.n:
                self._armed.remove(armed)
            return fault.variant(armed.count - 1)
        return None
