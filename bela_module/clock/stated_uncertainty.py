"""What is stated of the newest ticks' times: bounds, and the delay of what arrived last. Pure.

Bounds hold as long as ticks follow a line. Ticks that pause without a word, since the board missed
blocks, come late. Until probes tell that from a slow network, the delay of the newest tick that
has arrived is how far off its stamp can be: the ticks have paused no longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from bela_module.clock.clock_fit import ClockFit, Probe

_LATEST_PROBES: Final = 8
_LATE: Final = 2.0  # times the half width of the bounds


class StatedUncertainty:
    """Half width of the bounds until the next probe, or the newest delay if that is more.

    Attributes
    ----------
    half_width_s : float
        Of the bounds; infinite before any.
    block_is_late : bool
        Whether the newest block was so late that a probe should tell why.
    """

    def __init__(self) -> None:
        self.half_width_s = math.inf
        self.block_is_late = False
        self._tick = -1
        self._delay_s = 0.0

    @property
    def seconds(self) -> float:
        """How far the time of the newest tick may be off."""
        return max(self.half_width_s, self._delay_s)

    def use_fit(self, fit: ClockFit, probes: Sequence[Probe], until_tick: int) -> None:
        """Take the half width of a new fit, up to a tick before which another one will come.

        A line through many bounds is known better than one exchange tells, but that ticks follow
        it exactly is only assumed: what single exchanges tell is the least that is stated.
        """
        latest = list(probes)[-_LATEST_PROBES:]
        shortest_s = min(probe.received_s - probe.sent_s for probe in latest)
        least_s = 0.5 * shortest_s + 0.25 * fit.burst * fit.s_per_tick
        self.half_width_s = max(fit.half_width_s(until_tick), least_s)
        self.block_is_late = False
        self._note_delay(fit, probes[-1].tick, probes[-1].received_s)

    def note_block(self, fit: ClockFit, tick: int, received_s: float) -> None:
        """Note when a block arrived, given its last tick."""
        self._note_delay(fit, tick, received_s)
        self.block_is_late = self._delay_s > _LATE * self.half_width_s

    def _note_delay(self, fit: ClockFit, tick: int, received_s: float) -> None:
        if tick >= self._tick:
            self._tick, self._delay_s = tick, max(0.0, received_s - float(fit.time_at(tick)))
