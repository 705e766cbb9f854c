"""``bela_clock``: a sample a second beside every run, the proof of its stamps in each recording."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from bela_module.errors import StreamError
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import CLOCK_SAMPLE_PERIOD_S
from bela_module.streams.clock_plan import clock_plan
from bela_module.streams.sink import StreamFacts
from bela_module.streams.stream_plans import StreamPlan
from bela_module.streams.unix_time import unix_at_lsl_zero_s


class ClockStream:
    """Publishes what is known of the board's clock while something streams.

    Parameters
    ----------
    runtime : Runtime
        The session; ``streaming.clock_stream`` of its settings is the stream's name, or empty.
    unix_now : callable
        Returns seconds since 1970.
    """

    def __init__(self, runtime: Runtime, unix_now: Callable[[], float] = time.time) -> None:
        name = runtime.settings.streaming.clock_stream
        self._runtime = runtime
        self._plan = clock_plan(name) if name else None
        self._unix_now = unix_now
        self._is_open = False
        self._has_error = False
        self._due_s = 0.0
        self._last_stamp_s = 0.0

    def refresh(self) -> None:
        """Publish a sample if one is due; call it some times a second."""
        runtime, plan = self._runtime, self._plan
        if plan is None or not runtime.running or not runtime.board.ready:
            self._is_open = self._is_open and bool(runtime.running)
            return
        if not self._is_open:
            self._is_open, self._due_s = True, 0.0
            runtime.sink.open(plan, StreamFacts(runtime.board.origin(), 0.0))
        now_s = runtime.now()
        if now_s < self._due_s:
            return
        known = runtime.board.take_clock_sample(unix_at_lsl_zero_s(runtime.now, self._unix_now))
        if known is None or known[0] <= self._last_stamp_s:
            return  # the board has told no tick since
        stamp_s, sample = known
        self._due_s, self._last_stamp_s = now_s + CLOCK_SAMPLE_PERIOD_S, stamp_s
        try:
            runtime.sink.push(
                plan,
                np.array([sample.tick], np.int64),
                np.array([sample], np.float64),
                np.array([stamp_s]),
            )
        except StreamError as error:
            if not self._has_error:
                runtime.notices.tell(f"{plan.name}: {error}", cause=error)
            self._has_error = True


def clock_outlet(runtime: Runtime) -> dict[str, tuple[StreamPlan, StreamFacts]]:
    """Describe the outlet of the stream for those who open it with others, if there is one."""
    name = runtime.settings.streaming.clock_stream
    if not name or not runtime.board.ready:
        return {}
    return {name: (clock_plan(name), StreamFacts(runtime.board.origin(), 0.0))}
