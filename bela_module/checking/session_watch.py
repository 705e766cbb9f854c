"""What the check's session shows: its STATUS some times a second, and its losses by cause."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from bela_module.checking.time_limits import LOOK_PERIOD_S
from bela_module.protocol.variables import Variable
from bela_module.session.session import Session
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap, GapReason


class StatusWatcher:
    """Keeps figures that STATUS shows for a moment only.

    Parameters
    ----------
    session : Session
        Whose STATUS it is.

    Attributes
    ----------
    last : dict of str to Any
        The last STATUS of a connected board.
    problems : dict of str to None
        Everything that stood in ``problems`` at any moment, in order.
    first_sample_s : float or None
        From START to the first sample of a regular stream.
    """

    def __init__(self, session: Session) -> None:
        self.last: dict[str, Any] = {}
        self.problems: dict[str, None] = {}
        self.first_sample_s: float | None = None
        self._uncertainties_s: list[float] = []
        self._delays_s: dict[str, list[float]] = {}
        self._session = session
        self._started_s = time.monotonic()

    @property
    def uncertainty_s(self) -> float | None:
        """Median of what was stated while streaming, or all the time if nothing was streamed."""
        return median(self._uncertainties_s) if self._uncertainties_s else None

    @property
    def delays_s(self) -> dict[str, float]:
        """Of each regular stream the median of the delays of its latest block."""
        return {name: median(delays_s) for name, delays_s in self._delays_s.items()}

    def note_start(self) -> None:
        """Learn that START was sent at this moment."""
        self._started_s = time.monotonic()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look in a thread until the end of the context."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run, args=(ended,), name="bela-check-status")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_PERIOD_S):
            self.look(self._session.status())

    def look(self, status: dict[str, Any]) -> None:
        """Take in a STATUS."""
        self.problems.update(dict.fromkeys(status["problems"]))
        regular = [s for s in status["streams"] if s["mode"] == "dense" and s["samples"]]
        if status["board"]["connected"] or not self.last:
            self.last = status
        is_streaming = status["state"] == "streaming"
        uncertainty_s = status["clock"]["uncertainty_s"]
        if uncertainty_s is not None and (is_streaming or not status["streams"]):
            self._uncertainties_s.append(uncertainty_s)
        if regular and self.first_sample_s is None:
            self.first_sample_s = time.monotonic() - self._started_s
        for stream in regular if is_streaming else ():
            if stream["delay_s"] is not None:
                self._delays_s.setdefault(stream["name"], []).append(stream["delay_s"])


class LossCountingOutlets(LslOutlets):
    """LSL outlets with a count of what is missing; it is read when nothing streams any more.

    Parameters
    ----------
    events_stream : str
        Name of the marker stream.
    """

    def __init__(self, events_stream: str) -> None:
        super().__init__(events_stream)
        self.losses: dict[str, Counter[GapReason]] = {}

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Count the values; zeros that may be padding are none."""
        super().gap(plan, variable, gap)
        if gap.reason is not GapReason.UNKNOWN_END:
            self.losses.setdefault(plan.name, Counter())[gap.reason] += gap.n_values
