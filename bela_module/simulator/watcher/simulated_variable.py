"""State machine of one variable of the simulated Watcher: watch, log, monitor, control. Pure.

Two streams, ``watch`` and ``log``, share one block, so one disturbs the other, as on the board.
Nothing is computed per value: assignments are numbered, a block holds ranges of those numbers,
and its values are computed when it is full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bela_module.protocol.block_encoder import encode_block, encode_monitor
from bela_module.protocol.variables import Ticks, Variable
from bela_module.simulator.sketches.signals import Times
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.watcher.written_values import Account, Payload, WrittenRun

NEVER: Final = 2**64 - 1
"""The tick that stands for no end; the reply to ``log`` shows it as a number."""

_MAX_RUNS: Final = 10_000
_MAX_MONITORED_AT_ONCE: Final = 5000


class _State(Enum):
    OFF = auto()
    STARTING = auto()
    ON = auto()
    STOPPING = auto()
    LAST = auto()


_STREAMING: Final = (_State.ON, _State.STOPPING, _State.LAST)


@dataclass(slots=True)
class _Stream:
    """One of the two streams; ``at_tick`` is when it changes its state next."""

    state: _State = _State.OFF
    at_tick: int = NEVER
    end_tick: int = NEVER

    @property
    def streaming(self) -> bool:
        return self.state in _STREAMING


@dataclass(slots=True)
class SimulatedVariable:
    """State of one variable.

    Times are ticks. Give commands between calls of :meth:`advance`, which runs the assignments up
    to a tick and returns the payloads. ``time_of_ticks`` gives the seconds at which ticks happen,
    for signals of time.
    """

    index: int
    spec: SketchVariable
    time_of_ticks: Callable[[Ticks], Times]
    client_active: bool = False
    controlled: bool = False
    controlled_value: float = 0.0
    monitor_period_ticks: int = 0
    log_file_name: str = ""
    watch: _Stream = field(default_factory=_Stream)
    log: _Stream = field(default_factory=_Stream)
    due_tick: int = NEVER
    _assigned_until: int = NEVER
    _next: int = 0
    _block: list[tuple[int, int]] = field(default_factory=list)
    _fill: int = 0
    _monitor_armed: bool = False
    _monitor_at: int = NEVER
    _runs: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MAX_RUNS))
    _new_run: bool = True
    _is_look: bool = False
    _n_sent: int = 0
    _n_discarded: int = 0
    _n_pending: int = 0
    _capacity: int = 0
    _variable: Variable = field(init=False)

    def __post_init__(self) -> None:
        """Compute what never changes."""
        spec = self.spec
        self._variable = Variable(self.index, spec.name, spec.value_type, spec.sparse)
        self._capacity = self._variable.layout.value_count

    # ---- commands ----------------------------------------------------------------------------

    def start(self, stream: _Stream, tick: int, duration_ticks: int, now_tick: int) -> int:
        """Start a stream at a tick, or now if that is past; return the tick of the start."""
        stream.state = _State.STARTING
        stream.at_tick = max(tick, now_tick)
        stream.end_tick = stream.at_tick + duration_ticks if duration_ticks else NEVER
        if stream is self.watch:
            self._is_look = duration_ticks > 0 and tick == 0
        self.find_due(now_tick)
        return stream.at_tick

    def stop(self, stream: _Stream, tick: int, now_tick: int) -> None:
        """Stop a stream at a tick, or now if that is past. A stream that is off stays off."""
        if stream.state is _State.OFF:
            return
        stream.state = _State.STOPPING
        stream.at_tick = tick
        self.find_due(now_tick)

    def monitor(self, period_ticks: int, now_tick: int) -> None:
        """Send one value now and then one every period; one alone for 1, no more for 0."""
        self.monitor_period_ticks = period_ticks
        self._monitor_armed = True
        self.find_due(now_tick)

    def set_control(self, controlled: bool, tick: int) -> None:
        """Take or release control; taking it copies the sketch's own value."""
        if controlled and not self.controlled:
            self.controlled_value = self.input_value(tick)
        self.controlled = controlled

    def set_value(self, value: float) -> None:
        """Set the controlled value, converted as in C++."""
        dtype = self.spec.value_type.dtype
        if dtype.kind in "iu":
            bits = 8 * dtype.itemsize
            whole = int(value) & (2**bits - 1) if np.isfinite(value) else 0
            wrapped = whole - 2**bits if dtype.kind == "i" and whole >> (bits - 1) else whole
            self.controlled_value = float(wrapped)
        else:
            with np.errstate(over="ignore"):
                self.controlled_value = float(np.float64(value).astype(dtype))

    def set_masked(self, value: int, mask: int) -> None:
        """Set some bits of the controlled value."""
        old = int(self.controlled_value) & 0xFFFFFFFF
        self.set_value(float((old & ~mask) | (value & mask)))

    def set_assigned(self, assigned: bool, tick: int) -> None:
        """Stop the sketch's assignments after a tick, or resume; the last value stays."""
        self._assigned_until = NEVER if assigned else min(self._assigned_until, tick)
        self.skip(tick + 1)

    # ---- what a reply to list shows ----------------------------------------------------------

    def input_value(self, tick: int) -> float:
        """Return the value last assigned by the sketch at a tick."""
        tick = min(tick, self._assigned_until)
        number = self.spec.assignments.first_at_or_after(tick + 1) - 1
        if self.spec.assignments.tick(number) < 0:
            return 0.0
        return float(self._values(np.array([number], dtype=np.int64))[1][0])

    def describe(self, tick: int) -> Variable:
        """Return the variable as a reply to ``list`` shows it at a tick."""
        value = self.input_value(tick)
        return Variable(
            self.index,
            self.spec.name,
            self.spec.value_type,
            self.spec.sparse,
            value=self.controlled_value if self.controlled else value,
            value_input=value,
            watched=self.watch.streaming,
            controlled=self.controlled,
            logged=self.log.streaming,
            monitor_period_ticks=self.monitor_period_ticks,
            log_file_name=self.log_file_name,
        )

    @property
    def written(self) -> tuple[WrittenRun, ...]:
        """The last 10 000 runs written into blocks; every start and every hole begins one.

        Looks are left out: watches from now on that end by themselves.
        """
        tick = self.spec.assignments.tick
        return tuple(WrittenRun(tick(a), tick(b - 1), b - a) for a, b in self._runs)

    @property
    def account(self) -> Account:
        """Counts of the values written into blocks, but for looks."""
        parts = (self._n_sent, self._n_discarded, self._n_pending)
        return Account(sum(parts), *parts)

    # ---- time --------------------------------------------------------------------------------

    def find_due(self, from_tick: int) -> None:
        """Find the next tick, not before ``from_tick``, at which :meth:`advance` has work to do."""
        if self._idle:
            self.due_tick = NEVER
            return
        number = self._next = max(self._next, self.spec.assignments.first_at_or_after(from_tick))
        event = self._next_event(number)
        self.due_tick = NEVER if event == NEVER else self.spec.assignments.tick(event)

    def advance(self, to_tick: int) -> list[Payload]:
        """Run all assignments up to and including a tick; return the payloads sent, in order."""
        if self._idle:
            return []
        end = self.spec.assignments.first_at_or_after(to_tick + 1)
        sent: list[Payload] = []
        while self._next < end:
            self._assign(end, sent)
        self.find_due(to_tick + 1)
        return sent

    def _overflow(self, end: int) -> None:
        """Drop the oldest values of a monitor when too many have come together.

        So does the board, whose queue is full then. It also keeps a host that stands still for a
        while from never catching up.
        """
        if self._monitor_at != NEVER:
            oldest = self.spec.assignments.tick(end - _MAX_MONITORED_AT_ONCE)
            self._monitor_at = max(self._monitor_at, oldest)

    def skip(self, to_tick: int) -> None:
        """Skip all assignments before a tick."""
        self._next = max(self._next, self.spec.assignments.first_at_or_after(to_tick))
        self.find_due(to_tick)

    @property
    def _idle(self) -> bool:
        if self._assigned_until != NEVER:
            return True
        streams_off = self.watch.state is _State.OFF and self.log.state is _State.OFF
        return streams_off and self._monitor_at == NEVER and not self._monitor_armed

    @property
    def _writing(self) -> bool:
        return (self.watch.streaming and self.client_active) or self.log.streaming

    def _next_event(self, number: int) -> int:
        """Return the first assignment, from a number on, that does more than add to the block."""
        if self._monitor_armed:
            return number
        at_tick = min(self.watch.at_tick, self.log.at_tick, self._monitor_at)
        event = NEVER
        if at_tick != NEVER:
            event = max(number, self.spec.assignments.first_at_or_after(at_tick))
        if self._writing:
            event = min(event, number + self._capacity - self._fill - 1)
        return event

    def _assign(self, end: int, sent: list[Payload]) -> None:
        """Run the next assignment, and those after it that only add to the block."""
        number = self._next
        tick = self.spec.assignments.tick(number)
        last = [self._change(stream, tick) for stream in (self.log, self.watch)]
        self._run_monitor(number, tick, sent)
        self._next = number + 1
        if end - number > _MAX_MONITORED_AT_ONCE:
            self._overflow(end)
        if not self._writing:
            self._next = min(end, max(self._next, self._next_event(self._next)))
            return
        self._write(number, number + 1)
        if self._fill < self._capacity and not any(last):
            self._next = min(end, max(self._next, self._next_event(self._next)))
            self._write(number + 1, self._next)
            return
        self._send(tick, sent)

    def _change(self, stream: _Stream, tick: int) -> bool:
        """Start or stop a stream if it is due; return whether this value is its last."""
        if tick < stream.at_tick:
            return False
        stream.at_tick = NEVER
        if stream.state is _State.STARTING:
            self._n_discarded += self._n_pending
            self._empty_block()
            self._new_run = self._new_run or stream is self.watch
            stream.state = _State.ON
            if stream.end_tick != NEVER:
                stream.state, stream.at_tick = _State.STOPPING, stream.end_tick
            return False
        if stream.state is _State.STOPPING:
            stream.state = _State.LAST
            return True
        return False

    def _run_monitor(self, number: int, tick: int, sent: list[Payload]) -> None:
        if self._monitor_armed:
            self._monitor_armed = False
            self._monitor_at = tick if self.monitor_period_ticks else NEVER
        if tick < self._monitor_at:
            return
        if self.client_active:
            value = self._values(np.array([number], dtype=np.int64))[1][0]
            data = encode_monitor(self._variable, tick, value)
            sent.append(Payload(tick, self.index, data, tick, 1, monitor=True))
        if self.monitor_period_ticks == 1:
            self.monitor_period_ticks, self._monitor_at = 0, NEVER
        else:
            self._monitor_at = tick + self.monitor_period_ticks

    def _write(self, start: int, stop: int) -> None:
        """Add assignments to the block."""
        if start == stop:
            return
        follows = bool(self._block) and self._block[-1][1] == start
        if follows:
            self._block[-1] = (self._block[-1][0], stop)
        else:
            self._block.append((start, stop))
        self._fill += stop - start
        if self.watch.streaming and not self._is_look:
            self._n_pending += stop - start
            self._record(start, stop)

    def _record(self, start: int, stop: int) -> None:
        runs = self._runs
        if not self._new_run and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((start, stop))
        self._new_run = False

    def _send(self, tick: int, sent: list[Payload]) -> None:
        """Finish the block, and send it if the variable is watched."""
        watched = self.watch.streaming and self.client_active
        if watched:
            ticks, values = self._values(
                np.concatenate([np.arange(*run, dtype=np.int64) for run in self._block])
            )
            first_tick = int(ticks[0])
            relative = ticks - first_tick if self.spec.sparse else None
            data = encode_block(self._variable, first_tick, values, relative)
            sent.append(Payload(tick, self.index, data, first_tick, self._fill))
            self._n_sent += self._n_pending
        else:
            self._n_discarded += self._n_pending
        for stream in (self.watch, self.log):
            if stream.state is _State.LAST:
                stream.state = _State.OFF
        self._empty_block()

    def _empty_block(self) -> None:
        self._block, self._fill, self._n_pending = [], 0, 0

    def _values(self, numbers: NDArray[np.int64]) -> tuple[Ticks, NDArray[Any]]:
        """Return the ticks and the values of assignments."""
        ticks = self.spec.assignments.ticks(numbers)
        argument = numbers if self.spec.by_number else ticks
        values = self.spec.signal(argument, self.time_of_ticks(ticks))
        return ticks, values.astype(self.spec.value_type.dtype)
