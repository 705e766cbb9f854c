"""Device clock: maps board ticks to LSL seconds, with a proven uncertainty.

The board answers ``list`` with its latest tick *b*. All ticks of an audio block happen in one
burst, so such an answer proves two things about the time ``t`` of bursts: *b* was over when the
reply arrived, ``t(b) <= received``, and the next burst had not begun when the request left,
``t(b + ticks per burst) >= sent``. A block that arrives proves the first one again. Over a minute
or so ``t`` is a straight line; all lines that satisfy every bound form a polygon
(``feasible_region``). Its likeliest point is the estimate (``likelihood``), its extent the
uncertainty. Delays of any kind, also asymmetric ones, only loosen bounds. Ticks that pause falsify
them until probes have shown it, so the delay of the newest tick that has arrived is stated, too.

The module is pure: it is given times and reads none. Conventions are in ``docs/timing.md``. The
method was chosen by experiment, ``docs/decisions/0002-clock-by-bounds.md``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from bela_module.clock.arrival_filter import MinimumDelayFilter
from bela_module.clock.clock_fit import ClockFit, FitConstraints, Probe, fit_clock
from bela_module.clock.feasible_region import Floats
from bela_module.clock.misfits import (
    MISFITS_TO_RELEARN,
    Misfit,
    MisfitRecord,
    ProbeVerdict,
    Relearnings,
)
from bela_module.clock.probe_schedule import (
    QUICK_PROBES,
    next_probe_in_s,
    next_reply_within_s,
    proof_is_quick,
    suffice,
)
from bela_module.clock.round_trips import (
    FastReplyFilter,
    confirmed,
    loosened,
    round_trip_s,
)
from bela_module.clock.stated_uncertainty import StatedUncertainty

_MAX_PROBES = 512
_REFUSED_TO_START_OVER = 16
_RATE_KEPT = 1e-4  # how much a rate may change, relative, when the ticks pause or skip
_BURST_KNOWN_AFTER = 16  # probes; from then on an estimate may only become smaller
_MUCH = 0.2  # share of what the bounds allow, for an arrival to be used before the next reply
_LEAST_SKIP_S = 0.01  # a smaller lead corrects what replies to others told


class DeviceClock:
    """Measures the board's tick clock against LSL time from bounds.

    Feed every ``list`` exchange to `add_probe` and every block to `add_arrival`, wait
    `next_probe_in_s` between probes, and ask for times once `ready`. Nothing here raises
    because of what a board says.

    Parameters
    ----------
    declared_rate_hz : float
        What the board calls its sample rate; ticks often run at a simple ratio of it.
    window_s : float
        How long a bound is used, in seconds.
    ageing_ppm_per_s : float
        How fast both clocks' rates may drift apart: bounds are loosened by ``ageing / 2 * age**2``.
    discontinuity_s : float
        Where bounds contradict each other, ticks that are later by more have paused: no slewing.

    Attributes
    ----------
    generation : int
        Number of tick counters seen: grows with every reset, and nothing is blended across it.
    discontinuities, last_jump_s : int, float
        How often ticks paused or skipped in this generation; the last pause, or minus the skip.
    n_probes, n_refused : int
        Probes accepted in this generation, and refused since the clock was made.
    ready : bool
        Whether there is enough to stamp samples; stays true within a generation.
    uneven : bool
        The ticks do not follow any line; the uncertainty says by how much they miss it.
    """

    def __init__(
        self,
        declared_rate_hz: float,
        *,
        window_s: float = 60.0,
        ageing_ppm_per_s: float = 0.05,
        discontinuity_s: float = 0.0002,
    ) -> None:
        self._known = FitConstraints(declared_rate_hz, ageing_ppm_per_s * 1e-6)
        self._window_s = window_s
        self._discontinuity_s = discontinuity_s
        self.generation = self.n_refused = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything and start a new generation."""
        self.generation += 1
        self.discontinuities, self.n_probes, self.last_jump_s = 0, 0, 0.0
        self.ready = self.uneven = False
        self._probes: deque[Probe] = deque(maxlen=_MAX_PROBES)
        self._arrivals, self._stated = MinimumDelayFilter(), StatedUncertainty()
        self._fit: ClockFit | None = None
        self._fit_before: ClockFit | None = None  # of bounds that were dropped
        self._constraints = self._known
        self._newest_tick = 0
        self._fast_replies, self._refused_in_a_row = FastReplyFilter(), 0
        self._misfits, self._relearnings = MisfitRecord(), Relearnings()

    # ---- input ----------------------------------------------------------------------------

    def add_probe(
        self,
        sent_s: float,
        received_s: float,
        tick: int,
        tick_granularity: int = 1,
        *,
        is_proven: bool = False,
    ) -> ProbeVerdict:
        """Add one ``list`` exchange; a refused one changes no estimate.

        Parameters
        ----------
        sent_s, received_s : float
            LSL time just before the request left and when the reply had arrived.
        tick : int
            The reply's tick.
        tick_granularity : int
            What the tick may have been rounded to: replies have 15 significant digits.
        is_proven : bool
            Whether the tick was certainly read after the sending, whichever client was answered.
        """
        probe = Probe(sent_s, received_s, tick, tick_granularity, is_proven)
        if self._fast_replies.refuses(probe, self._probes):
            self.n_refused += 1
            return ProbeVerdict.TOO_FAST
        if self._probes and probe.precedes(self._probes[-1]):
            self.reset()
            self._accept(probe)
            return ProbeVerdict.RESTARTED
        if self._contradicts(probe):
            self._refused_in_a_row += 1
            if not self._relearn():
                self.n_refused += 1
                if self.ready or self._refused_in_a_row < _REFUSED_TO_START_OVER:
                    return ProbeVerdict.MISFIT
                self._start_over(probe)
            return ProbeVerdict.RELEARNED
        self._refused_in_a_row = 0
        self._accept(probe)
        return ProbeVerdict.ACCEPTED

    def confirm_unproven(self) -> None:
        """Take all replies for proven: with the last one, as many have come as were asked for."""
        self._probes = deque(confirmed(self._probes), _MAX_PROBES)

    def doubt_unproven(self, held_s: float = 0.0, *, can_prove: bool = True) -> None:
        """Doubt what the replies claim that are not proven, for others ask, and they may be old.

        Before stamps begin and one is proven, only arrivals count: the round trip is not known.

        Parameters
        ----------
        held_s : float
            For how long acknowledgements may be held back, in seconds.
        can_prove : bool
            Whether any can be; if not, all count, as old as they may be.
        """
        known = list(self._probes)
        if all(probe.is_proven for probe in known):
            return
        self._misfits.drop_unproven()
        may_count = self.ready or not can_prove or any(probe.is_proven for probe in known)
        kept = loosened(known, held_s) if may_count else []
        self.n_probes -= len(known)
        self._probes.clear()
        if kept:
            self._accept(*kept)
            return
        for probe in known:
            self.add_arrival(probe.tick - probe.granularity // 2, probe.received_s)

    def add_arrival(self, tick: int, received_s: float) -> bool:
        """Add the bound that a tick was over when its block arrived; cheap enough for each block.

        Parameters
        ----------
        tick : int
            A tick that the block proves to be over, best its last one.
        received_s : float
            LSL time of the arrival.

        Returns
        -------
        bool
            Whether the estimate is another one because of it, so that stamps have to follow: it
            tells much, as the first block may, or older bounds were dropped.
        """
        fit = self._fit
        if fit is None:
            return False
        delay_s = received_s - fit.base_s - fit.offset_s - (tick - fit.tick) * fit.s_per_tick
        lead_s = fit.lead_s(tick, received_s) if delay_s < 0.0 and not self.uneven else 0.0
        if lead_s > 0.0 and self._probes:
            # one tick from the future may be an error of the block, several are none
            probe = Probe(-math.inf, received_s, tick, 1)
            self._misfits.add_lead(Misfit(probe, lead_s, tick))
            return self._relearn()
        if lead_s > 0.0:  # older bounds were dropped, and no reply has come since
            self._stated.half_width_s = max(self._stated.half_width_s, lead_s)
        self._misfits.refute_lags(tick, received_s, fit.s_per_tick)
        if self._arrivals.would_keep(received_s, delay_s):
            self._arrivals.keep(tick, received_s, delay_s)
            self._newest_tick = max(self._newest_tick, tick)
            if self.ready and self._probes and fit.share_beyond(tick, received_s) > _MUCH:
                self._accept()
                return True
        return False

    def note_delay(self, tick: int, received_s: float) -> None:
        """Note when a block arrived, given its last tick, for what is stated of its time."""
        if self._fit is not None:
            self._stated.note_block(self._fit, tick, received_s)

    # ---- estimates ------------------------------------------------------------------------

    @property
    def next_probe_in_s(self) -> float:
        """How long to wait for the next probe; short at first, after misfits and late blocks."""
        quickly = self._probes_quickly or self._stated.block_is_late
        return next_probe_in_s(self.n_probes, quickly=quickly)

    @property
    def _probes_quickly(self) -> bool:
        return 0 < self._misfits.n_seen < QUICK_PROBES or len(self._probes) < QUICK_PROBES

    def should_prove(self, held_s: float = 0.0) -> bool:
        """Tell whether the next reply should be proven: in doubt, or where it costs little time.

        It proves those before as well: see `confirm_unproven`.

        Parameters
        ----------
        held_s : float
            For how long acknowledgements may be held back, in seconds.
        """
        if self._misfits.in_doubt or not self._probes_quickly:
            return True
        return proof_is_quick(len(self._probes), self.rtt_s, held_s, ready=self.ready)

    @property
    def tick_rate_hz(self) -> float:
        """The tick rate as measured, in ticks per second of LSL time; NaN before any probe."""
        return 1.0 / self._fit.s_per_tick if self._fit else math.nan

    @property
    def snapped_rate_hz(self) -> float:
        """The rate to announce: a simple ratio of the declared one, or as measured, rounded."""
        return self._fit.announced.rate_hz if self._fit else math.nan

    @property
    def rate_settled(self) -> bool:
        """Whether `snapped_rate_hz` can be trusted to 0.05 %."""
        fit = self._fit
        return bool(fit and self.ready and fit.is_consistent and fit.announced.is_settled)

    @property
    def drift_ppm(self) -> float:
        """How much faster the ticks run than `snapped_rate_hz` says, in parts per million."""
        return (self.tick_rate_hz / self.snapped_rate_hz - 1.0) * 1e6

    @property
    def rate_uncertainty_ppm(self) -> float:
        """How far `tick_rate_hz` may be from the truth, in parts per million; at first infinite."""
        return self._fit.rate_uncertainty_ppm if self._fit else math.inf

    @property
    def rtt_s(self) -> float:
        """Median round trip of the probes in use, in seconds; NaN before any probe."""
        return round_trip_s(self._probes)

    @property
    def uncertainty_s(self) -> float:
        """How far, in seconds, the time of the newest tick may be off; infinite before any probe.

        It is the half width of what the bounds allow, or the delay of the newest tick that has
        arrived, if that is more; and the amount by which evidence contradicts the bounds.
        """
        return self._stated.seconds + self._misfits.extra_uncertainty_s

    @overload
    def time_at(self, ticks: float) -> float: ...
    @overload
    def time_at(self, ticks: NDArray[Any]) -> Floats: ...
    def time_at(self, ticks: float | NDArray[Any]) -> float | Floats:
        """Return the best estimate of when ticks happened, in LSL seconds; NaN before any probe.

        It changes with every probe. Integer ticks keep their precision, also above 2**53.
        """
        if self._fit is None:
            return np.full(len(ticks), math.nan) if isinstance(ticks, np.ndarray) else math.nan
        times_s: float | Floats = self._fit.time_at(ticks)
        return times_s

    def tick_at(self, lsl_s: float) -> float:
        """Return the best estimate of the tick at an LSL time; NaN before any probe."""
        return self._fit.tick_at(lsl_s) if self._fit else math.nan

    def latest_possible_tick(self, lsl_s: float) -> float:
        """Return the highest tick that can have happened by an LSL time."""
        if self._fit is None:
            return math.inf
        return self._fit.latest_possible_tick(lsl_s + self._misfits.extra_uncertainty_s)

    # ---- fitting --------------------------------------------------------------------------

    def _contradicts(self, probe: Probe) -> bool:
        """Tell whether a probe contradicts all lines, and record the result."""
        fit = self._fit
        if fit is None or self.uneven or not self._probes:
            self._misfits.add_fit()
            return False
        over = probe.tick - probe.granularity // 2
        self._misfits.refute_lags(over, probe.received_s, fit.s_per_tick)
        next_burst = probe.tick + probe.granularity // 2 + fit.burst
        if (lead_s := fit.lead_s(over, probe.received_s)) > 0.0:
            self._misfits.add_lead(Misfit(probe, lead_s, next_burst))
        elif (lag_s := fit.lag_s(probe)) > 0.0:
            self._misfits.add_lag(Misfit(probe, lag_s, next_burst))
        else:
            self._misfits.add_fit()
            return False
        return True

    def _accept(self, *probes: Probe) -> None:
        """Add probes, if any, to those in use, drop the old ones, and repeat the fit."""
        self._probes.extend(probes)
        self.n_probes += len(probes)
        newest = self._probes[-1]
        oldest_s = newest.received_s - self._window_s
        while len(self._probes) > QUICK_PROBES and self._probes[0].received_s < oldest_s:
            self._probes.popleft()
        self._newest_tick = max(self._newest_tick, newest.tick)
        self._fit = self._fitted(self._probes)
        self._arrivals.use_estimate(self._fit.time_at)
        ahead_s = next_reply_within_s(self.rtt_s, quickly=self._probes_quickly)
        next_tick = self._newest_tick + 1 + int(ahead_s / self._fit.s_per_tick)
        self._stated.use_fit(self._fit, self._probes, next_tick)
        self._note_discontinuity()
        if len(self._probes) >= _BURST_KNOWN_AFTER:
            self._constraints = self._constraints._replace(max_burst_ticks=self._fit.burst)
        if self.uneven:
            self._leave_uneven()
        self.ready = self.ready or suffice(self._probes, self._stated.half_width_s)

    def _leave_uneven(self) -> None:
        """Forget older bounds once the latest ones agree on a line of a usual rate."""
        latest = list(self._probes)[-QUICK_PROBES:]
        fit = self._fitted(latest)
        if len(latest) == QUICK_PROBES and fit.is_consistent and fit.has_simple_rate:
            self.uneven, self._fit = False, fit
            self._probes = deque(latest, _MAX_PROBES)

    def _relearn(self) -> bool:
        """Drop the bounds before several misfits, if there are; the rate is assumed to last."""
        before, believed = self._fit, list(self._misfits.believed)
        if before is None or not believed:
            return False
        replies = [misfit.probe for misfit in believed if misfit.is_reply]
        known = sorted([*self._probes, *replies], key=lambda probe: probe.received_s)
        kept = self._misfits.bounds_to_keep(known, before.burst, before.s_per_tick)
        self._arrivals = MinimumDelayFilter()
        for misfit in believed:
            if not misfit.is_reply:
                self._arrivals.keep(misfit.probe.tick, misfit.probe.received_s, -misfit.missed_s)
        if before.is_consistent:
            limits = before.lines.slopes_within(_RATE_KEPT)
            self._constraints = self._constraints._replace(slope_limits=limits)
        missed_s = max(misfit.missed_s for misfit in believed)
        self._misfits.clear()
        self._misfits.distrust_s = 0.0 if before.has_simple_rate else missed_s
        if self._relearnings.add(self.n_probes):
            self.uneven = True
            self._constraints = self._known
            kept = known
        # what came while the ticks stood still says nothing of where they went on
        while not self.uneven and len(kept) > 2 and not self._fitted(kept).is_consistent:
            del kept[0]
        self._probes.clear()
        if self.ready and not self.uneven:
            self._fit_before = self._fit_before or before
        if kept:
            self._accept(*kept)
        else:  # until the next reply the estimate stays, and is known to be wrong
            self._stated.half_width_s += missed_s
        return True

    def _start_over(self, probe: Probe) -> None:
        """Forget all bounds but those of one reply: nothing that came since fits the others."""
        self._refused_in_a_row = 0
        self._misfits.clear()
        self._arrivals = MinimumDelayFilter()
        self._constraints = self._known
        self._probes.clear()
        self._accept(probe)

    def _note_discontinuity(self) -> None:
        """Note by how much the ticks paused or skipped, once enough is known after that."""
        before, fit = self._fit_before, self._fit
        if before is None or fit is None or len(self._probes) < MISFITS_TO_RELEARN:
            return
        self._fit_before = None
        step_s = float(fit.time_at(fit.tick) - before.time_at(fit.tick))
        if step_s > self._discontinuity_s or step_s < -_LEAST_SKIP_S:
            self.discontinuities += 1
            self.last_jump_s = step_s

    def _fitted(self, probes: Sequence[Probe]) -> ClockFit:
        """Fit probes and all arrivals under the present constraints."""
        return fit_clock(probes, self._arrivals, self._constraints)
