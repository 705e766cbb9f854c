"""What one START, SCHEDULE or MONITOR delivers, from the command to its last sample."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_channel import (
    Json,
    monitor_command,
    unwatch_command,
    watch_command,
)
from bela_module.protocol.data_channel import Block, Variable
from bela_module.session.board_state import Board, last_tick
from bela_module.session.delivery.schedule_windows import Windows
from bela_module.session.delivery.step_surveyor import Surveyor
from bela_module.session.delivery.watchdog import Cause, Watchdog
from bela_module.session.notices import Notices
from bela_module.streams.live_stream import LiveStream
from bela_module.streams.stream_plans import Sink, StreamMode, StreamPlan, reachable
from bela_module.tracking.trackers import Gap, GapReason

LEAD_S: Final = 0.05
"""A command for a tick this far ahead reaches the board in time."""

GRACE_S: Final = 0.3
"""After the end of a stream, for its last block to arrive."""

_CONFIRM_S: Final = 0.4
_RATE_PATIENCE_S: Final = 3.0
_OPENING_S: Final = 0.1  # after the start of a window, for its variables to show as watched

logger = logging.getLogger(__name__)


class DeliveryKind(StrEnum):
    """What was commanded."""

    START = "START"
    SCHEDULE = "SCHEDULE"
    MONITOR = "MONITOR"


@dataclass(slots=True)
class Delivery:
    """A set of streams that begin and end together.

    Parameters
    ----------
    kind : DeliveryKind
        What was commanded.
    board : Board
        Where the values come from.
    sink : Sink
        Where the samples go.
    now : callable
        LSL seconds.
    notices : Notices
        Are told what happens.
    probe : callable
        Asks the board for its list once, which also measures its clock.
    measure : callable
        Probes until the clock is known, or that takes too long.
    plans : sequence of StreamPlan
        What to stream.
    windows : Windows
        SCHEDULE only: when each variable streams.
    periods : mapping of str to int
        Period in ticks of each monitored variable.
    obeys_ticks : bool
        Whether the board begins and ends where it is told, as a recording does not: what that
        lacks before and after is no loss.
    """

    kind: DeliveryKind
    board: Board
    sink: Sink
    now: Callable[[], float]
    notices: Notices
    probe: Callable[[BoardClient], Awaitable[object]]
    measure: Callable[[BoardClient], Awaitable[object]]
    plans: Sequence[StreamPlan]
    windows: Windows = field(default_factory=Windows)
    periods: Mapping[str, int] = field(default_factory=dict)
    obeys_ticks: bool = True
    streams: tuple[LiveStream, ...] = ()
    running: bool = False
    ending: bool = False
    """Whether its end is set, on the board and here."""
    is_interrupted: bool = False
    """Whether it waits for :meth:`resume`."""
    gone: dict[str, Cause] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # what is wrong with it now, in words
    _routes: dict[tuple[int, bool], tuple[LiveStream, Variable]] = field(default_factory=dict)
    _surveyor: Surveyor = field(init=False)
    starts: dict[str, int] = field(default_factory=dict)
    _is_void: bool = False
    _begun_s: float = 0.0
    watchdog: Watchdog = field(default_factory=Watchdog)
    last_block_s: dict[str, float] = field(default_factory=dict)
    heard_s: float = -math.inf  # when the last message came on this connection, for whatever
    _announced: bool = False
    _anew_tick: int | None = None  # where a new boot began, until its trackers have begun, too

    def __post_init__(self) -> None:
        """Make the streams ready to take blocks."""
        self.streams = tuple(
            LiveStream(
                plan, self.sink, self.board.stamps, self.now, self._on_gap, self._on_stream_error
            )
            for plan in self.plans
        )
        self._surveyor = Surveyor(self.board, self.now, self.probe)
        self._find_variables()

    def _find_variables(self) -> None:
        """Find our variables in the board's list by their names: their numbers may be new."""
        self._routes.clear()
        self.gone.clear()
        listed = {variable.name: variable for variable in reachable(self.board.variables)}
        for stream in self.streams:
            monitored = stream.plan.mode is StreamMode.MONITOR
            for variable in stream.plan.variables:
                there = listed.get(variable.name)
                if there is None:
                    self.gone[variable.name] = Cause.VANISHED
                elif there.identity != variable.identity:
                    self.gone[variable.name] = Cause.RETYPED
                else:
                    self._routes[there.index, monitored] = stream, variable

    # ---- what it streams ------------------------------------------------------------------

    @property
    def watched(self) -> tuple[Variable, ...]:
        """Variables of which whole blocks come."""
        return tuple(v for _, v in self.members(StreamMode.DENSE, StreamMode.SPARSE))

    @property
    def monitored(self) -> tuple[Variable, ...]:
        """Variables of which single values come."""
        return tuple(variable for _, variable in self.members(StreamMode.MONITOR))

    def take(self, block: Block, arrived_s: float) -> bool:
        """Take a block when it belongs here.

        Returns
        -------
        bool
            Whether it did.
        """
        if self._surveyor.take(block):
            self.heard_s = arrived_s
            return True
        route = self._routes.get((block.variable.index, block.monitor))
        if route is None or not self.running:
            return False
        stream, variable = route
        if variable.identity != block.variable.identity:
            return False  # the board's list has changed since
        if self.board.is_from_the_future(block, arrived_s):
            self.board.counters.impossible_blocks += 1
            stream.missed_block(variable)
            return True
        self.last_block_s[block.variable.name] = self.heard_s = arrived_s
        tracker = stream.tracker_of(variable)
        repeated = tracker.repeated
        stream.add(block, self.board.possible_tick(arrived_s), arrived_s)
        self.board.counters.repeated_values += tracker.repeated - repeated
        self.board.add_arrival(last_tick(block, tracker.step_ticks), arrived_s)
        self._open_ready(stream)
        return True

    def missed_block(self, variable_index: int) -> None:
        """Learn that the header of a block came without its payload."""
        route = self._routes.get((variable_index, False))
        if route is not None and self.running:
            stream, variable = route
            stream.missed_block(variable)

    # ---- its beginning --------------------------------------------------------------------

    async def begin(self, client: BoardClient) -> None:
        """Start the streams on the board.

        Raises
        ------
        BoardError
            When the board does not do as it is told.
        """
        await self._free_watched(client)
        await self._surveyor.find_steps(client, self.watched)
        await self.measure(client)
        await self._watch(client, resumed=False)
        await self._monitor(client)
        self._begun_s = self.now()
        if self.kind is not DeliveryKind.SCHEDULE:
            self.notices.mark("started", self._begun_s)

    async def resume(self, client: BoardClient) -> None:
        """Go on after a reconnect or a restart; when that fails, it can be tried again.

        Parameters
        ----------
        client : BoardClient
            The connection, on which nothing is watched.
        """
        self.is_interrupted = False
        self._find_variables()
        for stream in self.streams:
            for variable in stream.plan.variables:
                if variable.name in self.gone:
                    stream.give_up(variable)
        if self.ending:
            return  # nothing more is to come
        if self._anew_tick is not None:
            await self._surveyor.find_steps(client, self.watched)
            self._begin_watched(self._anew_tick)
            for stream in self.streams:
                stream.interrupted()
        self._anew_tick = None
        await self._watch(client, resumed=True)
        await self._monitor(client)

    async def _free_watched(self, client: BoardClient) -> None:
        """End what others left watched: a second watch would lose a block in mid-stream."""
        stale = [v.name for v in self.board.find({v.name for v in self.watched}) if v.watched]
        if not stale:
            return
        await client.send(unwatch_command(stale))
        for name in await client.still_watched(stale, _CONFIRM_S):
            logger.warning("%s: still watched by an earlier client till its next value", name)

    async def ask_again(self, client: BoardClient, names: Sequence[str]) -> None:
        """Watch or monitor variables once more, which somebody else has ended, or nobody begun."""
        monitored = [v.name for v in self.monitored if v.name in names]
        watched = [v.name for v in self.watched if v.name in names]
        if monitored:
            await client.send(monitor_command(monitored, [self.periods[n] for n in monitored]))
        if watched:
            soon = self.board.tick_at(self.now() + LEAD_S)
            await client.send(self._watch_command(watched, dict.fromkeys(watched, soon)))
        self.watchdog.asked(names, self.now(), again=True)

    def is_due(self, name: str) -> bool:
        """Tell whether something of a watched variable should come now, for all that is known."""
        window = self.windows.get(name)
        rate_hz = self.board.clock.tick_rate_hz if self.board.clock is not None else math.nan
        opening = _OPENING_S * rate_hz
        return window is None or window.first_tick + opening < self.board.tick < window.last_tick

    async def _watch(self, client: BoardClient, *, resumed: bool) -> None:
        names = [variable.name for variable in self.watched]
        if not names:
            self.running = True
            return
        # A start at one tick aligns all variables, and makes even a lost first block show.
        soon = self.board.tick_at(self.now() + LEAD_S)
        ready = self.board.ready and self.obeys_ticks
        starts = {name: soon for name in names}
        for name, window in self.windows.items():
            starts[name] = max(soon, window.first_tick)
        self.starts = starts
        if resumed:
            self._resume_trackers(starts)
        else:
            self._begin_trackers(starts if ready else None)
        self.running = True
        await client.send(self._watch_command(names, starts if ready or self.windows else None))
        self.watchdog.asked(names, self.now())
        await self.probe(client)  # its reply says that the board has read the command
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            if ready and self.board.tick < starts[variable.name]:
                stream.tracker_of(variable).confirm_start()
        # Not before: to make outlets takes longer than the lead of the start.
        self._open_ready(*self.streams)

    def _begin_watched(self, tick: int) -> None:
        self._begin_trackers(dict.fromkeys((v.name for v in self.watched), tick))

    def _begin_trackers(self, starts: Mapping[str, int] | None) -> None:
        """Have all trackers begin at their start; when there is none, with the next block."""
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            tracker, window = stream.tracker_of(variable), self.windows.get(variable.name)
            tracker.begin(
                first_tick=starts[variable.name] if starts is not None else None,
                last_tick=window.last_tick if window is not None else None,
                step_ticks=self.board.steps.get(variable.name),
            )
            if starts is None:
                tracker.resume(self.board.tick)

    def _resume_trackers(self, starts: Mapping[str, int]) -> None:
        """Have all trackers go on at their start: what is missing before it is lost."""
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            stream.tracker_of(variable).resume(starts[variable.name])

    def _watch_command(self, names: Sequence[str], starts: Mapping[str, int] | None) -> Json:
        if starts is None:
            return watch_command(names)
        if not self.windows:
            return watch_command(names, [starts[name] for name in names])
        return watch_command(*self.windows.to_watch(names, starts))

    async def _monitor(self, client: BoardClient) -> None:
        names = [variable.name for variable in self.monitored]
        for stream, variable in self.members(StreamMode.MONITOR):
            stream.tracker_of(variable).begin(first_tick=self.board.tick)
        self.running = True
        self._open_ready(*self.streams)
        if names:
            await client.send(monitor_command(names, [self.periods[name] for name in names]))
            self.watchdog.asked(names, self.now())
            await self.probe(client)  # its reply says that the board has read the command

    def members(self, *modes: StreamMode) -> Iterable[tuple[LiveStream, Variable]]:
        """Give the variables of some modes that the board has, and their streams."""
        for stream in self.streams:
            if stream.plan.mode in modes:
                for variable in stream.plan.variables:
                    if variable.name not in self.gone:
                        yield stream, variable

    def _open_ready(self, *streams: LiveStream) -> None:
        """Open streams of which the nominal rate is known, or will not be known any better."""
        if not self.board.ready:
            return
        waited = self._begun_s > 0 and self.now() > self._begun_s + _RATE_PATIENCE_S
        settled = self.board.rate_settled or waited
        for stream in streams:
            if stream.facts is not None:
                stream.release()
                continue
            dense = stream.plan.mode is StreamMode.DENSE
            if not dense or (settled and stream.step_ticks is not None):
                stream.open(self.board.facts(stream.plan, stream.step_ticks))

    # ---- its course -----------------------------------------------------------------------

    def progress(self) -> bool:
        """Do what is due; call it some times a second.

        Returns
        -------
        bool
            Whether :meth:`end` is due: a schedule has come to its end, or no sink takes any more.
        """
        self._open_ready(*self.streams)
        if all(stream.broken for stream in self.streams):
            return True
        if self.kind is not DeliveryKind.SCHEDULE or not self.windows or not self.board.ready:
            return False
        now_s = self.now()
        self._announce(now_s)
        finished = all(stream.finished for stream in self.streams)
        late = self.is_over and now_s > self._last_s() + GRACE_S
        return self._announced and (finished or late)

    @property
    def has_begun(self) -> bool:
        """Whether the board may have begun by now: a schedule begins in its own time."""
        return not (self.windows and self.board.ready) or self.now() >= self._first_s()

    @property
    def is_over(self) -> bool:
        """Whether the board has come to the end of a schedule."""
        return bool(self.windows) and self.board.tick >= self.windows.last_tick

    def _announce(self, now_s: float) -> None:
        """Tell that a schedule has begun, once, as soon as it has."""
        if self._announced or not self.windows or not self.board.ready:
            return
        if now_s >= self._first_s():
            self._announced = True
            self.notices.mark("schedule_started", self._first_s())

    def _is_completed(self) -> bool:
        """Tell whether a schedule has come to its end by itself."""
        if self.kind is not DeliveryKind.SCHEDULE or not self._announced or self._is_void:
            return False
        return self.is_over or all(stream.finished for stream in self.streams)

    def _first_s(self) -> float:
        return self.board.time_at(self.windows.first_tick)

    def _last_s(self) -> float:
        return self.board.time_at(self.windows.last_tick)

    # ---- its end --------------------------------------------------------------------------

    @property
    def unfinished(self) -> list[str]:
        """Watched variables of which the last block has not come."""
        members = self.members(StreamMode.DENSE, StreamMode.SPARSE)
        return [v.name for stream, v in members if not stream.tracker_of(v).finished]

    def set_ends(self, last_tick: int, watched: Container[str]) -> None:
        """Learn that the board is being told to stop, if its clock is known.

        Parameters
        ----------
        last_tick : int
            The tick that it is told.
        watched : container of str
            Variables that it has called watched until now.
        """
        self.ending = self.board.ready
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            window = self.windows.get(variable.name)
            if window is not None and window.first_tick > last_tick:
                # Cancelled: nothing is missing, and what the board says to it is not of the stream.
                stream.tracker_of(variable).begin()
                stream.tracker_of(variable).resume(window.first_tick)
            elif self.board.ready:
                came = variable.name in self.last_block_s
                if came and variable.name not in watched and not variable.sparse:
                    # Somebody else ended it before, at a tick that nobody knows.
                    stream.interrupted_in(variable)
                if window is None or last_tick < window.last_tick:
                    stream.end_at(variable, last_tick, next_too=True)
                else:
                    stream.end_at(variable, window.last_tick)

    def interrupted(self) -> None:
        """Learn that the connection ended."""
        self.is_interrupted = True
        self.problems = ()
        self.last_block_s.clear()
        self.heard_s = -math.inf
        self._routes.clear()  # until it is known which numbers our variables have now
        for stream in self.streams:
            stream.interrupted()

    def cut(self, last_tick: int, names: Container[str] | None = None) -> None:
        """Learn that nothing later comes than a tick, the last that certainly happened.

        Parameters
        ----------
        last_tick : int
            That tick.
        names : container of str, optional
            Of which variables; by default of all.
        """
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            if names is not None and variable.name not in names:
                continue
            end_tick = stream.tracker_of(variable).end_tick
            stream.end_at(variable, last_tick if end_tick is None else min(last_tick, end_tick))

    def begin_anew(self, last_tick: int, first_tick: int) -> None:
        """Learn that the board restarted.

        Parameters
        ----------
        last_tick : int
            The last tick that certainly happened before.
        first_tick : int
            The first one that is known since.
        """
        if self._anew_tick is not None:  # in the boot in between nothing has begun
            self._begin_watched(self._anew_tick)
        self._anew_tick = first_tick
        self._begun_s = self.now()
        self.interrupted()
        self.cut(last_tick)
        self._is_void = self.kind is DeliveryKind.SCHEDULE  # its ticks will not come again
        for stream in self.streams:
            stream.begin_anew()

    def finish(self) -> None:
        """Deliver what is held as far as it is certain; nothing more comes."""
        if self.running:
            self._announce(self.now())  # it may have begun since the last look
            completed = self._is_completed()
            self.running = False
            for stream, variable in () if self._is_void else self.members(StreamMode.DENSE):
                if (step := stream.step_of(variable)) is not None:
                    self.board.steps[variable.name] = step  # so that the next run has it at once
            for stream in self.streams:
                stream.settle()
                if stream.facts is None and stream.is_waiting and self.board.ready:
                    stream.open(self.board.facts(stream.plan, stream.step_ticks))
                stream.flush()
            ended_s = self.now()
            if completed:
                self.notices.mark("schedule_finished", min(self._last_s(), ended_s))
            else:
                self.notices.mark("stopped", ended_s)

    def _on_stream_error(self, plan: StreamPlan, error: Exception) -> None:
        self.notices.tell(f"{plan.name}: {str(error) or type(error).__name__}", cause=error)

    def _on_gap(self, variable: Variable, gap: Gap) -> None:
        if gap.reason is GapReason.UNKNOWN_END:
            return  # zeros that are padding, as far as anybody can tell
        self.notices.gap(variable.name, gap.n_values, self.board.time_at(gap.first_tick))
