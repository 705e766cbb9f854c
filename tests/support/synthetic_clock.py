"""A board's clock and the way to it, in synthetic time: what the clock is told, and the truth."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bela_module.clock.device_clock import DeviceClock
from bela_module.clock.misfits import ProbeVerdict
from bela_module.clock.timeline import Timeline

_LONGEST_RUN_S = 1000.0
_LOST_FOR_S = 1.0  # until a reply that is lost is given up
_LOOP_PERIOD_S = 0.1  # until a session asks again when to probe
_BLOCKS_AT_ONCE = 64  # whose true times are computed together


class Event(NamedTuple):
    """Something that reached the host: a probe's reply, or a block of which `tick` is the last."""

    at_s: float
    sent_s: float  # NaN for a block
    tick: int
    is_proven: bool = False
    is_block: bool = True  # or a reply to another client

    @property
    def is_probe(self) -> bool:
        return not math.isnan(self.sent_s)


@dataclass
class SyntheticLink:
    """A board whose ticks come in bursts, behind a network that delays.

    `jitter_s` is the mean of an exponential delay, `heavy_s` that of a log-normal one, as of a
    loaded board, up to 20 times the mean. Spikes delay single messages. Holds, about every
    `hold_every_s` and up to `hold_s` long, keep back all that comes meanwhile, as a wireless
    network does. A probe is lost with `loss_share`. Underruns, each of `underrun_s`, come every
    `underrun_every_s`: the ticks stand still and lag from then on. Every `late_every_s` the board
    renders late, by up to `late_s`, and catches up at once.
    """

    rate_hz: float = 44100.0
    drift_ppm: float = 0.0
    burst: int = 16
    jitter_s: float = 0.0
    heavy_s: float = 0.0
    spike_share: float = 0.0
    spike_s: float = 0.02
    hold_s: float = 0.0
    hold_every_s: float = 0.5
    loss_share: float = 0.0
    base_there_s: float = 0.0001
    base_back_s: float = 0.0001
    block_ticks: int = 1024
    start_s: float = 1000.0
    first_tick: int = 0
    thermal_ppm: float = 0.0
    thermal_period_s: float = 600.0
    underrun_s: float = 0.0
    underrun_every_s: float = 3.0
    underrun_from_s: float = 0.0
    late_s: float = 0.0
    late_every_s: float = 1.0
    seed: int = 1
    silence: tuple[float, float] = (np.inf, np.inf)
    proves: Callable[[], bool] = lambda: False
    """Whether a probe waits for a pong as well, before its reply counts."""
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._true_hz = self.rate_hz * (1 + self.drift_ppm * 1e-6)
        holds = np.random.default_rng(self.seed + 1)
        count = int(_LONGEST_RUN_S / self.hold_every_s)
        begins_s = self.start_s + np.cumsum(holds.exponential(self.hold_every_s, count))
        ends_s = begins_s + holds.uniform(0.0, self.hold_s, count) if self.hold_s else begins_s
        self._hold_begins_s = begins_s.tolist()
        self._hold_ends_s = np.maximum.accumulate(ends_s).tolist()
        late_begins_s = self.start_s + np.arange(0.0, _LONGEST_RUN_S, self.late_every_s)
        late_s = holds.uniform(0.0, self.late_s, len(late_begins_s))
        self._late_begins_s = late_begins_s.tolist()
        self._late_ends_s = (late_begins_s + late_s).tolist()

    def true_time_s(self, ticks: np.ndarray | int) -> np.ndarray:
        """When ticks happened, by the convention that a burst's last tick is at the burst."""
        plain_s = self._time_s(np.asarray(ticks) - self.first_tick)
        return plain_s + self._underruns(plain_s) * self.underrun_s

    def _underruns(self, plain_s: np.ndarray | float) -> np.ndarray:
        since_s = np.asarray(plain_s) - self.start_s - 1.0 - self.underrun_from_s
        return np.maximum(0.0, np.floor(since_s / self.underrun_every_s))

    def _time_s(self, since: np.ndarray | float) -> np.ndarray:
        elapsed_s = np.asarray(since) / self._true_hz
        if not self.thermal_ppm:
            return self.start_s + elapsed_s
        turn = 2 * np.pi / self.thermal_period_s
        bend_s = self.thermal_ppm * 1e-6 / turn * (1 - np.cos(turn * elapsed_s))
        return self.start_s + elapsed_s + bend_s

    def tick_by(self, at_s: float) -> int:
        """The tick that the board would tell at a time."""
        since, at_s = 0.0, self._rendering(at_s)[0]
        for _ in range(3):
            since += (at_s - float(self._time_s(since))) * self._true_hz
        tick = self.first_tick + int(since // self.burst) * self.burst
        while self.underrun_s and float(self.true_time_s(tick)) > at_s:
            tick -= self.burst
        return tick

    def _rendering(self, at_s: float) -> tuple[float, float]:
        """Until when the board has rendered by a time, and when what is due then is rendered."""
        late = bisect_right(self._late_begins_s, at_s) - 1 if self.late_s else -1
        if late < 0 or at_s >= self._late_ends_s[late]:
            return at_s, at_s
        return self._late_begins_s[late], self._late_ends_s[late]

    def _delay_s(self, base_s: float) -> float:
        delay = base_s
        if self.jitter_s:
            delay += self._rng.exponential(self.jitter_s)
        if self.heavy_s:
            delay += self.heavy_s * min(20.0, self._rng.lognormal(-0.5, 1.0))
        if self.spike_share and self._rng.random() < self.spike_share:
            delay += self.spike_s
        return delay

    def arrives_s(self, left_s: float, base_s: float) -> float:
        """When a message arrives that left at a time."""
        at_s = left_s + self._delay_s(base_s)
        hold = bisect_right(self._hold_begins_s, at_s) - 1
        return max(at_s, self._hold_ends_s[hold]) if hold >= 0 else at_s

    def probe(self, sent_s: float) -> Event:
        read_s = self.arrives_s(sent_s, self.base_there_s)
        return Event(self.arrives_s(read_s, self.base_back_s), sent_s, self.tick_by(read_s))

    def proven(self, probe: Event) -> tuple[Event, float]:
        """A probe whose pong comes when its reply is acknowledged, and when that is."""
        board_s = self.arrives_s(probe.at_s, self.base_there_s)
        pong_s = max(probe.at_s, self.arrives_s(board_s, self.base_back_s))
        return probe._replace(is_proven=True), pong_s

    def _blocks(self) -> Iterator[Event]:
        last, before_s = self.tick_by(self.start_s + 1.0), 0.0
        while self.block_ticks:
            lasts = [last + n * self.block_ticks for n in range(1, 1 + _BLOCKS_AT_ONCE)]
            first, burst = self.first_tick, self.burst
            over = np.array([first - (first - tick) // burst * burst for tick in lasts])
            for last, due_s in zip(lasts, self.true_time_s(over).tolist(), strict=True):
                sent_s = self._rendering(due_s)[1]
                at_s = max(before_s, self.arrives_s(sent_s, self.base_back_s))
                yield Event(at_s, math.nan, last)
                before_s = at_s

    def play(self, duration_s: float, next_probe_in_s: Callable[[], float]) -> Iterator[Event]:
        """Yield what arrives within a time, in order; the spacing is asked after each reply."""
        end_s = self.start_s + 1.0 + duration_s
        blocks = self._blocks()
        block = next(blocks, None)
        sent_s = self.start_s + 1.0
        while sent_s < end_s:
            while block is not None and block.at_s < sent_s:
                yield block
                sent_s = min(sent_s, block.at_s + _LOOP_PERIOD_S + next_probe_in_s())
                block = next(blocks, None)
            probe = self.probe(sent_s)
            done_s = probe.at_s
            if self.proves():
                probe, done_s = self.proven(probe)
            lost = bool(self.loss_share) and self._rng.random() < self.loss_share
            done_s = sent_s + _LOST_FOR_S if lost else done_s
            while block is not None and block.at_s < min(done_s, end_s):
                yield block
                block = next(blocks, None)
            silent = self.silence[0] <= sent_s - self.start_s - 1.0 < self.silence[1]
            if not (silent or lost):
                yield probe
            sent_s = max(done_s, (done_s if lost else probe.at_s) + next_probe_in_s())


@dataclass
class Record:
    """What a clock and a timeline made of a link: one entry per block that arrived.

    Without blocks there is one for each reply.
    """

    clock: DeviceClock
    timeline: Timeline
    verdicts: Counter[ProbeVerdict]
    since_s: np.ndarray  # arrival, in seconds since the first probe
    error_s: np.ndarray  # stamp minus truth
    clock_error_s: np.ndarray  # the clock's present estimate minus truth
    uncertainty_s: np.ndarray  # as stated for the stamp
    settled_s: float  # when the rate was said to be settled
    ready_s: float  # when stamps could begin
    ready_uncertainty_s: float  # what was stated then

    def late(self, since_s: float = 5.0) -> np.ndarray:
        """Absolute errors of the stamps after a time."""
        return np.abs(self.error_s[self.since_s > since_s])

    @property
    def share_inside(self) -> float:
        """How many of all stamps were as good as stated."""
        return float(np.mean(np.abs(self.error_s) <= self.uncertainty_s))


def record(
    link: SyntheticLink,
    duration_s: float = 60.0,
    declared_rate_hz: float = 44100.0,
    clock: DeviceClock | None = None,
    granularity: int = 1,
    held_s: float = 0.0,
) -> Record:
    """Play a link to a clock and a timeline as a session does, and compare with the truth.

    `held_s` is for how long the computer may hold back acknowledgements.
    """
    clock = clock or DeviceClock(declared_rate_hz)
    timeline = Timeline()
    verdicts: Counter[ProbeVerdict] = Counter()
    rows: list[tuple[float, float, float, float]] = []
    ticks: list[int] = []
    settled_s = ready_s = stated_at_ready_s = np.inf
    zero_s = link.start_s + 1.0
    link.proves = lambda: clock.should_prove(held_s)
    for event in link.play(duration_s, lambda: clock.next_probe_in_s):
        if event.is_probe:
            verdict = clock.add_probe(
                event.sent_s, event.at_s, event.tick, granularity, is_proven=event.is_proven
            )
            verdicts[verdict] += 1
            if clock.ready:
                timeline.steer(clock, event.tick)
                if ready_s == np.inf:
                    ready_s, stated_at_ready_s = event.at_s - zero_s, clock.uncertainty_s
            if clock.rate_settled:
                settled_s = min(settled_s, event.at_s - zero_s)
        if event.is_probe and link.block_ticks:
            continue
        if not event.is_block:
            clock.add_arrival(event.tick, event.at_s)
            continue
        if not event.is_probe:
            if clock.add_arrival(event.tick, event.at_s) and clock.ready:
                timeline.steer(clock, event.tick)
            if timeline.started:
                clock.note_delay(event.tick, event.at_s)
        if timeline.started:
            stamp_s = float(timeline.stamps_s(np.array([event.tick]))[0])
            estimate_s = float(clock.time_at(event.tick))
            timeline.compare(clock, event.tick)
            stated_s = timeline.correction_s + clock.uncertainty_s
            ticks.append(event.tick)
            rows.append((event.at_s - zero_s, stamp_s, estimate_s, stated_s))
    since_s, stamps_s, estimates_s, stated_s = np.reshape(np.array(rows), (-1, 4)).T
    truth_s = link.true_time_s(np.array(ticks, dtype=np.int64))
    errors_s = stamps_s - truth_s, estimates_s - truth_s
    known = settled_s, ready_s, stated_at_ready_s
    return Record(clock, timeline, verdicts, since_s, *errors_s, stated_s, *known)
