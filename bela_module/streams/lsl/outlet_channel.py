"""One stream on its way into LSL: opens its outlet, holds first samples for a listener, pushes.

What can take time is done in the thread of the ``OutletWorker``: creating and ending the outlet,
looking for listeners, pushing what was held. Once samples go out as they come, and nothing of the
stream waits in that thread, the session's thread pushes them itself: LSL then only copies them
into its own queues, which takes less than the hand-over to another thread.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import partial
from typing import Final

from bela_module.errors import StreamError
from bela_module.state_machine import StateMachine
from bela_module.streams.lsl.held_samples import Held, MemoryBudget, join
from bela_module.streams.lsl.lsl_outlet import LslOutlet
from bela_module.streams.time_limits import FIRST_LISTENER_S, UNHEARD_OUTLET_S

logger = logging.getLogger(__name__)

_PUSHED_TOGETHER: Final = 64
"""Held chunks that are taken out and pushed at once."""


class ChannelState(Enum):
    """Whether the outlet is there, and what becomes of its samples."""

    OPENING = auto()
    """The outlet is being created: samples wait."""
    HOLDING = auto()
    """Nobody listens: the first samples of a run wait for a moment."""
    RELEASING = auto()
    """What was held is being pushed: what comes meanwhile goes behind it."""
    DELIVERING = auto()
    """Samples go into the outlet as they come."""
    FAILED = auto()
    """There is no outlet: samples are refused."""
    ENDED = auto()
    """The outlet is gone: its variables are no more, or the module ends."""


_C = ChannelState

CHANNEL_TRANSITIONS: Final[Mapping[ChannelState, frozenset[ChannelState]]] = {
    _C.OPENING: frozenset({_C.HOLDING, _C.FAILED, _C.ENDED}),
    _C.HOLDING: frozenset({_C.RELEASING, _C.FAILED, _C.ENDED}),
    _C.RELEASING: frozenset({_C.DELIVERING, _C.FAILED, _C.ENDED}),
    _C.DELIVERING: frozenset({_C.HOLDING, _C.FAILED, _C.ENDED}),
    _C.FAILED: frozenset({_C.ENDED}),
    _C.ENDED: frozenset(),
}


class OutletChannel:
    """An outlet and what waits for it.

    Parameters
    ----------
    name : str
        Name of the stream, for the log.
    create : callable
        Creates the outlet; may take its time.
    budget : MemoryBudget
        Counts the memory of what waits, which was taken from it before :meth:`take`.
    now : callable
        LSL seconds.
    holds_each : bool
        Whether each item waits for a listener while nobody listens, as markers do, and not only
        the first ones of a run.
    """

    def __init__(
        self,
        name: str,
        create: Callable[[], LslOutlet],
        budget: MemoryBudget,
        now: Callable[[], float],
        *,
        holds_each: bool = False,
    ) -> None:
        self.error: Exception | None = None
        self._create = create
        self._budget = budget
        self._now = now
        self._holds_each = holds_each
        self._machine = StateMachine(f"outlet {name}", _C.OPENING, CHANNEL_TRANSITIONS)
        self._outlet: LslOutlet | None = None
        self._held: deque[Held] = deque()
        self._held_until_s = 0.0
        self._unheard_since_s: float | None = None  # since when it may end
        self._batch: list[Held] | None = None  # what the worker has not begun to take yet
        self._batch_lock = threading.Lock()
        self._n_asked = 0  # jobs; counted in the session's thread
        self._n_done = 0  # counted in the worker's

    @property
    def state(self) -> ChannelState:
        """Whether the outlet is there, and what becomes of its samples."""
        return self._machine.state

    @property
    def uid(self) -> str | None:
        """Identity that LSL gave to this outlet, and to no other."""
        outlet = self._outlet
        return outlet.uid if outlet is not None else None

    @property
    def needs_checks(self) -> bool:
        """Whether :meth:`check` has something to wait for."""
        return bool(self._held) or self._unheard_since_s is not None

    # ---- in the session's thread ------------------------------------------------------------

    def job(self, call: Callable[[], None]) -> Callable[[], None]:
        """Return a job for the worker: samples that come before it is done go behind it."""
        with self._batch_lock:
            self._batch = None
        self._n_asked += 1
        return partial(self._perform, call)

    def leave(self, item: Held) -> Callable[[], None] | None:
        """Leave something for the worker, whose memory was taken from the budget.

        The more waits, the more is pushed with one call: each call of LSL costs the worker a
        wait for the interpreter, while the session's thread is busy.

        Returns
        -------
        callable or None
            A job for the worker, unless one waits that takes this, too.
        """
        with self._batch_lock:
            if self._batch is not None:
                self._batch.append(item)
                return None
        batch = [item]
        job = self.job(partial(self._take_batch, batch))
        with self._batch_lock:
            self._batch = batch
        return job

    def push_now(self, item: Held) -> bool:
        """Push something at once, if it is nobody else's turn; tell whether that was so.

        Raises
        ------
        Exception
            What LSL raised; the channel is to :meth:`fail` then.
        """
        outlet = self._outlet
        is_free = self._n_done == self._n_asked and not self._holds_each
        if outlet is None or not is_free or self._machine.state is not _C.DELIVERING:
            return False
        item.push_into(outlet)
        return True

    # ---- in the worker's thread ---------------------------------------------------------------

    def _perform(self, call: Callable[[], None]) -> None:
        try:
            call()
        finally:
            self._n_done += 1

    def open(self) -> None:
        """Create the outlet."""
        if self.state is not _C.OPENING:
            return
        try:
            self._outlet = self._create()
        except Exception as error:  # noqa: BLE001 - it is raised at the next push
            self.fail(error)
            return
        self._machine.move_to(_C.HOLDING)
        self.check()

    def begin_run(self) -> None:
        """Hold what comes next for a listener, if nobody listens."""
        self._unheard_since_s = None
        if self.state is _C.DELIVERING and not self._has_consumers():
            self._machine.move_to(_C.HOLDING)

    def _take_batch(self, batch: list[Held]) -> None:
        with self._batch_lock:
            if self._batch is batch:
                self._batch = None
        n_bytes = sum(item.n_bytes for item in batch)
        joined = list(join(batch))
        self._budget.give_back(n_bytes - sum(item.n_bytes for item in joined))
        for item in joined:
            self.take(item)

    def take(self, item: Held) -> None:
        """Push something, or hold it."""
        if self.state is _C.DELIVERING and self._holds_each and not self._has_consumers():
            self._machine.move_to(_C.HOLDING)
        if self.state is _C.DELIVERING:
            self._budget.give_back(item.n_bytes)
            self._push(item)
        elif self.state in (_C.OPENING, _C.HOLDING):
            self._hold(item)
            self.check()
        else:
            self._budget.give_back(item.n_bytes)

    def check(self) -> None:
        """Push what is held once somebody listens, or when nobody did for a while."""
        now_s = self._now()
        if self.state is _C.HOLDING:
            if self._has_consumers() or (self._held and now_s > self._held_until_s):
                self._release()
            while self._held and not self._budget.allows_holding:
                self._push_held(1)
        if self._unheard_since_s is not None:
            if self._has_consumers():
                self._unheard_since_s = now_s
            elif now_s > self._unheard_since_s + UNHEARD_OUTLET_S:
                self.end()

    def _release(self) -> None:
        """Push what is held, and only then let samples go straight in."""
        self._machine.move_to(_C.RELEASING)
        self._push_held()
        if self.state is _C.RELEASING:
            self._machine.move_to(_C.DELIVERING)

    def may_end(self) -> None:
        """Learn that its variables are gone: it ends when nobody has listened for a while."""
        if self._unheard_since_s is None and self.state is not _C.ENDED:
            self._unheard_since_s = self._now()

    def must_stay(self) -> None:
        """Learn that its variables are there."""
        self._unheard_since_s = None

    def end(self) -> None:
        """Push what is held and end the outlet."""
        if self.state is _C.ENDED:
            return
        self._unheard_since_s = None
        self._push_held()
        self._machine.move_to(_C.ENDED)
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.end()

    def _has_consumers(self) -> bool:
        return self._outlet is not None and self._outlet.has_consumers()

    def _hold(self, item: Held) -> None:
        compact = item.compact()
        self._budget.give_back(item.n_bytes - compact.n_bytes)
        if not self._held:
            self._held_until_s = self._now() + FIRST_LISTENER_S
        self._held.append(compact)

    def _push_held(self, n_items: int | None = None) -> None:
        """Push what is held, the oldest first: all by default."""
        n_left = len(self._held) if n_items is None else n_items
        while n_left > 0 and self._held:
            n_now = min(_PUSHED_TOGETHER, n_left, len(self._held))
            held = [self._held.popleft() for _ in range(n_now)]
            n_left -= n_now
            self._budget.give_back(sum(item.n_bytes for item in held))
            for item in join(held):
                self._push(item)

    def _push(self, item: Held) -> None:
        if self._outlet is None:
            return
        try:
            item.push_into(self._outlet)
        except Exception as error:  # noqa: BLE001 - it is raised at the next push
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """End the outlet and refuse what comes: it took no samples or could not be created."""
        if self.state in (_C.FAILED, _C.ENDED):
            return
        known = isinstance(error, StreamError)
        self.error = error if known else StreamError(f"LSL did not take samples: {error!r}")
        self._machine.move_to(_C.FAILED)
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.end()
        while self._held:
            self._budget.give_back(self._held.popleft().n_bytes)
