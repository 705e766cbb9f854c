"""What waits to be pushed into an outlet: chunks of samples and markers, and their memory. Pure."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.variables import Array
from bela_module.streams.sink import Stamps

_OBJECT_BYTES: Final = 400  # of a chunk beside its arrays, roughly
_MAX_JOINED: Final = 64  # chunks that are joined, so that no copy is large


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
        """Copy the values out of the message they came in; keep even stamps by their deviations."""
        values = np.array(self.values, order="C")  # a view would keep its whole message alive
        stamps = pack_stamps(self.stamps_s)
        if stamps is None:
            return HeldSamples(values, np.array(self.stamps_s))
        return CompactSamples(values, stamps)

    def push_into(self, outlet: Pushes) -> None:
        """Push the samples."""
        outlet.push(self.values, self.stamps_s)

    def unpack(self) -> HeldSamples:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class PackedStamps:
    """Nearly even stamps: the first, the last, and how far each is from an even one."""

    first_s: float
    last_s: float
    deviations: NDArray[np.signedinteger[Any]]
    """In steps from one double to the next."""

    def unpack(self) -> Stamps:
        """Return the stamps, bit by bit as they were."""
        even_s = np.linspace(self.first_s, self.last_s, self.deviations.size)
        stamps_s: Stamps = (even_s.view(np.int64) + self.deviations).view(np.float64)
        return stamps_s


def pack_stamps(stamps_s: Stamps) -> PackedStamps | None:
    """Pack stamps if that takes less memory, as it does while a board's clock runs evenly.

    Parameters
    ----------
    stamps_s : ndarray of float64 of shape (n_samples,)
        Never decreasing.
    """
    first_s, last_s = float(stamps_s[0]), float(stamps_s[-1])
    if first_s <= 0:  # neighbouring doubles are neighbouring integers only above zero
        return None
    even = np.linspace(first_s, last_s, stamps_s.size).view(np.int64)
    deviations = np.ascontiguousarray(stamps_s).view(np.int64) - even
    largest = int(np.abs(deviations).max())
    for dtype in (np.int8, np.int16, np.int32):
        if largest <= np.iinfo(dtype).max:
            return PackedStamps(first_s, last_s, deviations.astype(dtype))
    return None


@dataclass(frozen=True, slots=True, eq=False)
class CompactSamples:
    """A chunk of samples that takes little more memory than its values."""

    values: Array
    stamps: PackedStamps

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return int(self.values.nbytes + self.stamps.deviations.nbytes) + _OBJECT_BYTES

    def compact(self) -> Held:
        """Return itself."""
        return self

    def push_into(self, outlet: Pushes) -> None:
        """Push the samples."""
        outlet.push(self.values, self.stamps.unpack())

    def unpack(self) -> HeldSamples:
        """Return the samples with all of their stamps."""
        return HeldSamples(self.values, self.stamps.unpack())


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


def join(items: Iterable[Held]) -> Iterator[Held]:
    """Join chunks of samples that follow each other, in their order: few calls push them then."""
    chunks: list[HeldSamples | CompactSamples] = []
    for item in items:
        is_chunk = isinstance(item, HeldSamples | CompactSamples)
        if chunks and not (is_chunk and len(chunks) < _MAX_JOINED):
            yield _joined(chunks)
            chunks = []
        if isinstance(item, HeldSamples | CompactSamples):
            chunks.append(item)
        else:
            yield item
    if chunks:
        yield _joined(chunks)


def _joined(chunks: list[HeldSamples | CompactSamples]) -> Held:
    if len(chunks) == 1:
        return chunks[0]
    unpacked = [chunk.unpack() for chunk in chunks]
    return HeldSamples(
        np.concatenate([chunk.values for chunk in unpacked]),
        np.concatenate([chunk.stamps_s for chunk in unpacked]),
    )


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
