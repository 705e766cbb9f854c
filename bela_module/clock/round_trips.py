"""Round trips of probes: how long they take, and which are too short to be true. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from bela_module.clock.clock_fit import Probe

_TOO_FAST: Final = 0.5
_KNOWN_AFTER: Final = 8  # probes
_FAST_TO_BELIEVE: Final = 3
_AGE_IN_ROUND_TRIPS: Final = 4.0  # of those that seem the longest


def round_trip_s(probes: Sequence[Probe]) -> float:
    """Return the median round trip in seconds; NaN without any."""
    if not probes:
        return math.nan
    took_s = sorted([probe.received_s - probe.sent_s for probe in probes])
    middle = len(took_s) // 2
    return 0.5 * (took_s[middle] + took_s[-1 - middle])


def confirmed(known: Sequence[Probe]) -> list[Probe]:
    """Return replies as proven ones."""
    return [probe if probe.is_proven else probe._replace(is_proven=True) for probe in known]


def loosened(known: Sequence[Probe], held_s: float) -> list[Probe]:
    """Loosen what replies prove that are not proven, as far as they may have been to others.

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

    Returns
    -------
    list of Probe
        All of them; nothing more is to be doubted.
    """
    longest_s = max((probe.received_s - probe.sent_s for probe in known), default=0.0)
    age_s = _AGE_IN_ROUND_TRIPS * longest_s + held_s
    return [
        probe
        if probe.is_proven
        else probe._replace(sent_s=min(probe.sent_s, probe.received_s - age_s), is_proven=True)
        for probe in known
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
        if probe.is_proven or len(known) < _KNOWN_AFTER:
            return False
        if took_s >= _TOO_FAST * min([reply.received_s - reply.sent_s for reply in known]):
            self._in_a_row = 0
            return False
        self._in_a_row += 1
        return self._in_a_row < _FAST_TO_BELIEVE
