"""A running stream: turns the blocks of its variables into stamped samples in a sink."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from bela_module.errors import StreamError
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.sample_formats import to_format
from bela_module.streams.sink import Sink, Stamps, StreamFacts, TakesUnstamped
from bela_module.streams.states import StreamState, stream_state_machine
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.streams.time_limits import RATE_WINDOW_S
from bela_module.streams.unstamped_values import unstamped_values
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.row_alignment import RowAligner
from bela_module.tracking.runs import Gap, GapReason, Tracker, ValueRun
from bela_module.tracking.single_values import Transport
from bela_module.tracking.trackers import tracker_for
from bela_module.validation import shorten

Stamper = Callable[[Ticks], Stamps]

MAX_HELD_BYTES: Final = 32 << 20
"""How much of all streams of a delivery may wait for nominal rates and for the clock."""
_NEVER: Final = 2**62  # no tick is as late


class LiveStream:
    """A stream from its first block to its last sample.

    Samples are held until :meth:`open`, since an LSL stream's nominal rate must be right from
    the first one on. See ``StreamState``.

    Parameters
    ----------
    plan, sink
        What is published, and where the samples go.
    stamps : callable
        Returns the LSL times of an array of ticks.
    now : callable
        Returns LSL seconds.
    on_gap : callable
        Called with the variable and the gap at every loss.
    on_error : callable
        Called with the first error of the sink, which ends no other stream.
    max_held_bytes : int
        How much may wait for :meth:`open`; the oldest values are counted as lost beyond it.
    ticks : RegularTicks, optional
        Gives the ticks of regular blocks; to be shared by the streams of one board.
    """

    def __init__(
        self,
        plan: StreamPlan,
        sink: Sink,
        stamps: Stamper,
        now: Callable[[], float],
        on_gap: Callable[[Variable, Gap], None],
        on_error: Callable[[StreamPlan, Exception], None],
        max_held_bytes: int = MAX_HELD_BYTES,
        ticks: RegularTicks | None = None,
    ) -> None:
        self.plan = plan
        monitored, ticks = plan.mode is StreamMode.MONITOR, ticks or RegularTicks()
        self.trackers: tuple[Tracker, ...] = tuple(
            tracker_for(variable, monitor=monitored, ticks=ticks) for variable in plan.variables
        )
        self.facts: StreamFacts | None = None
        self.samples = 0
        self.is_assigned = True
        self.refused = 0
        self.last_lsl_s: float | None = None
        self.delay_s: float | None = None
        self._members = {variable.name: i for i, variable in enumerate(plan.variables)}
        self._sink = sink
        self._stamps = stamps
        self._now = now
        self._max_held_bytes = max_held_bytes
        self._on_gap = on_gap
        self._on_error = on_error
        self._machine = stream_state_machine(plan.name)
        self.error: str | None = None
        self._facts_before: StreamFacts | None = None
        self._waiting: deque[tuple[int, ValueRun | Gap]] = deque()
        self._held_bytes = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._is_visible = False
        self._aligner = self._new_aligner()

    def _new_aligner(self) -> RowAligner | None:
        if len(self.plan.variables) == 1:
            return None
        return RowAligner(len(self.plan.variables), self.plan.sample_format.dtype)

    @property
    def state(self) -> StreamState:
        """Whether it is open in the sink, and what becomes of its samples."""
        return self._machine.state

    # ---- what the board sends -------------------------------------------------------------

    def add(self, block: Block, possible_tick: float, arrived_s: float) -> None:
        """Take a block of one of the members.

        Parameters
        ----------
        block : Block
            Its variable is a member.
        possible_tick : float
            The latest tick that can have happened when the block arrived.
        arrived_s : float
            LSL time of its arrival.
        """
        member = self._members[block.variable.name]
        self._take(member, self.trackers[member].add(block, possible_tick))
        if self.last_lsl_s is not None:
            self.delay_s = arrived_s - self.last_lsl_s

    def give_unstamped(self, block: Block, *, is_last: bool) -> int:
        """Give a block whose times nobody can tell to a sink that takes such.

        Parameters
        ----------
        block : Block
            Its variable is a member.
        is_last : bool
            Whether zeros at its end may be padding; those are left out.

        Returns
        -------
        int
            How many values were not taken.
        """
        if block.monitor is not (self.plan.mode is StreamMode.MONITOR):
            return 0
        ticks, values = unstamped_values(block, is_last=is_last)
        sink, variable = self._sink, block.variable
        if not (isinstance(sink, TakesUnstamped) and sink.push_unstamped(variable, ticks, values)):
            return int(values.size)
        self.samples += values.size
        return 0

    def missed_block(self, variable: Variable) -> None:
        """Learn that a block of one of the members was lost."""
        member = self._members[variable.name]
        self._take(member, self.trackers[member].missed_block())

    def tracker_of(self, variable: Variable) -> Tracker:
        """Return the tracker of a member."""
        return self.trackers[self._members[variable.name]]

    def ignore_singles(self) -> None:
        """Take the values of all members from blocks again."""
        for member, tracker in enumerate(self.trackers):
            self._take(member, tracker.ignore_singles())

    @property
    def delivery(self) -> str:
        """Whether its values come in blocks or singly: ``block`` or ``single``."""
        if self.plan.mode is StreamMode.MONITOR:
            return Transport.SINGLE.value
        single = all(tracker.transport is Transport.SINGLE for tracker in self.trackers)
        return (Transport.SINGLE if single else Transport.BLOCK).value

    def step_of(self, variable: Variable) -> float | None:
        """Return the ticks between two values of a member, if they are known."""
        return self.tracker_of(variable).step_ticks

    # ---- the course of a run --------------------------------------------------------------

    @property
    def step_ticks(self) -> float | None:
        """Ticks between two samples, as far as every member's is known."""
        steps = [tracker.step_ticks for tracker in self.trackers]
        known = [step for step in steps if step is not None]
        return min(known) if len(known) == len(steps) else None

    @property
    def finished(self) -> bool:
        """Whether everything up to the known end has come."""
        return all(tracker.finished for tracker in self.trackers)

    def end_at(self, variable: Variable, last_tick: int, *, next_too: bool = False) -> None:
        """Learn the last tick of a member, inclusive: see :meth:`Tracker.end_at`."""
        member = self._members[variable.name]
        self._take(member, self.trackers[member].end_at(last_tick, next_too=next_too))

    def interrupted(self) -> None:
        """Learn that the connection ended; until a tracker is told to resume, it takes nothing."""
        for variable in self.plan.variables:
            self.interrupted_in(variable)

    def interrupted_in(self, variable: Variable) -> None:
        """Learn that the blocks of a member ended early."""
        member = self._members[variable.name]
        self._take(member, self.trackers[member].interrupted())
        self.trackers[member].resume(_NEVER)

    def give_up(self, variable: Variable) -> None:
        """Stop waiting for a member that the board no longer has; rows of the others go on."""
        if self._aligner is not None:
            nothing_more = Gap(0, _NEVER, 0, GapReason.RECONNECTED)
            hand_on = self._hold if self.state is StreamState.UNOPENED else self._give
            hand_on(self._members[variable.name], nothing_more)

    def settle(self) -> None:
        """Finish the trackers: deliver what is certain of each member; no more blocks come."""
        for member, tracker in enumerate(self.trackers):
            self._take(member, tracker.finish())

    def flush(self) -> None:
        """Deliver all that waits for listeners or for rows of other members.

        Of a stream that is not open by now, the values are lost.
        """
        if self.state is StreamState.UNOPENED:
            self._refuse_waiting(keeping_bytes=-1)
            return
        self._deliver_waiting()
        if self._aligner is not None:
            for rows in self._aligner.finish():
                self._push(rows.ticks, rows.values)

    def on_board_restart(self) -> None:
        """Learn that the board's tick counter was reset.

        What comes now waits for another :meth:`open`, since only the new clock can stamp it. What
        still waits for the first one could be stamped by the old clock alone, and is lost.
        """
        self.settle()
        self.flush()
        self.refused += self._aligner.dropped if self._aligner is not None else 0
        self._aligner = self._new_aligner()
        if self.state is not StreamState.FAILED:
            self._facts_before, self.facts = self.facts or self._facts_before, None
            self._machine.move_to(StreamState.UNOPENED)

    @property
    def is_waiting(self) -> bool:
        """Whether there are samples that were not delivered yet."""
        return bool(self._waiting)

    @property
    def is_visible(self) -> bool:
        """Whether others can find it, or never will."""
        if self.state is StreamState.DELIVERING:
            self.check_sink()
        return self.state is StreamState.FAILED or self._is_visible

    def check_sink(self) -> None:
        """Learn whether the sink still takes samples; it may take its time to open a stream."""
        if self.state is not StreamState.DELIVERING:
            return
        try:
            self._is_visible = self._sink.is_open(self.plan)
        except Exception as error:  # noqa: BLE001 - what a sink raises concerns this stream alone
            self._fail(error)

    def open(self, facts: StreamFacts) -> None:
        """Make the stream visible, or go on with it after the board has restarted."""
        self.facts = facts = self._as_before(facts)
        try:
            self._sink.open(self.plan, facts)
        except Exception as error:  # noqa: BLE001 - what a sink raises concerns this stream alone
            self._fail(error)
            return
        self._machine.move_to(StreamState.DELIVERING)
        self._deliver_waiting()

    def _as_before(self, facts: StreamFacts) -> StreamFacts:
        """Keep the identity of the stream, and its announced rate if that is still right."""
        before = self._facts_before
        if before is None:
            return facts
        # Inlets find a stream again by the project that it began with.
        facts = replace(facts, origin=replace(facts.origin, project=before.origin.project))
        return facts.keep_rate(before.nominal_rate_hz)

    def _deliver_waiting(self) -> None:
        while self._waiting:
            self._give(*self._waiting.popleft())
        self._held_bytes = 0

    # ---- figures --------------------------------------------------------------------------

    @property
    def lost(self) -> int:
        """Values that the board took and that were not delivered."""
        dropped = self._aligner.dropped if self._aligner is not None else 0
        return sum(tracker.lost for tracker in self.trackers) + self.refused + dropped

    @property
    def gaps(self) -> int:
        """Number of separate losses."""
        return sum(tracker.gaps for tracker in self.trackers)

    @property
    def effective_rate_hz(self) -> float | None:
        """Samples per second over the last seconds, by their stamps."""
        if len(self._recent) < 2:
            return None
        (first_s, first), (last_s, last) = self._recent[0], self._recent[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else None

    # ---- inside ---------------------------------------------------------------------------

    def _take(self, member: int, items: Iterable[ValueRun | Gap]) -> None:
        for item in items:
            if isinstance(item, Gap):
                self._on_gap(self.plan.variables[member], item)
            if self._machine.state is StreamState.UNOPENED:
                self._hold(member, item)
            else:
                self._give(member, item)

    def _hold(self, member: int, item: ValueRun | Gap) -> None:
        self._waiting.append((member, item))
        self._held_bytes += _count_bytes(item)
        self._refuse_waiting(keeping_bytes=self._max_held_bytes)

    def _refuse_waiting(self, *, keeping_bytes: int) -> None:
        """Count the oldest waiting values as lost until so much is left; -1: gaps go, too."""
        while self._waiting and self._held_bytes > keeping_bytes:
            member, oldest = self._waiting.popleft()
            if isinstance(oldest, ValueRun):
                n_values = oldest.values.size
                self._held_bytes -= _count_bytes(oldest)
                self.refused += n_values
                first_tick, last_tick = int(oldest.ticks[0]), int(oldest.ticks[-1])
                oldest = Gap(first_tick, last_tick, n_values, GapReason.LOST)
                self._on_gap(self.plan.variables[member], oldest)
            if oldest.last_tick != _NEVER:
                self._tell_gap(member, replace(oldest, late=None))

    def _fail(self, error: Exception) -> None:
        """Deliver nothing more: what waits is lost, and so is what comes."""
        self._machine.move_to(StreamState.FAILED)
        self._report_error(error)
        self._deliver_waiting()

    def _report_error(self, error: Exception) -> None:
        if self.error is None:
            self.error = str(error) or type(error).__name__
            self._on_error(self.plan, error)

    def _give(self, member: int, item: ValueRun | Gap) -> None:
        if isinstance(item, Gap) and item.last_tick != _NEVER:
            self._tell_gap(member, item)
        if self._aligner is not None:
            for rows in self._aligner.add(member, item):
                self._push(rows.ticks, rows.values)
        elif isinstance(item, ValueRun):
            values = to_format(item.values, self.plan.sample_format)
            self._push(item.ticks, values[:, np.newaxis])

    def _tell_gap(self, member: int, gap: Gap) -> None:
        if self.state is StreamState.FAILED:
            return
        try:
            variable = self.plan.variables[member]
            self._sink.gap(self.plan, variable, gap)
            if gap.late is not None:
                values = to_format(gap.late.values, self.plan.sample_format)
                ticks = gap.late.ticks
                self._sink.late(self.plan, variable, ticks, values, self._stamps(ticks))
        except Exception as error:  # noqa: BLE001 - what a sink raises concerns this stream alone
            self._fail(error)

    def _push(self, ticks: Ticks, values: Array) -> None:
        if self._machine.state is StreamState.FAILED:
            self.refused += _count_values(values)
            return
        try:
            stamps_s = self._stamps(ticks)
            self._sink.push(self.plan, ticks, values, stamps_s)
        except StreamError as error:  # the sink does not take these samples
            self.refused += _count_values(values)
            self._report_error(error)
            return
        except Exception as error:  # noqa: BLE001 - what a sink raises concerns this stream alone
            self.refused += _count_values(values)
            self._fail(error)
            return
        self.samples += ticks.size
        self.last_lsl_s = float(stamps_s[-1])
        self._recent.append((self.last_lsl_s, self.samples))
        while self._recent[-1][0] - self._recent[0][0] > RATE_WINDOW_S and len(self._recent) > 2:
            self._recent.popleft()

    def status(self) -> dict[str, Any]:
        """Describe the stream as STATUS shows it."""
        nominal_hz = self.facts.nominal_rate_hz if self.facts is not None else None
        return {
            "name": self.plan.name,
            "variables": [shorten(variable.name) for variable in self.plan.variables],
            "mode": self.plan.mode.value,
            "delivery": self.delivery,
            "format": self.plan.sample_format.value,
            "nominal_rate_hz": nominal_hz,
            "effective_rate_hz": _rounded(self.effective_rate_hz, 3),
            "samples": self.samples,
            "assigned": self.is_assigned,
            "lost": self.lost,
            "gaps": self.gaps,
            "last_lsl_s": _rounded(self.last_lsl_s, 6),
            "delay_s": _rounded(self.delay_s, 4),
        }


def _count_bytes(item: ValueRun | Gap) -> int:
    return int(item.ticks.nbytes + item.values.nbytes) if isinstance(item, ValueRun) else 0


def _count_values(rows: Array) -> int:
    """Count the values in rows; NaN in a row of a group is a value that was lost before."""
    if rows.shape[1] == 1 or rows.dtype.kind != "f":
        return rows.size
    return rows.size - int(np.count_nonzero(np.isnan(rows)))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
