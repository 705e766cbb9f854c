"""A small board for tests: it writes a known signal, and its blocks meet with every fault."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Array, Ticks, ValueType, Variable
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.runs import Gap, TrackedItem, ValueRun

RAMP = Variable(0, "ramp", ValueType.DOUBLE)
SIZE = RAMP.layout.value_count


def ticks_of(items: Iterable[TrackedItem]) -> list[int]:
    return [int(tick) for item in items if isinstance(item, ValueRun) for tick in item.ticks]


def gaps_of(items: Iterable[TrackedItem]) -> list[Gap]:
    return [item for item in items if isinstance(item, Gap)]


def ramp(ticks: Ticks) -> Array:
    """A value that tells its tick, and is never zero."""
    return ticks + 1.0


def block_of(tick: int, n_valid: int = SIZE, step: int = 1) -> Block:
    values = np.zeros(SIZE)
    values[:n_valid] = ramp(tick + step * np.arange(n_valid))
    return Block(RAMP, tick, values)


def zeros_at(tick: int, n_head: int = 0) -> Block:
    """A block whose values after the head are zero: written so, or padding."""
    return block_of(tick, n_head)


def tracker(step: float | None = 1, **begin: int) -> DenseTracker:
    made = DenseTracker(RAMP)
    made.begin(step_ticks=step, **begin)
    return made


@dataclass(frozen=True)
class Signal:
    """A ramp that crosses zero at one tick and is zero for whole stretches."""

    zero_tick: int
    stretch_ticks: int

    def __call__(self, ticks: Ticks) -> Array:
        silent = (ticks // self.stretch_ticks) % 2 == 1
        return np.where(silent, 0.0, (ticks - self.zero_tick).astype(float))


NEVER_ZERO = Signal(-1, 10**12)


@dataclass
class FaultyBoard:
    """Writes values at every step, and does with its blocks what real boards do."""

    made: DenseTracker
    signal: Signal
    step: int
    exact_arrivals: bool
    tick: int
    items: list[TrackedItem] = field(default_factory=list)
    arrived: set[int] = field(default_factory=set)
    last_block: Block | None = None
    n_last_valid: int = SIZE
    first_tick: int | None = None

    def _ticks(self, n_values: int) -> Ticks:
        return self.tick + self.step * np.arange(n_values)

    def send(self, n_valid: int = SIZE) -> None:
        """Send the next values in a block, padded when they are few."""
        self.avoid_the_undecidable()
        ticks = self._ticks(n_valid)
        values = np.zeros(SIZE)
        values[:n_valid] = self.signal(ticks)
        self.last_block = Block(RAMP, self.tick, values)
        self.n_last_valid = n_valid
        self.arrived.update(ticks.tolist())
        if self.first_tick is None:
            self.first_tick = self.tick
        self.skip(n_valid)
        self._deliver(self.last_block)

    def avoid_the_undecidable(self) -> None:
        """Not begin just where the block before would have ended, had it not been cut.

        Its padding is then as good as values, unless the time of arrival tells.
        """
        last = self.last_block
        if last is None or self.exact_arrivals or self.n_last_valid == SIZE:
            return
        if self.tick - last.tick == SIZE * self.step:
            self.skip(1)

    def skip(self, n_values: int) -> None:
        """Write values that reach nobody."""
        self.tick += n_values * self.step

    def repeat(self) -> None:
        if self.last_block is not None:
            self._deliver(self.last_block)

    def reconnect(self, n_hole: int, *, splice: bool) -> None:
        """Lose the connection; the first block after it may be a splice."""
        old_tick = self.tick
        self.items += self.made.interrupted()
        self.skip(n_hole)
        self.made.resume(self.tick)
        if splice:
            self.skip(10)
            values = self.signal(old_tick + self.step * np.arange(SIZE))
            values[SIZE // 2 :] = 123456.0
            self._deliver(Block(RAMP, old_tick, values))

    def _deliver(self, block: Block) -> None:
        possible = float(self.tick - self.step) if self.exact_arrivals else math.inf
        self.items += self.made.add(block, possible)


FAULTS = st.one_of(
    st.tuples(st.just("block"), st.just(0), st.just(0)),
    st.tuples(st.just("drop"), st.just(0), st.just(0)),
    st.tuples(st.just("cut"), st.integers(1, SIZE - 1), st.just(0)),
    st.tuples(st.just("rewatch"), st.integers(1, SIZE - 1), st.integers(0, 3 * SIZE)),
    st.tuples(st.just("restart"), st.integers(1, SIZE - 1), st.just(0)),
    st.tuples(st.just("repeat"), st.just(0), st.just(0)),
    st.tuples(st.just("reconnect"), st.integers(1, 3 * SIZE), st.just(0)),
    st.tuples(st.just("splice"), st.integers(1, 3 * SIZE), st.just(0)),
)


def play(board: FaultyBoard, fault: tuple[str, int, int]) -> None:
    match fault:
        case "block", _, _:
            board.send()
        case "drop", _, _:
            board.skip(SIZE)
        case "cut", n_valid, _:
            board.send(n_valid)
        case "rewatch", n_valid, n_hole:
            board.send(n_valid)
            board.skip(n_hole)
        case "restart", n_values, _:
            board.skip(n_values)
        case "repeat", _, _:
            board.repeat()
        case kind, n_hole, _:
            board.reconnect(n_hole, splice=kind == "splice")
