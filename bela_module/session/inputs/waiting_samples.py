"""The samples of an input that wait to be sent: the latest ones, counted in any thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

Samples = np.ndarray[Any, Any] | Sequence[Sequence[str]]


class WaitingSamples:
    """Holds the latest sample, or the latest few, until the session's thread takes them.

    However fast samples come, no more than that is held.

    Parameters
    ----------
    most : int
        Samples that are held; older ones are dropped.

    Attributes
    ----------
    received, dropped : int
        Samples that came, and those of them that later ones took the place of.
    last_stamp_s : float or None
        Stamp of the latest one, in LSL seconds.
    """

    def __init__(self, most: int = 1) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: list[tuple[Any, float]] = []
        self.received = 0
        self.dropped = 0
        self.last_stamp_s: float | None = None

    def __bool__(self) -> bool:
        """Tell whether any waits."""
        return bool(self._held)

    def hold_at_most(self, n_samples: int) -> None:
        """Change how many are held."""
        with self._lock:
            self._most = n_samples

    def put(self, samples: Samples, stamps_s: np.ndarray[Any, Any]) -> bool:
        """Add samples; tell whether none waited before, so that somebody is to be woken."""
        most = self._most
        kept = list(zip(samples[-most:], stamps_s[-most:].tolist(), strict=True))
        with self._lock:
            was_empty = not self._held
            n_before = len(self._held)
            self._held = [*self._held, *kept][-most:]
            self.received += len(stamps_s)
            self.dropped += n_before + len(stamps_s) - len(self._held)
            self.last_stamp_s = float(stamps_s[-1])
        return was_empty

    def take(self) -> tuple[list[Any], float] | None:
        """Take all that wait, and the stamp of the latest; ``None`` when none does."""
        with self._lock:
            held, self._held = self._held, []
        return ([sample for sample, _ in held], held[-1][1]) if held else None

    def look(self) -> list[Any]:
        """Return the samples that wait, and leave them there."""
        with self._lock:
            return [sample for sample, _ in self._held]

    def drop(self) -> int:
        """Drop all that wait; return how many there were."""
        with self._lock:
            n_held, self._held = len(self._held), []
            self.dropped += n_held
        return n_held

    def count_unseen(self, n_samples: int) -> None:
        """Count samples that came and were dropped before they were put here."""
        with self._lock:
            self.received += n_samples
            self.dropped += n_samples

    def count_dropped(self, n_samples: int) -> None:
        """Count samples that were taken and cannot be sent."""
        with self._lock:
            self.dropped += n_samples
