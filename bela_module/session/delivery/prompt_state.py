"""Which streams of a delivery come as single values, and how far a change has got. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto

from bela_module.session.delivery.time_limits import RATE_WINDOW_S
from bela_module.session.delivery.transport_chooser import LIMIT_HZ, TransportChooser
from bela_module.tracking.rate_sieve import StreamSieve


class FlushStep(Enum):
    """How far a block has got that is to be sent early, when a stream changes to single values."""

    FIRST_VALUE = auto()
    """The first single value is awaited: what comes before it is in the block."""
    BLOCK = auto()
    """The board was told to end its watch, and sends the block with the next value."""
    BEGUN = auto()
    """The board was told to watch it again a moment ago; until then no block has its values."""


@dataclass(slots=True)
class PromptState:
    """What is known of the single values of a delivery.

    Attributes
    ----------
    is_allowed : bool
        Whether single values may be used at all.
    takes_over : bool
        Whether another client watched a variable that this delivery streams: for its whole course.
    follows_others : bool
        Whether single values are left while other clients watch something.
    accepted : frozenset of str
        Variables that others watch, though single values come to them already: no program is there
        that does not survive them, or they are left over from a module that was killed.
    left_over : frozenset of str
        Variables that the board lists as watched, though nothing came of them before the run.
    only_unknown : bool
        Whether only dense variables of which the step is not known come singly.
    fixed : set of str
        Streams that come in blocks for the rest of the run.
    n_singles : dict of str to int
        Single values of each stream so far.
    asked_s : dict of str to float
        When the board was asked for each variable's single values, while it is.
    sieves : dict of str to StreamSieve
        Streams of which it is to show how often their values come.
    waiting : set of str
        Variables whose single values are to be asked for shortly before their window.
    flushes : dict of str to FlushStep
        Variables whose block is to come early.
    too_fast : dict of str to float
        Streams that are not taken singly any more, as the board is still to be told, and rates.
    told_unassigned : set of str
        Variables of which it was told that the sketch has not assigned them.
    looked_s : float
        When the last look at the delivery was due.
    told : set of str
        Variables of which it was told that their values come singly, or in blocks, and why.
    """

    is_allowed: bool = False
    takes_over: bool = False
    follows_others: bool = False
    accepted: frozenset[str] = frozenset()
    left_over: frozenset[str] = frozenset()
    only_unknown: bool = False
    fixed: set[str] = field(default_factory=set)
    n_singles: dict[str, int] = field(default_factory=dict)
    asked_s: dict[str, float] = field(default_factory=dict)
    sieves: dict[str, StreamSieve] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    flushes: dict[str, FlushStep] = field(default_factory=dict)
    too_fast: dict[str, float] = field(default_factory=dict)
    _windows: dict[str, tuple[float, int]] = field(default_factory=dict)
    told_unassigned: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    looked_s: float = -math.inf
    chooser: TransportChooser = field(default_factory=TransportChooser)

    def count(self, stream: str, now_s: float) -> bool:
        """Count a single value of a stream; tell whether it comes too fast to wait for a look."""
        n_singles = self.n_singles[stream] = self.n_singles.get(stream, 0) + 1
        since_s, n_before = self._windows.get(stream, (-math.inf, 0))
        if now_s > since_s + RATE_WINDOW_S:
            self._windows[stream] = now_s, n_singles
            return False
        if n_singles - n_before > LIMIT_HZ * RATE_WINDOW_S:
            self.too_fast[stream] = (n_singles - n_before) / max(now_s - since_s, 1e-3)
        return stream in self.too_fast

    @property
    def is_changing(self) -> bool:
        """Whether values come singly, or are about to."""
        return bool(self.asked_s or self.sieves or self.waiting or self.flushes or self.too_fast)

    def is_unwatched(self, variable: str) -> bool:
        """Tell whether a variable's single values may be all that there is of them."""
        return self.flushes.get(variable) in (FlushStep.BLOCK, FlushStep.BEGUN)

    def connection_lost(self) -> None:
        """Forget what holds for one connection only."""
        self.asked_s.clear()
        self.sieves.clear()
        self.waiting.clear()
        self.flushes.clear()
        self.too_fast.clear()
        self._windows.clear()

    def asked_before(self, name: str, since_s: float) -> bool:
        """Tell whether a variable's single values were asked for before a time."""
        return self.asked_s.get(name, math.inf) < since_s
