"""When to probe next, and when enough probes are in for stamps to begin. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from bela_module.clock.clock_fit import Probe
from bela_module.clock.round_trips import round_trip_s
from bela_module.clock.time_limits import (
    QUICK_PROBE_INTERVAL_S,
    READY_ROUND_TRIPS,
    READY_WAIT_S,
    SLOW_NETWORK_READY_S,
    STEADY_PROBE_INTERVAL_S,
)

QUICK_PROBES: Final = 20
"""The first ones, and those after a misfit, follow each other quickly."""

_MIN_PROBES: Final = 8  # fewer cannot tell a burst's size
_MIN_SLOW_PROBES: Final = 4  # where round trips are so long that bursts do not matter
_PROVEN_ONCE_AFTER: Final = 2
_MIN_DISTINCT_TICKS: Final = 3  # fewer cannot tell a rate
_READY_UNCERTAINTY_S: Final = 0.003  # beyond half a round trip, sufficient for stamps to begin
_GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0  # its multiples are spread most evenly over a period
_SHORTEST_DITHER: Final = 0.7
_LONGEST_DITHER: Final = 1.3


def next_probe_in_s(n_probes: int, *, quickly: bool) -> float:
    """Return how long, in seconds, to wait between a reply and the next probe.

    Never twice the same, because probes in step with the board's bursts would always see the
    same phase of them.
    """
    dither = _SHORTEST_DITHER + (_LONGEST_DITHER - _SHORTEST_DITHER) * (n_probes * _GOLDEN % 1.0)
    return dither * (QUICK_PROBE_INTERVAL_S if quickly else STEADY_PROBE_INTERVAL_S)


def proof_is_quick(n_probes: int, usual_s: float, held_s: float, *, ready: bool) -> bool:
    """Tell whether a proof costs little time where probes follow each other quickly.

    A proof takes one more round trip. Before stamps begin, as many exchanges as a slow network
    needs, with proofs, are to fit into the time that it is given, so that they delay nothing; or
    one of them, which proves those before it as well.

    Parameters
    ----------
    n_probes : int
        How many there were.
    usual_s : float
        The usual round trip in seconds; NaN while it is not known.
    held_s : float
        For how long acknowledgements may be held back.
    ready : bool
        Whether stamps have begun.
    """
    proof_s = usual_s + held_s
    if ready:
        return proof_s <= STEADY_PROBE_INTERVAL_S
    if n_probes == _PROVEN_ONCE_AFTER:
        return READY_ROUND_TRIPS * proof_s <= SLOW_NETWORK_READY_S
    probe_s = QUICK_PROBE_INTERVAL_S + usual_s
    return _MIN_SLOW_PROBES * (probe_s + proof_s) <= SLOW_NETWORK_READY_S


def next_reply_within_s(usual_s: float, *, quickly: bool) -> float:
    """Return when the reply to the next probe is in, given the usual round trip in seconds."""
    wait_s = QUICK_PROBE_INTERVAL_S if quickly else STEADY_PROBE_INTERVAL_S
    return 2.0 * _LONGEST_DITHER * wait_s + usual_s


def suffice(probes: Sequence[Probe], half_width_s: float) -> bool:
    """Tell whether stamps may begin: little more can be known soon, or the wait is over.

    Half a round trip is all that bounds can ever prove. So much and 3 ms more suffice in any
    case. On a slow network that takes long, since the rate has to be known as well; after a while
    the round trips may be in it several times. Slow or uneven ticks are another matter.
    """
    usual_s = round_trip_s(probes)
    measured_s = probes[-1].received_s - probes[0].sent_s
    waited = measured_s >= max(SLOW_NETWORK_READY_S, READY_ROUND_TRIPS * usual_s)
    n_ticks = len({probe.tick for probe in probes})
    if len(probes) < (_MIN_SLOW_PROBES if waited else _MIN_PROBES) or n_ticks < _MIN_DISTINCT_TICKS:
        return False
    good_s = _READY_UNCERTAINTY_S + (2.5 if waited else 0.5) * usual_s
    return half_width_s <= good_s or measured_s >= READY_WAIT_S
