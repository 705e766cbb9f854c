"""Round trips of probes: how long they take, and which are too short to be true. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from bela_module.clock.clock_fit import Probe

_TOO_FAST: Final = 0.5
_ALIKE: Final = 0.3  # difference of the quartiles, relative to the median
_KNOWN_AFTER: Final = 8  # probes
_FAST_TO_BELIEVE: Final = 3
_DOUBTED: Final = 20  # as many as follow each other quickly: others can have answered all of them
_AGE_IN_ROUND_TRIPS: Final = 4.0  # of those that seem the longest
_SHORT_ROUND_TRIP_S: Final = 0.008  # less than the pauses between quick requests


def round_trip_s(probes: Sequence[Probe]) -> float:
    """Return the median round trip in seconds; NaN without any."""
    if not probes:
        return math.nan
    took_s = sorted([probe.received_s - probe.sent_s for probe in probes])
    middle = len(took_s) // 2
    return 0.5 * (took_s[middle] + took_s[-1 - middle])


def suspiciously_fast(known: Sequence[Probe]) -> list[Probe]:
    """Return what took half of the usual, where most take alike: replies to others, perhaps."""
    took_s = np.array([probe.received_s - probe.sent_s for probe in known])
    if len(took_s) < _KNOWN_AFTER:
        return []
    short_s, usual_s, long_s = np.percentile(took_s, (25, 50, 75))
    if long_s - short_s > _ALIKE * usual_s:
        return []
    return [
        probe for probe, s in zip(known, took_s.tolist(), strict=True) if s < _TOO_FAST * usual_s
    ]


def without_others(known: Sequence[Probe], held_s: float, *, blocks_tell: bool) -> list[Probe]:
    """Loosen what the latest replies prove, as far as they may have been to another client.

    Such a reply may have been read a way back earlier than it came, a round trip more where it
    waited on the board until one before it was acknowledged, and `held_s` more where that is late.
    How long a round trip takes is not known from replies that may have been to others: they seem
    faster.

    Parameters
    ----------
    known : sequence of Probe
        All of them, in order of time.
    held_s : float
        For how long acknowledgements may be held back, in seconds.
    blocks_tell : bool
        Whether blocks come, which refute what replies claim that had waited on the board.

    Returns
    -------
    list of Probe
        All of them. The same, where round trips are shorter than the pauses between requests.
    """
    latest = known[-_DOUBTED:]
    took_s = [probe.received_s - probe.sent_s for probe in latest] or [0.0]
    longest_s = max(took_s)
    # where blocks come, replies that had waited do not matter, unless all round trips are slow
    decisive_s = float(np.percentile(took_s, 25)) if blocks_tell else longest_s + held_s
    if decisive_s < _SHORT_ROUND_TRIP_S:
        return list(known)
    age_s = _AGE_IN_ROUND_TRIPS * longest_s + held_s
    loosened = [
        probe
        if probe.is_proven
        else probe._replace(sent_s=min(probe.sent_s, probe.received_s - age_s))
        for probe in latest
    ]
    return [*known[: -len(latest)], *loosened]


class FastReplyFilter:
    """Refuses replies that came in half the time of the fastest one before, or less.

    A reply on its way when our request left is no answer to it. Where both ways take the same
    time, any other reply proves what it should, whichever client asked.
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def refuses(self, probe: Probe, known: Sequence[Probe]) -> bool:
        """Tell whether to refuse a reply, given those before; a way that became faster is none."""
        took_s = probe.received_s - probe.sent_s
        if not 0.0 <= took_s < math.inf:
            return True
        if len(known) < _KNOWN_AFTER:
            return False
        if took_s >= _TOO_FAST * min(reply.received_s - reply.sent_s for reply in known):
            self._in_a_row = 0
            return False
        self._in_a_row += 1
        return self._in_a_row < _FAST_TO_BELIEVE
