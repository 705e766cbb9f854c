"""What waits to be pushed into an outlet: chunks of samples and markers, and their memory. Pure."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from bela_module.protocol.variables import Array
from bela_module.streams.sink import Stamps

_SAME_STAMP_S: Final = 1e-7  # evenly spaced stamps are kept as two numbers if they are so even
_OBJECT_BYTES: Final = 400  # of a chunk beside its arrays, roughly


class Pushes(Protocol):
    """Takes samples or markers: an outlet."""

    def push(self, values: Array, stamps_s: Stamps) -> None:
        """Publish samples."""

    def push_text(self, text: str, stamp_s: float) -> None:
        """Publish a marker."""


class Held(Protocol):
    """Something that waits to be pushed."""

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""

    def compact(self) -> Held:
        """Return the same in as little memory as possible, for a longer wait."""

    def push_into(self, outlet: Pushes) -> None:
        """Push it."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldSamples:
    """A chunk of samples: ``values`` of shape (n_samples, n_channels), and their stamps."""

    values: Array
    stamps_s: Stamps

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return int(self.values.nbytes + self.stamps_s.nbytes) + _OBJECT_BYTES

    def compact(self) -> Held:
        """Copy the values out of the message they came in; keep even stamps as first and last."""
        values = np.array(self.values, order="C")  # a view would keep its whole message alive
        first_s, last_s = float(self.stamps_s[0]), float(self.stamps_s[-1])
        even_s = np.linspace(first_s, last_s, self.stamps_s.size)
        if float(np.abs(even_s - self.stamps_s).max()) > _SAME_STAMP_S:
            return HeldSamples(values, np.array(self.stamps_s))
        return EvenSamples(values, first_s, last_s)

    def push_into(self, outlet: Pushes) -> None:
        """Push the samples."""
        outlet.push(self.values, self.stamps_s)


@dataclass(frozen=True, slots=True, eq=False)
class EvenSamples:
    """A chunk of samples whose stamps are evenly spaced."""

    values: Array
    first_s: float
    last_s: float

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return int(self.values.nbytes) + _OBJECT_BYTES

    def compact(self) -> Held:
        """Return itself."""
        return self

    def push_into(self, outlet: Pushes) -> None:
        """Push the samples."""
        outlet.push(self.values, np.linspace(self.first_s, self.last_s, len(self.values)))


@dataclass(frozen=True, slots=True)
class HeldMarker:
    """A marker and the time at which it happened."""

    text: str
    lsl_s: float

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return len(self.text) + _OBJECT_BYTES

    def compact(self) -> Held:
        """Return itself."""
        return self

    def push_into(self, outlet: Pushes) -> None:
        """Push the marker."""
        outlet.push_text(self.text, self.lsl_s)


class MemoryBudget:
    """Counts the memory of all that waits; from any thread.

    Parameters
    ----------
    held_bytes : int
        How much may wait for listeners.
    total_bytes : int
        How much may wait in all.
    """

    def __init__(self, held_bytes: int, total_bytes: int) -> None:
        self._held_bytes = held_bytes
        self._total_bytes = total_bytes
        self._lock = threading.Lock()
        self.used_bytes = 0

    @property
    def allows_holding(self) -> bool:
        """Whether more may wait for listeners."""
        return self.used_bytes <= self._held_bytes

    def take(self, n_bytes: int) -> bool:
        """Count some memory, if there is as much left; tell whether there was."""
        with self._lock:
            if self.used_bytes + n_bytes > self._total_bytes:
                return False
            self.used_bytes += n_bytes
            return True

    def give_back(self, n_bytes: int) -> None:
        """Count some memory as free again."""
        with self._lock:
            self.used_bytes -= n_bytes
