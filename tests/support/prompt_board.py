"""One simulated variable that is watched and monitored, and a tracker that takes what it sends."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.data_channel import Block, decode_payload
from bela_module.protocol.variables import Ticks, ValueType, Variable
from bela_module.simulator.sketches.assignments import BEYOND_ALL_TICKS, AssignmentPattern
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.watcher.simulated_variable import SimulatedVariable
from bela_module.tracking.runs import Gap, TrackedItem, Tracker, ValueRun
from bela_module.tracking.single_values import Transport
from bela_module.tracking.trackers import tracker_for


@dataclass(frozen=True, slots=True)
class ListedAssignments(AssignmentPattern):
    """Assignments at given ticks, which never decrease."""

    listed: list[int]
    known: NDArray[np.int64]

    @classmethod
    def of(cls, ticks: Sequence[int]) -> ListedAssignments:
        return cls(list(ticks), np.array([*ticks, BEYOND_ALL_TICKS, -1], dtype=np.int64))

    def ticks(self, numbers: NDArray[np.int64]) -> Ticks:
        return self.known[np.clip(numbers, -1, len(self.listed))]

    def tick(self, number: int) -> int:
        if number < 0:
            return -1
        return self.listed[number] if number < len(self.listed) else BEYOND_ALL_TICKS

    def first_at_or_after(self, tick: int) -> int:
        return bisect_left(self.listed, tick)


@dataclass
class PromptBoard:
    """A variable assigned at given ticks, whose values are the numbers of the assignments.

    Attributes
    ----------
    drops : callable
        Tells whether a message is lost on the way.
    """

    ticks: Sequence[int]
    sparse: bool
    value_type: ValueType = ValueType.DOUBLE
    drops: Callable[[Block], bool] = lambda block: False
    slack_ticks: int = 0
    items: list[TrackedItem] = field(default_factory=list)
    tick: int = -1

    def __post_init__(self) -> None:
        pattern = ListedAssignments.of(self.ticks)
        spec = SketchVariable("x", self.value_type, ramp, self.sparse, pattern, by_number=True)
        self.board = SimulatedVariable(0, spec, lambda ticks: ticks / 44100.0, client_active=True)
        self.variable = Variable(0, "x", self.value_type, self.sparse)
        self.made: Tracker = tracker_for(self.variable)
        self.n_dropped = 0
        self.is_connected = True

    @property
    def size(self) -> int:
        return self.variable.layout.value_count

    # ---- the board ------------------------------------------------------------------------

    def advance(self, to_tick: int) -> None:
        """Let the sketch run, and the tracker take what comes."""
        for payload in self.board.advance(to_tick):
            block = decode_payload(self.variable, payload.data)
            if not self.is_connected:
                continue
            if self.drops(block):
                self.n_dropped += 1
                self.items += self.made.missed_block()
                continue
            self.items += self.made.add(block, payload.tick + self.slack_ticks)
        self.tick = max(self.tick, to_tick)

    def watch(self, at: int | None = None) -> None:
        self.board.start(self.board.watch, self.tick + 1 if at is None else at, 0, self.tick + 1)

    def unwatch(self, at: int | None = None) -> None:
        self.board.stop(self.board.watch, self.tick if at is None else at, self.tick + 1)

    def monitor(self, period: int) -> None:
        self.board.monitor(period, self.tick + 1)

    # ---- a session in short -----------------------------------------------------------------

    def start(self, at: int, *, singly: bool, step: int | None = None) -> None:
        """Begin as START does."""
        self.made.begin(first_tick=at, step_ticks=step)
        self.made.confirm_start()
        self.watch(at)
        if singly:
            self.monitor(2)
            self.made.take_singles(from_start=True)

    def promote(self) -> None:
        """Change to single values."""
        self.monitor(2)
        self.made.take_singles()

    def flush(self) -> None:
        """Have the board send its block early, and begin another."""
        self.unwatch()
        for tick in self.ticks[bisect_left(self.ticks, self.tick + 1) :]:
            if not self.board.watch.streaming:
                break
            self.advance(tick)
        self.watch()

    def demote(self) -> None:
        """Change to blocks; what the board sends until it knows is ignored."""
        self.items += self.made.ignore_singles()
        self.monitor(0)

    def stop(self, at: int) -> None:
        """End as STOP does, and wait as long for the last values."""
        self.items += self.made.end_at(at, next_too=True)
        self.unwatch(at)
        after = bisect_left(self.ticks, at)
        last = self.ticks[after] if after < len(self.ticks) else self.tick
        self.advance(max(at, last))
        self.monitor(0)
        self.items += self.made.finish()

    # ---- what came -----------------------------------------------------------------------

    @property
    def given(self) -> list[tuple[int, int]]:
        """Tick and value of all that was given."""
        runs = [item for item in self.items if isinstance(item, ValueRun)]
        return [
            (int(tick), int(value))
            for run in runs
            for tick, value in zip(run.ticks, run.values, strict=True)
        ]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]

    @property
    def singly(self) -> bool:
        return self.made.transport is Transport.SINGLE

    def assigned(self, first: int, last: int) -> list[tuple[int, int]]:
        """Tick and value of what the sketch assigned from a tick to the first at another."""
        after = bisect_left(self.ticks, last)
        end = self.ticks[after] if after < len(self.ticks) else last
        rows: list[tuple[int, int]] = []
        for number in range(bisect_left(self.ticks, first), len(self.ticks)):
            tick = self.ticks[number]
            if tick > end or (tick == end and rows and rows[-1][0] >= last):
                break
            rows.append((tick, number))
        return rows

    def check(self, first: int, last: int, *, complete: bool = True) -> None:
        """Check: own ticks and values, in order, none twice, and all of it counted."""
        given, assigned = self.given, self.assigned(first, last)
        assert [tick for tick, _ in given] == sorted(tick for tick, _ in given)
        assert len(set(given)) == len(given)
        assert set(given) <= set(assigned)
        assert self.made.delivered == len(given)
        if complete:
            assert given == assigned
            assert (self.made.lost, self.made.withheld, self.gaps) == (0, 0, [])
