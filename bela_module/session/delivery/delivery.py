"""A delivery: the streams of one START, SCHEDULE or MONITOR, their blocks, gaps and end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from weakref import proxy

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable
from bela_module.session.board.board_state import BoardState
from bela_module.session.board.monitor_periods import MonitorUse
from bela_module.session.board.prober import Prober
from bela_module.session.delivery.block_router import BlockRouter
from bela_module.session.delivery.prompt_state import PromptState
from bela_module.session.delivery.schedule import Schedule
from bela_module.session.delivery.states import (
    INTERRUPTED,
    RESUMED,
    DeliveryState,
    delivery_state_machine,
)
from bela_module.session.delivery.step_surveyor import StepSurveyor
from bela_module.session.delivery.steps import keep_steps, proven_step, settle, tell_spacing
from bela_module.session.delivery.time_limits import STEP_FROM_BLOCKS_S, STEP_FROM_RECORDED_BLOCKS_S
from bela_module.session.delivery.watchdog import Watchdog
from bela_module.session.notices import Notices
from bela_module.state_machine import StateMachine
from bela_module.streams.live_stream import MAX_HELD_BYTES, LiveStream
from bela_module.streams.sink import Sink, StreamFacts
from bela_module.streams.states import StreamState
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.tracking.regular_ticks import RegularTicks
from bela_module.tracking.runs import Gap, GapReason
from bela_module.tracking.single_values import Transport
from bela_module.tracking.sparse_tracker import MonitorTracker

_STARTING = (DeliveryState.STARTING, DeliveryState.STARTING_INTERRUPTED)
_STREAMING = (DeliveryState.STREAMING, DeliveryState.STREAMING_INTERRUPTED)
_ENDING = (DeliveryState.ENDING, DeliveryState.ENDING_INTERRUPTED)
_TAKING = (*_STREAMING, *_ENDING)


class DeliveryKind(StrEnum):
    """What was commanded."""

    START = "START"
    SCHEDULE = "SCHEDULE"
    MONITOR = "MONITOR"


@dataclass(slots=True, eq=False, weakref_slot=True)
class Delivery:
    """A set of streams that begin and end together, in a sink, on one board."""

    kind: DeliveryKind
    board: BoardState
    sink: Sink
    notices: Notices
    prober: Prober
    surveyor: StepSurveyor
    plans: Sequence[StreamPlan]
    schedule: Schedule
    """When each variable streams; only a SCHEDULE's has windows."""
    periods: Mapping[str, int] = field(default_factory=dict)
    """Period in ticks of each monitored variable."""
    delay_s: float = 0.0
    """When a START begins, from its command on."""
    facts: Mapping[str, StreamFacts] = field(default_factory=dict)
    """What is known of the streams whose outlets are open already, by their names."""
    obeys_ticks: bool = True
    """Whether the board begins and ends where it is told; what a recording lacks is no loss."""
    prompt: PromptState = field(default_factory=PromptState)
    """Whether values may come one by one."""
    problems: tuple[str, ...] = ()  # what is wrong with it now, in words
    starts: dict[str, int] = field(default_factory=dict)  # the tick that each was asked from
    withheld: Counter[str] = field(default_factory=Counter)  # as nobody can tell their times
    unstamped: Counter[str] = field(default_factory=Counter)  # as ticks do not follow time
    kept_back: Counter[str] = field(default_factory=Counter)  # at most, by the board at the end
    restarted: Counter[str] = field(default_factory=Counter)
    """How often a block of each variable began where none should."""
    restart_tick: int | None = None
    """Where a new boot of the board began, until the trackers have begun there, too."""
    begun_s: float = 0.0
    is_stopping: bool = False  # the board was told to: what comes may be padded
    now: Callable[[], float] = field(init=False)
    streams: tuple[LiveStream, ...] = field(init=False)
    machine: StateMachine[DeliveryState] = field(default_factory=delivery_state_machine)
    router: BlockRouter = field(default_factory=BlockRouter)
    watchdog: Watchdog = field(default_factory=Watchdog)

    def __post_init__(self) -> None:
        """Make the streams ready to take blocks."""
        self.now = self.prober.now
        me = proxy(self)  # so that it is freed at once, not by a full garbage collection
        told = partial(Delivery._on_gap, me), partial(Delivery._on_stream_error, me)
        shared = self.sink, self.board.stamps, self.now, *told
        limits = MAX_HELD_BYTES // len(self.plans), RegularTicks()
        self.streams = tuple(LiveStream(plan, *shared, *limits) for plan in self.plans)
        self.router.find_variables(self.streams, self.board.variables)

    # ---- its state ------------------------------------------------------------------------

    @property
    def is_streaming(self) -> bool:
        """Whether the board was told to stream, and not yet to end."""
        return self.machine.state in _STREAMING

    @property
    def is_ending(self) -> bool:
        """Whether its end is set, on the board and here."""
        return self.machine.state in _ENDING

    @property
    def is_interrupted(self) -> bool:
        """Whether it waits to be resumed."""
        return self.machine.state in RESUMED

    @property
    def takes_blocks(self) -> bool:
        """Whether blocks belong to it."""
        return self.machine.state in _TAKING

    # ---- what it streams ------------------------------------------------------------------

    def members(self, *modes: StreamMode) -> Iterable[tuple[LiveStream, Variable]]:
        """Give the variables of some modes that the board has, and their streams."""
        for stream in self.streams:
            if stream.plan.mode in modes:
                for variable in stream.plan.variables:
                    if variable.name not in self.router.missing:
                        yield stream, variable

    @property
    def watched(self) -> tuple[Variable, ...]:
        """Variables of which whole blocks come."""
        return tuple(v for _, v in self.members(StreamMode.DENSE, StreamMode.SPARSE))

    @property
    def monitored(self) -> tuple[Variable, ...]:
        """Variables of which single values come."""
        return tuple(variable for _, variable in self.members(StreamMode.MONITOR))

    @property
    def unfinished(self) -> list[str]:
        """Watched variables of which the last block has not come."""
        members = self.members(StreamMode.DENSE, StreamMode.SPARSE)
        return [v.name for stream, v in members if not stream.tracker_of(v).finished]

    @property
    def all_problems(self) -> tuple[str, ...]:
        """What is wrong with it now, and which streams the sink does not take, in words."""
        failed = (stream for stream in self.streams if stream.state is StreamState.FAILED)
        return (*self.problems, *(f"{stream.plan.name}: {stream.error}" for stream in failed))

    # ---- blocks ---------------------------------------------------------------------------

    def take(self, block: Block, arrived_s: float) -> bool:
        """Take a block when it belongs here.

        Returns
        -------
        bool
            Whether it did.
        """
        route = self.router.route_of(block.variable.index, monitor=block.monitor)
        if route is None or self.machine.state not in _TAKING:
            return False
        stream, variable = route
        if not variable.is_same_as(block.variable):
            return False  # the board's list has changed since
        if (replies := self.prober.progress).stands_still:
            n_untaken = stream.give_unstamped(block, is_last=self.is_stopping)
            if not n_untaken:
                self.router.note_block(block, arrived_s, replies, self.watchdog)
                return True
            self.unstamped[variable.name] += n_untaken  # they wait: the ticks may have just begun
        tracker = stream.tracker_of(variable)
        if block.monitor and stream.plan.mode is not StreamMode.MONITOR:
            if tracker.transport is Transport.BLOCK:
                sieve = self.prompt.sieves.get(stream.plan.name)
                if sieve is None:
                    return variable.name in self.board.rates_hz  # on its way when we ended them
                sieve.add(block, arrived_s, tracker)
                self.router.note_heard(arrived_s)
                return True
            too_fast = self.prompt.count(stream.plan.name, arrived_s)
            if too_fast and not self.prompt.is_unwatched(variable.name):
                stream.ignore_singles()
                self.board.rates_hz[variable.name] = self.prompt.too_fast[stream.plan.name]
                return True
        possible_tick = self.board.possible_tick(arrived_s)
        if block.tick > possible_tick and self.board.is_from_the_future(block, possible_tick):
            self.board.counters.impossible_blocks += 1
            stream.missed_block(variable)
            return True
        if block.monitor and isinstance(tracker, MonitorTracker):
            prompt = self.board.monitors.is_wanted(variable.name, MonitorUse.PROMPT)
            tracker.decimation_ticks = self.periods[variable.name] if prompt else 0
        if silent_s := self.router.note_block(block, arrived_s, replies, self.watchdog):
            tracker.note_silence(self.board.ticks_in(silent_s))
        repeated = tracker.repeated
        stream.add(block, possible_tick, arrived_s)
        self.board.counters.repeated_values += tracker.repeated - repeated
        self.board.add_arrival(block, tracker.step_ticks, arrived_s)
        if stream.state is StreamState.UNOPENED:
            self.open_ready(stream)
        return True

    def missed_block(self, variable_index: int) -> None:
        """Learn that the header of a block came without its payload."""
        route = self.router.route_of(variable_index, monitor=False)
        if route is not None and self.takes_blocks:
            stream, variable = route
            stream.missed_block(variable)

    # ---- its beginning --------------------------------------------------------------------

    def begin_trackers(self, starts: Mapping[str, int] | None) -> None:
        """Have all trackers begin at their start; when there is none, with the next block."""
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            tracker = stream.tracker_of(variable)
            window = self.schedule.windows.get(variable.name)
            tracker.begin(
                first_tick=starts[variable.name] if starts is not None else None,
                last_tick=window.last_tick if window is not None else None,
                step_ticks=self.board.steps.get(variable.name),
            )
            tell_spacing(self.board, variable, tracker)
            if starts is None:
                tracker.resume(self.board.tick)

    def resume_trackers(self, starts: Mapping[str, int]) -> None:
        """Have all trackers go on at their start: what is missing before it is lost."""
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            stream.tracker_of(variable).resume(starts[variable.name])

    def begin_trackers_at(self, tick: int) -> None:
        """Have all trackers begin at one tick."""
        self.begin_trackers(dict.fromkeys((v.name for v in self.watched), tick))

    def streaming_begins(self) -> None:
        """Take blocks from now on: the board is about to be told to stream."""
        self.machine.move_to(DeliveryState.STREAMING)

    def open_prepared(self) -> None:
        """Go on with the outlets that are open already."""
        for stream in self.streams:
            if stream.facts is None and (facts := self.facts.get(stream.plan.name)) is not None:
                stream.open(facts)

    def open_ready(self, *streams: LiveStream) -> None:
        """Open streams of which the nominal rate is known, or will not be known any better."""
        if not self.board.ready:
            return
        waited = self.begun_s > 0 and self.now() > self.begun_s + self.step_limit_s
        for stream in streams:
            if stream.state is not StreamState.UNOPENED:
                continue
            step_ticks = proven_step(self.board, stream)
            if waited or step_ticks is not None or stream.plan.mode is not StreamMode.DENSE:
                stream.open(self.board.facts(stream.plan, step_ticks))

    # ---- its course -----------------------------------------------------------------------

    def progress(self) -> bool:
        """Do what is due; call it some times a second.

        Returns
        -------
        bool
            Whether its end is due: a schedule has come to its end, or no sink takes any more.
        """
        self.open_ready(*(s for s in self.streams if s.state is StreamState.UNOPENED))
        for stream in self.streams:
            stream.check_sink()
        if all(stream.state is StreamState.FAILED for stream in self.streams):
            return True
        if self.kind is not DeliveryKind.SCHEDULE or not self.board.ready:
            return False
        self.schedule.announce()
        return self.schedule.is_announced and (self.is_finished or self.schedule.is_late)

    @property
    def step_limit_s(self) -> float:
        """How long the steps of variables may take to show in their blocks."""
        return STEP_FROM_BLOCKS_S if self.obeys_ticks else STEP_FROM_RECORDED_BLOCKS_S

    @property
    def all_open(self) -> bool:
        """Whether each stream is open in the sink, or never will be."""
        return all(stream.state is not StreamState.UNOPENED for stream in self.streams)

    @property
    def all_visible(self) -> bool:
        """Whether others can find each stream that is open in the sink, or never will."""
        return all(s.is_visible for s in self.streams if s.state is not StreamState.UNOPENED)

    @property
    def is_finished(self) -> bool:
        """Whether the last block of each stream has come."""
        return all(stream.finished for stream in self.streams)

    def interrupt(self) -> None:
        """Learn that the connection ended, or that the board restarted."""
        state = self.machine.state
        self.machine.move_to(INTERRUPTED.get(state, state))
        self.problems = ()
        self.router.connection_lost()
        self.prompt.connection_lost()
        for stream in self.streams:
            stream.interrupted()

    def reconnected(self) -> None:
        """Learn that there is a connection again: find the variables on it."""
        state = self.machine.state
        self.machine.move_to(RESUMED.get(state, state))
        self.router.find_variables(self.streams, self.board.variables)
        for stream in self.streams:
            for variable in stream.plan.variables:
                if variable.name in self.router.missing:
                    stream.give_up(variable)

    def on_board_restart(self, last_tick: int, first_tick: int) -> None:
        """Learn that the board restarted.

        Parameters
        ----------
        last_tick : int
            The last tick that certainly happened before.
        first_tick : int
            The first one that is known since.
        """
        if self.restart_tick is not None:  # in the boot in between nothing has begun
            self.begin_trackers_at(self.restart_tick)
        self.restart_tick = first_tick
        self.begun_s = self.now()
        self.interrupt()
        self.cut(last_tick)
        self.schedule.is_void = self.kind is DeliveryKind.SCHEDULE
        for stream in self.streams:
            stream.on_board_restart()

    # ---- its end --------------------------------------------------------------------------

    def set_ends(self, last_tick: int, watched: Container[str]) -> None:
        """Learn that the board is being told to stop, if its clock is known.

        Parameters
        ----------
        last_tick : int
            The tick that it is told.
        watched : container of str
            Variables that it has called watched until now.
        """
        self.is_stopping = True
        if self.board.ready:
            self.machine.move_to(DeliveryState.ENDING)
        for stream, variable in self.members(StreamMode.DENSE, StreamMode.SPARSE):
            window = self.schedule.windows.get(variable.name)
            if window is not None and window.first_tick > last_tick:
                # Cancelled: nothing is missing, and what the board says to it is not of the stream.
                stream.tracker_of(variable).begin()
                stream.tracker_of(variable).resume(window.first_tick)
            elif self.board.ready:
                came = variable.name in self.router.last_block_s
                if came and variable.name not in watched and not variable.sparse:
                    # Somebody else ended it before, at a tick that nobody knows.
                    stream.interrupted_in(variable)
                if window is None or last_tick < window.last_tick:
                    stream.end_at(variable, last_tick, next_too=True)
                else:
                    stream.end_at(variable, window.last_tick)

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

    def finish(self) -> None:
        """Deliver what is held as far as it is certain; nothing more comes."""
        if not self.takes_blocks:
            self.machine.move_to(DeliveryState.ENDED)
            return
        self.schedule.announce()  # it may have begun since the last look
        completed = self._is_completed()
        self.machine.move_to(DeliveryState.ENDED)
        if not self.schedule.is_void:
            keep_steps(self.board, self.members(StreamMode.DENSE))
        for stream in self.streams:
            settle(self.board, stream)
        ended_s = self.now()
        if completed:
            self.notices.mark("schedule_finished", min(self.schedule.last_s, ended_s))
        else:
            self.notices.mark("stopped", ended_s)

    def _is_completed(self) -> bool:
        """Tell whether a schedule has come to its end by itself."""
        schedule = self.schedule
        if self.kind is not DeliveryKind.SCHEDULE or not schedule.is_announced or schedule.is_void:
            return False
        return schedule.is_over or self.is_finished

    def _on_stream_error(self, plan: StreamPlan, error: Exception) -> None:
        self.notices.tell(f"{plan.name}: {str(error) or type(error).__name__}", cause=error)

    def _on_gap(self, variable: Variable, gap: Gap) -> None:
        if gap.reason is GapReason.UNKNOWN_END:
            return  # zeros that are padding, as far as anybody can tell
        self.restarted[variable.name] += gap.reason is GapReason.RESTARTED
        if gap.reason is GapReason.UNKNOWN_STEP:
            self.withheld[variable.name] += gap.n_values
        self.notices.gap(variable.name, gap.n_values, self.board.time_at(gap.first_tick))
