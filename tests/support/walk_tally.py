"""What random walks have met with, and how much of it is demanded."""

from __future__ import annotations

import threading
from collections import Counter

from tests.support.fault_cases import CASES

BESIDE = ("monitor", "control", "release", "send", "start_again", "stranger")

FAULTS = {case.name: case for case in CASES}

LEAST = {
    "exact after a fault": 0.5,
    "exact after more than one fault": 0.2,
    "schedule": 0.1,
    "group": 0.2,
    "saved": 0.1,
    "closed while it streamed": 0.1,
}
"""How often each must have happened, for each walk: walks that check nothing are a failure too.

What so few walks as those of the suite meet with is chance, and other versions of Hypothesis draw
others: of few, each must have happened once.
"""

LEAST_OF_MANY = {"bounded after a restart": 0.05, **dict.fromkeys(BESIDE, 0.02)}
"""The same, of what is rare, when there are many walks."""

MANY_WALKS = 200


class Tally:
    """What all walks together have met with."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, *what: str) -> None:
        with self._lock:
            self.counts.update(what)

    def note_fault(self, name: str) -> None:
        with self._lock:
            self.faults[name] += 1

    def check(self, n_walks: int) -> None:
        """Check that the walks went where something can go wrong."""
        many = n_walks >= MANY_WALKS
        for what, share in {**LEAST, **(LEAST_OF_MANY if many else {})}.items():
            least = share * n_walks if many else 1
            assert self.counts[what] >= least, f"{what}: only {self.counts}"
        if many:
            assert len(self.faults) > 0.85 * len(FAULTS)
