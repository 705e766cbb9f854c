"""Faults of single messages of the simulated board, and the account of what they lose.

A message fault changes what leaves the board: a header with its payload, or a reply on the
control channel. It happens with a probability, or to the next few. Pure, but for its dice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np

from bela_module.errors import RequestError

if TYPE_CHECKING:
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
