"""State of the board: variables, clock, counters, stamps of ticks, ``StreamFacts`` of streams."""

from __future__ import annotations

import math
import uuid
from collections.abc import Container
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bela_module.clock.announced_rate import simple_rate_hz
from bela_module.clock.device_clock import DeviceClock
from bela_module.clock.misfits import ProbeVerdict
from bela_module.clock.timeline import Timeline
from bela_module.connection.client_records import ListReply
from bela_module.protocol.control_channel import VariableList
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder
from bela_module.protocol.variables import Ticks, Variable, same_variables
from bela_module.session.board.clock_sample import ClockSample
from bela_module.session.board.monitor_periods import MonitorPeriods
from bela_module.session.board.one_read import OneRead, last_ticks
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan

_FUTURE_S: Final = 1.0  # beyond all doubt of the clock
_RATE_DOUBT: Final = 0.03  # as long as the rate is not settled
_BEHIND_S: Final = 1.0  # after a reconnect: no clock drifts so far
_FASTER: Final = 2.1  # a rebuilt sketch may tick audio frames instead of analog ones


class BoardNews(StrEnum):
    """What a reply to ``list`` says that was not so before."""

    NOTHING = "nothing"
    RESTARTED = "the board restarted: its tick counter was reset"


@dataclass(slots=True)
class BoardCounters:
    """Counts that outlive a connection."""

    foreign_blocks: int = 0
    impossible_blocks: int = 0
    repeated_values: int = 0
    bad_replies: int = 0
    reconnects: int = 0
    restarts: int = 0


@dataclass(slots=True)
class BoardState:
    """What is known of the board; it outlives connections.

    Parameters
    ----------
    name : str
        What the streams' identity calls it.
    input_delay_s : float
        Known delay of its converters, subtracted from all stamps.
    instance : str
        Tells this session from others, whose boards may have the same name.
    """

    name: str
    input_delay_s: float = 0.0
    instance: str = field(default_factory=lambda: uuid.uuid4().hex)
    address: str = ""  # ws://host:port, as this computer knows it
    project: str = ""
    variables: tuple[Variable, ...] = ()
    declared_rate_hz: float = math.nan
    tick: int = 0
    ended_tick: int = 0
    """The last tick that is known to have happened before the latest restart."""
    began_tick: int = 0
    """The first tick that is known since."""
    _asked_s: float = -math.inf
    """When the list was asked for to which the latest reply came."""
    reconnecting: bool = False
    """Whether the connection was lost since the last reply."""
    clock: DeviceClock | None = None
    timeline: Timeline = field(default_factory=Timeline)
    decoder: DataDecoder = field(default_factory=DataDecoder)
    counters: BoardCounters = field(default_factory=BoardCounters)
    _rate_told: int = 0
    _stated_s: float = 0.0
    _by_name: dict[str, Variable] = field(default_factory=dict)
    _read: OneRead = field(default_factory=OneRead)
    steps: dict[str, float] = field(default_factory=dict)
    """Ticks between two values of a dense variable, by its name, as far as known."""
    surveyed: dict[str, int] = field(default_factory=dict)
    """Ticks between assignments by monitors, at each of which several values may come."""
    slow: dict[str, int] = field(default_factory=dict)
    """Ticks between values of dense variables whose step is not known, but which are slow."""
    silent: set[str] = field(default_factory=set)
    """Those of them of which no two values were seen: they may be fast at any time."""
    pausing: set[str] = field(default_factory=set)
    """Dense variables that are regular, but were not assigned all the time."""
    proven: set[str] = field(default_factory=set)
    """Variables of which blocks have shown that they have this step, and always."""
    announced_hz: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Nominal rate with which the outlet of each stream was opened, by its name and labels."""
    rates_hz: dict[str, float] = field(default_factory=dict)
    """Values a second of variables that came singly and were too fast for it."""
    too_close: set[str] = field(default_factory=set)
    """Variables that were seen assigned less than two ticks apart."""
    monitors: MonitorPeriods = field(default_factory=MonitorPeriods)
    """What the board was told to monitor."""
    ending: set[str] = field(default_factory=set)
    """Variables whose watch we have ended, as far as the board calls them watched still."""
    foreign_names: set[str] = field(default_factory=set)
    """Variables of which blocks came that nothing here wanted."""

    def note_step(self, name: str, step_ticks: float, spacing_ticks: int, *, proven: bool) -> None:
        """Keep what a survey has found: ticks from value to value, and from tick to tick with any.

        `proven` tells whether blocks have shown the step.
        """
        self.steps[name] = step_ticks
        self.surveyed[name] = spacing_ticks
        if proven:
            self.proven.add(name)
        if step_ticks < spacing_ticks:
            self.too_close.add(name)

    def take_reply(self, reply: ListReply, project: str) -> BoardNews:
        """Take in a reply to ``list``: variables, state and one more bound for the clock.

        Returns
        -------
        BoardNews
            Whether the board has restarted since the last reply.
        """
        listed = reply.variable_list
        self._read = OneRead()
        news = BoardNews.NOTHING
        clock, last_tick = self.clock, self.tick
        if clock is None or self._is_another(listed, project) or self._is_behind(reply, clock):
            if clock is not None:
                news = BoardNews.RESTARTED
            if self._is_another(listed, project):
                self.announced_hz.clear()
            clock = self._new_clock(listed)
        elif self.reconnecting and not clock.ready:
            # The little that was known before may be of another boot.
            if listed.tick < last_tick - listed.tick_granularity:
                news = BoardNews.RESTARTED
            generation = clock.generation
            clock = self._new_clock(listed)
            if news is BoardNews.NOTHING:
                clock.generation = generation
        self._asked_s = reply.sent_s
        self.project = project
        self.variables = listed.variables
        self._by_name = {variable.name: variable for variable in reversed(listed.variables)}
        self.declared_rate_hz = listed.sample_rate_hz
        self.tick = listed.tick
        self.decoder.describe(listed.variables)
        monitored = {v.name for v in listed.variables if v.monitor_period_ticks}
        self.monitors.note_listed(monitored, reply.received_s)
        self.ending.intersection_update(v.name for v in listed.variables if v.watched)
        times_s, proven = (reply.sent_s, reply.received_s), reply.is_proven
        verdict = clock.add_probe(*times_s, listed.tick, listed.tick_granularity, is_proven=proven)
        if verdict is ProbeVerdict.RESTARTED:
            news = BoardNews.RESTARTED
            self._forget_variables()
        if clock.ready:
            self.timeline.steer(clock, listed.tick)
            self._note_stated()
        self.reconnecting = False
        if news is BoardNews.RESTARTED:
            self.ended_tick, self.began_tick = last_tick, listed.tick
            self.counters.restarts += 1
        return news

    def suggests_restart(self, reply: ListReply, project: str) -> bool:
        """Tell whether a reply suggests a restart of the board, which a second one must confirm."""
        if self.clock is None:
            return False
        listed = reply.variable_list
        back = listed.tick < self.tick - listed.tick_granularity
        return back or self._is_another(listed, project)

    def _is_another(self, listed: VariableList, project: str) -> bool:
        return (
            project != self.project
            or listed.sample_rate_hz != self.declared_rate_hz
            or not same_variables(listed.variables, self.variables)
        )

    def _is_behind(self, reply: ListReply, clock: DeviceClock) -> bool:
        """Tell whether ticks are missing after a connection was lost: the board has restarted.

        Its ticks may by then be later than the last one that was seen. A board that has counted
        further than it could have since the last reply has not: its ticks stood still meanwhile.
        """
        if not (self.reconnecting and clock.ready):
            return False
        tick = reply.variable_list.tick
        most = _FASTER * clock.tick_rate_hz * (reply.received_s - self._asked_s)
        behind = clock.tick_at(reply.sent_s) - tick
        return behind > _BEHIND_S * clock.tick_rate_hz and tick <= most

    def _new_clock(self, listed: VariableList) -> DeviceClock:
        generation = self.clock.generation if self.clock is not None else 0
        self.clock = DeviceClock(listed.sample_rate_hz)
        self.clock.generation += generation
        self._forget_variables()
        return self.clock

    def _forget_variables(self) -> None:
        """Forget what was known of variables before a restart."""
        self.steps.clear()
        self.surveyed.clear()
        self.slow.clear()
        self.silent.clear()
        self.pausing.clear()
        self.proven.clear()
        self.rates_hz.clear()
        self.too_close.clear()
        self.monitors.forget()
        self.ending.clear()

    def note_foreign(self, block: Block) -> None:
        """Count a block that nothing here wants."""
        self.counters.foreign_blocks += 1
        self.foreign_names.add(block.variable.name)

    def watched_by_others(self, ours: Container[str]) -> tuple[str, ...]:
        """Return the names of variables that are watched, and not by us."""
        return tuple(
            variable.name
            for variable in self.variables
            if variable.watched and variable.name not in ours and variable.name not in self.ending
        )

    def monitored_by_others(self, ours: Container[str]) -> tuple[str, ...]:
        """Return the names of variables that are monitored, and not by us.

        Their single values go to every client of the board.
        """
        return tuple(
            variable.name
            for variable in self.variables
            if not self.monitors.is_ours(variable.name, variable.monitor_period_ticks)
            and variable.name not in ours
        )

    @property
    def ready(self) -> bool:
        """Whether samples can be stamped."""
        return self.clock is not None and self.clock.ready and self.timeline.started

    def rate_mismatch_warning(self) -> str | None:
        """Give a warning, once a boot, when the board ticks at another rate than declared."""
        clock = self.clock
        if clock is None or not self.rate_settled or self._rate_told == clock.generation:
            return None
        self._rate_told = clock.generation
        if math.isclose(clock.snapped_rate_hz, self.declared_rate_hz, rel_tol=1e-6):
            return None
        return (
            f"the board ticks {clock.snapped_rate_hz:g} times a second, though its sketch declares "
            f"{self.declared_rate_hz:g}; streams and durations follow the ticks"
        )

    @property
    def rate_settled(self) -> bool:
        """Whether the tick rate is known well enough to announce it."""
        return self.ready and self.clock is not None and self.clock.rate_settled

    @property
    def nominal_rate_hz(self) -> float:
        """The rate by which durations are counted: while it is not settled, the likely one."""
        if self.clock is None or not self.clock.ready:
            return math.nan
        if not self.clock.rate_settled:
            measured_hz = self.clock.tick_rate_hz
            around_hz = (measured_hz * (1 - _RATE_DOUBT), measured_hz * (1 + _RATE_DOUBT))
            if likely_hz := simple_rate_hz(self.declared_rate_hz, around_hz):
                return likely_hz
        return self.clock.snapped_rate_hz

    @property
    def next_probe_in_s(self) -> float:
        """How long to wait before the next probe."""
        return self.clock.next_probe_in_s if self.clock is not None else 0.0

    def tick_at(self, lsl_s: float) -> int:
        """Return the first tick at or after an LSL time."""
        if self.clock is None or not self.clock.ready:
            return self.tick
        return max(0, math.ceil(self.clock.tick_at(lsl_s)))

    def ticks_in(self, duration_s: float) -> float:
        """Return how many ticks a time has, roughly."""
        rate_hz = self.clock.tick_rate_hz if self.clock is not None else self.declared_rate_hz
        return duration_s * rate_hz

    def time_at(self, tick: int) -> float:
        """Return the LSL time of a tick as it would be stamped, without settling it.

        While the clock of a new boot is not known, this is about the boot before, until
        :meth:`forget_times`; NaN when nothing is known.
        """
        if self.clock is None or not self.clock.ready:
            return self.timeline.time_at(tick) - self.input_delay_s
        return float(self.clock.time_at(tick)) - self.input_delay_s

    def forget_times(self) -> None:
        """Forget when the ticks of the boot before happened: all of it is accounted for."""
        self.timeline.reset()

    def possible_tick(self, lsl_s: float) -> float:
        """Return the latest tick that can have happened by an LSL time."""
        if self._read.arrived_s != lsl_s:
            ready = self.clock is not None and self.clock.ready
            possible = self.clock.latest_possible_tick(lsl_s) if self.clock and ready else math.inf
            self._read = OneRead(lsl_s, possible)
        return self._read.possible_tick

    def is_from_the_future(self, block: Block, possible_tick: float) -> bool:
        """Tell whether a block's tick is beyond what is possible: then it is corrupt."""
        if block.tick <= possible_tick or self.clock is None:
            return False
        return block.tick > possible_tick + self.clock.tick_rate_hz * _FUTURE_S

    def add_arrival(self, block: Block, step_ticks: float | None, arrived_s: float) -> None:
        """Take in that the ticks of a block had happened by the time it arrived.

        Of the blocks of one read, which came at one time, only later ticks tell more.
        """
        if self.clock is None:
            return
        proven_tick, presumed_tick = last_ticks(block, step_ticks)
        if self._read.arrived_s == arrived_s and not self._read.takes(proven_tick, presumed_tick):
            return
        if self.clock.add_arrival(proven_tick, arrived_s) and self.clock.ready:
            self.timeline.steer(self.clock, proven_tick)
            self._read = OneRead()
        if presumed_tick is not None:
            self.clock.note_delay(presumed_tick, arrived_s)
            if self.ready:
                self.timeline.compare(self.clock, presumed_tick)
        self._note_stated()

    def _note_stated(self) -> None:
        self._stated_s = max(self._stated_s, self.uncertainty_s)

    def take_clock_sample(self, unix_at_lsl_zero_s: float) -> tuple[float, ClockSample] | None:
        """Return what is known of the clock at the latest tick, and that tick's stamp.

        Parameters
        ----------
        unix_at_lsl_zero_s : float
            The wall clock's reading, in seconds since 1970, when LSL's clock was 0.

        Returns
        -------
        tuple of float and ClockSample, or None
            LSL seconds, and the sample, whose uncertainty covers all since the call before;
            ``None`` as long as the clock is not known.
        """
        clock = self.clock
        if clock is None or not self.ready:
            return None
        self._note_stated()
        stated_s, self._stated_s = self._stated_s, 0.0
        # not settled: before the first block the clock may know much less than with it
        stamp_s = self.timeline.time_at(self.tick) - self.input_delay_s
        unix_s = stamp_s + unix_at_lsl_zero_s
        return stamp_s, ClockSample(
            self.tick, stated_s, clock.tick_rate_hz, clock.drift_ppm, clock.rtt_s, unix_s
        )

    def stamps(self, ticks: Ticks) -> Stamps:
        """Return the stamp of each tick, which is settled from now on."""
        stamps_s: Stamps = self.timeline.stamps_s(ticks)
        return stamps_s - self.input_delay_s if self.input_delay_s else stamps_s

    def origin(self) -> Origin:
        """Collect what identifies and describes the board."""
        return Origin(
            self.name,
            self.project,
            tick_rate_hz=self.clock.tick_rate_hz if self.clock is not None else math.nan,
            declared_rate_hz=self.declared_rate_hz,
            uncertainty_s=self.uncertainty_s,
            input_delay_s=self.input_delay_s,
            instance=self.instance,
            address=self.address,
        )

    def facts(self, plan: StreamPlan, step_ticks: float | None) -> StreamFacts:
        """Collect what an outlet's metadata say, with the step if it is proven, to open it.

        A stream that was opened without stays irregular: see ``StreamFacts.keep_rate``.
        """
        if plan.mode is not StreamMode.DENSE:
            return StreamFacts(self.origin(), 0.0)
        configured_hz = plan.settings.nominal_rate_hz if plan.settings is not None else None
        measured_hz = self.nominal_rate_hz / step_ticks if step_ticks else 0.0
        facts = StreamFacts(self.origin(), configured_hz or measured_hz)
        key = (plan.name, *plan.labels)
        if not configured_hz and (before_hz := self.announced_hz.get(key)) is not None:
            facts = facts.keep_rate(before_hz)
        self.announced_hz[key] = facts.nominal_rate_hz
        return facts

    @property
    def uncertainty_s(self) -> float:
        """How far a stamp can be from the truth."""
        if self.clock is None or not self.ready:
            return math.inf
        timeline = self.timeline
        return timeline.correction_s + timeline.unplaced_s + self.clock.uncertainty_s

    def monitor_period_of(self, name: str) -> int:
        """Return the period of a variable's monitor, in ticks, as last listed; 0 for none."""
        return one.monitor_period_ticks if (one := self._by_name.get(name)) is not None else 0

    @property
    def is_off(self) -> bool:
        """Whether the latest replies contradict the clock by more than it could drift."""
        return self.ready and self.uncertainty_s - self.timeline.unplaced_s > _BEHIND_S

    def find(self, names: Container[str]) -> tuple[Variable, ...]:
        """Return the variables of some names that the board still has."""
        return tuple(variable for variable in self.variables if variable.name in names)
