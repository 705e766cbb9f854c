"""Receives streams back through LSL inlets, as a recorder would, and counts their samples."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Final

import pylsl

_PULL_PERIOD_S: Final = 0.02
_OPEN_S: Final = 5.0
_RESOLVE_S: Final = 1.0
_BUFFER_S: Final = 360  # as recorders ask for
_MAX_CHUNK: Final = 8192
_MAX_AGES: Final = 10_000


@dataclass(slots=True)
class Received:
    """What one inlet has received."""

    n_samples: int
    ages_s: list[float]
    """How old the newest sample of each chunk was."""

    @property
    def delay_s(self) -> float | None:
        """Median age of the newest sample; ``None`` without any."""
        return median(self.ages_s) if self.ages_s else None


class InletReceiver:
    """Finds streams by the beginning of their ``source_id`` and pulls all that comes.

    Parameters
    ----------
    identity : str
        What the ``source_id`` of each stream begins with.
    """

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._inlets: dict[str, pylsl.StreamInlet] = {}
        self.received: dict[str, Received] = {}
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def find(self, names: Iterable[str], timeout_s: float) -> float | None:
        """Look for streams by name and open an inlet of each.

        Parameters
        ----------
        names : iterable of str
            The streams; fewer may be found.
        timeout_s : float
            Longest time to look for them.

        Returns
        -------
        float or None
            After how many seconds all were found; ``None`` when not all of them were.
        """
        wanted = set(names)
        infos, took_s = self._search(wanted, timeout_s)
        for name, info in infos.items():
            self._inlets[name] = pylsl.StreamInlet(info, _BUFFER_S, recover=False)
            self.received[name] = Received(0, [])
        for inlet in self._inlets.values():
            inlet.open_stream(_OPEN_S)
        return took_s if wanted <= set(self._inlets) else None

    def time_search(self, names: Iterable[str], timeout_s: float) -> float:
        """Look for streams once more; return after how many seconds all were found.

        It is infinite when they were not.
        """
        wanted = set(names)
        infos, took_s = self._search(wanted, timeout_s)
        return took_s if wanted <= set(infos) else math.inf

    def _search(
        self, wanted: set[str], timeout_s: float
    ) -> tuple[dict[str, pylsl.StreamInfo], float]:
        found: dict[str, pylsl.StreamInfo] = {}
        others, begun_s = set[str](), time.monotonic()
        while True:
            remaining_s = max(0.1, timeout_s - (time.monotonic() - begun_s))
            limit_s = min(_RESOLVE_S, remaining_s)
            # A search ends with as many answers as it is to have: events and clock are some, too.
            for info in resolve_identity(self._identity, limit_s, len(wanted) + len(others)):
                if info.name() in wanted:
                    found.setdefault(info.name(), info)
                else:
                    others.add(info.uid())
            took_s = time.monotonic() - begun_s
            if wanted <= set(found) or took_s > timeout_s:
                return found, took_s

    def start(self) -> None:
        """Begin to pull, in a thread."""
        self._thread = threading.Thread(target=self._pull, name="bela-check-inlets", daemon=True)
        self._thread.start()

    def wait_for(self, has_all: Callable[[], bool], timeout_s: float) -> None:
        """Wait until all has come, or nothing more has come for some time."""
        n_before, until_s = -1, time.monotonic() + timeout_s
        while not has_all() and time.monotonic() < until_s:
            time.sleep(_PULL_PERIOD_S)
            n_samples = sum(one.n_samples for one in self.received.values())
            if n_samples != n_before:
                n_before, until_s = n_samples, time.monotonic() + timeout_s

    def close(self) -> None:
        """End the thread and the inlets."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for inlet in self._inlets.values():
            inlet.close_stream()
        self._inlets.clear()

    def _pull(self) -> None:
        gone: set[str] = set()
        while not self._ended.wait(_PULL_PERIOD_S):
            for name, inlet in self._inlets.items():
                if name not in gone and not self._pull_one(self.received[name], inlet):
                    gone.add(name)

    @staticmethod
    def _pull_one(received: Received, inlet: pylsl.StreamInlet) -> bool:
        """Pull what has come of one stream; tell whether it is still there."""
        while True:
            try:
                _, stamps_s = inlet.pull_chunk(0.0, _MAX_CHUNK, as_numpy=True)
            except (pylsl.util.LostError, RuntimeError):
                return False
            received.n_samples += len(stamps_s)
            if len(stamps_s) and len(received.ages_s) < _MAX_AGES:
                received.ages_s.append(pylsl.local_clock() - float(stamps_s[-1]))
            if len(stamps_s) < _MAX_CHUNK:
                return True


def resolve_identity(
    identity: str,
    timeout_s: float,
    n_wanted: int = 100_000,
    *,
    instance: str = "",
    address: str = "",
) -> list[pylsl.StreamInfo]:
    """Find the streams whose ``source_id`` begins with a text.

    Parameters
    ----------
    identity : str
        That text.
    timeout_s : float
        How long to look.
    n_wanted : int
        How many end the search early.
    instance : str
        The session that publishes them; by default any.
    address : str
        ``ws://host:port`` at which its computer reaches the board; by default any.
    """
    quoted = identity.replace("'", "")
    predicate = f"starts-with(source_id,'{quoted}')"
    if instance:
        publisher = instance.replace("'", "")
        predicate += f" and desc/acquisition/instance='{publisher}'"
    if address:
        reached_at = address.replace("'", "")
        predicate += f" and desc/acquisition/address='{reached_at}'"
    found: list[pylsl.StreamInfo] = pylsl.resolve_bypred(predicate, n_wanted, timeout_s)
    return found
