"""Record of evidence that contradicts the fit: what is claimed, and what refutes it. Pure.

A *lag* is claimed by a reply: the next burst came after the request had left, so the ticks are
behind every line. Either they paused, or the reply was to another client's request and had waited
on its way. A *lead* is claimed by a reply or a block: its tick was over before any line allows.
Either ticks were skipped, or lags that were believed before were none.

Whatever arrives proves that its tick was over, whichever client asked. Ticks that have paused stay
behind, so a later tick that arrives in time refutes a lag; nothing refutes a lead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from bela_module.clock.clock_fit import MARGIN_S, Probe

MISFITS_TO_RELEARN: Final = 3
_FITS_TO_CLEAR: Final = 8
_PROBES_IN_DOUBT: Final = 20
_RELEARNINGS_WHEN_UNEVEN, _UNEVEN_WITHIN_PROBES = 3, 40
_RATE_TOLERANCE: Final = 1e-3  # of a line by which two ticks are compared


class ProbeVerdict(StrEnum):
    """What was done with a probe."""

    ACCEPTED = "accepted"
    TOO_FAST = "too fast to be the answer to this request"
    MISFIT = "tick outside what all earlier bounds allow"
    RELEARNED = "several did not fit: the older bounds were dropped"
    RESTARTED = "ticks went back: the board restarted"


class Misfit(NamedTuple):
    """Evidence that missed every line: a reply, or a block's tick (a reply never sent)."""

    probe: Probe
    missed_s: float
    next_burst: int

    @property
    def is_reply(self) -> bool:
        """Whether it is a reply, no block."""
        return self.probe.sent_s > -math.inf

    def is_refuted_by(self, tick: int, received_s: float, s_per_tick: float) -> bool:
        """Tell whether a later tick arrived before a claimed lag would let it happen."""
        since = tick - self.next_burst
        if since < 0:
            return False
        earliest_s = self.probe.sent_s + since * s_per_tick * (1.0 - _RATE_TOLERANCE)
        return received_s < earliest_s - MARGIN_S


class MisfitRecord:
    """Misfits since the last time that the fit was beyond doubt.

    Attributes
    ----------
    n_seen : int
        How many misfits there were, those that stand for the same tick included.
    distrust_s : float
        By how much bounds were missed that were dropped, where ticks may be irregular.
    """

    def __init__(self) -> None:
        self.lags: list[Misfit] = []
        self.leads: list[Misfit] = []
        self._probes_in_doubt = 0
        self.distrust_s = 0.0
        self.clear()

    def clear(self) -> None:
        """Forget the misfits: the fit is trusted again."""
        self.lags.clear()
        self.leads.clear()
        self.n_seen = 0
        self._fits_since_misfit = 0

    def add_lag(self, misfit: Misfit) -> None:
        """Add a reply whose ticks lag behind every line."""
        self._add(self.lags, misfit)

    def add_lead(self, misfit: Misfit) -> None:
        """Add a reply or a block whose tick is ahead of every line."""
        self._add(self.leads, misfit)

    def _add(self, known: list[Misfit], misfit: Misfit) -> None:
        if known and known[-1].probe.tick == misfit.probe.tick:
            known.pop()  # ticks that stand still count as one misfit, until they go on
        known.append(misfit)
        self.n_seen += 1
        self._fits_since_misfit = 0
        self._probes_in_doubt = _PROBES_IN_DOUBT

    def add_fit(self) -> None:
        """Count a reply that fits; some in a row clear the record."""
        # slow exchanges fit almost anything: only several of them count as evidence
        self._fits_since_misfit += 1
        self._probes_in_doubt = max(0, self._probes_in_doubt - 1)
        if self._fits_since_misfit >= _FITS_TO_CLEAR:
            self.clear()

    def refute_lags(self, tick: int, received_s: float, s_per_tick: float) -> None:
        """Drop the lags that a tick refutes which arrived at some time."""
        if self.lags:
            self.lags = [
                lag for lag in self.lags if not lag.is_refuted_by(tick, received_s, s_per_tick)
            ]

    def drop_unproven(self) -> None:
        """Drop the lags that replies claim which may have been to other clients."""
        self.lags = [lag for lag in self.lags if lag.probe.is_proven]

    @property
    def believed(self) -> list[Misfit]:
        """The misfits of one kind if there are so many that older bounds must be wrong."""
        for known in (self.leads, self.lags):
            if len(known) >= MISFITS_TO_RELEARN:
                return known
        return []

    def bounds_to_keep(self, known: Sequence[Probe], burst: int, s_per_tick: float) -> list[Probe]:
        """Return the replies that can still be right, now that misfits are believed.

        Lags end what came before. Leads end the lags that they and others refute, whenever they
        were believed.

        Parameters
        ----------
        known : sequence of Probe
            Replies to choose from, those that are believed included.
        burst : int
            Ticks per burst.
        s_per_tick : float
            Seconds per tick, as far as known.
        """
        believed = self.believed
        if believed is not self.leads:
            return [p for p in known if p.received_s >= believed[0].probe.received_s]
        over = [*(lead.probe for lead in believed), *known]
        claims = [Misfit(p, 0.0, p.tick + p.granularity // 2 + burst) for p in known]
        return [
            claim.probe
            for claim in claims
            if not any(claim.is_refuted_by(at.tick, at.received_s, s_per_tick) for at in over)
        ]

    @property
    def in_doubt(self) -> bool:
        """Whether there were misfits lately: a reply should prove that it is ours."""
        return self._probes_in_doubt > 0

    @property
    def extra_uncertainty_s(self) -> float:
        """The largest amount by which one missed every line, in seconds."""
        missed_s = [misfit.missed_s for misfit in (*self.lags, *self.leads)]
        return max([*missed_s, self.distrust_s if self.in_doubt else 0.0])


class Relearnings:
    """Times at which older bounds were dropped: when too often, the ticks follow no line."""

    def __init__(self) -> None:
        self._at_probes: deque[int] = deque(maxlen=_RELEARNINGS_WHEN_UNEVEN)

    def add(self, n_probes: int) -> bool:
        """Add one, after so many probes; return whether there were too many close together."""
        self._at_probes.append(n_probes)
        if len(self._at_probes) < _RELEARNINGS_WHEN_UNEVEN:
            return False
        if n_probes - self._at_probes[0] >= _UNEVEN_WITHIN_PROBES:
            return False
        self._at_probes.clear()
        return True
