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


def round_trip_s(probes: Sequence[Probe]) -> float:
    """Return the median round trip in seconds; NaN without any."""
    if not probes:
        return math.nan
    return float(np.median([probe.received_s - probe.sent_s for probe in probes]))


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
