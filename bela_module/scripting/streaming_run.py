"""A run of the Python interface: queues and counts of buffers, callbacks, files."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import Final, Protocol

import numpy as np

from bela_module.interruptible import SIGNAL_CHECK_S
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.recording.buffers import (
    BufferData,
    insert_late,
    make_buffer,
    native_values,
)
from bela_module.recording.file_recorder import FileRecorder
from bela_module.scripting.callback_dispatcher import CallbackOutput
from bela_module.scripting.list_buffers import BlockJoiner
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap, GapReason
from bela_module.validation import LONGEST_WAIT_S

_END_MARKS: Final = ("stopped", "schedule_finished")


class RunKind(StrEnum):
    """What ends a run."""

    FOREVER = "FOREVER"
    """Only a stop."""
    N_VALUES = "N_VALUES"
    """A number of values."""
    SCHEDULE = "SCHEDULE"
    """The board itself."""


class Output(Protocol):
    """Receives a run's buffers in the session's thread: a callback or a file. Must not block."""

    def take(self, name: str, buffer: BufferData) -> None:
        """Take a variable's next buffer."""

    def take_late(self, name: str, buffer: BufferData) -> None:
        """Take values that became known after later ones."""

    def lose(self, name: str, last_tick: int) -> None:
        """Learn that of a variable nothing more comes up to a tick."""

    def close(self, *, hurried: bool = False) -> None:
        """Take no more and finish what was taken; hurried: without waiting for a callback."""

    def describe_missing(self, name: str) -> str:
        """Say what it lacks of a variable, as the end of a sentence; nothing: it has all."""


class FileOutput:
    """Writes each buffer to its variable's file."""

    def __init__(self, recorder: FileRecorder) -> None:
        self._recorder = recorder

    def take(self, name: str, buffer: BufferData) -> None:
        """Take a variable's next buffer."""
        self._recorder.take(name, buffer)

    take_late = take

    def lose(self, name: str, last_tick: int) -> None:
        """Do nothing: the next buffer tells how many were lost."""

    def close(self, *, hurried: bool = False) -> None:
        """Complete the files, unless the disk hangs."""
        self._recorder.close()

    def describe_missing(self, name: str) -> str:
        """Say how many values the disk did not take."""
        n_missing = self._recorder.missing[name]
        return f"; its file lacks {n_missing} of them" if n_missing else ""


class StreamingRun:
    """Buffers of some variables since a start: kept in queues, counted, passed to outputs.

    The session's thread feeds it; any thread may read it.

    Parameters
    ----------
    variables : sequence of Variable
        What streams.
    queue_length : int or None
        How many buffers of each variable are kept; None: all.
    n_values : int, optional
        After as many values of a variable, and to the end of their buffer, it takes no more.
    outputs : sequence of Output
        Where the buffers go besides.
    kind : RunKind
        What ends it.
    in_blocks : bool
        Whether what comes of one block in parts is joined, and callbacks are not given the last
        block at a stop if the board had not filled it.

    Attributes
    ----------
    ended : bool
        Whether it takes no more.
    stopped : bool
        Whether nothing of it runs in the session: it was not begun yet, or its end is confirmed.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        queue_length: int | None,
        n_values: int | None = None,
        outputs: Sequence[Output] = (),
        kind: RunKind = RunKind.FOREVER,
        *,
        in_blocks: bool = False,
    ) -> None:
        self.kind = kind
        self._joiner = BlockJoiner() if in_blocks else None
        self._stopping: frozenset[str] = frozenset()
        self._last_sizes: dict[str, int] = {}
        self.variables = tuple(variables)
        self.n_values = n_values
        self.counts = {variable.name: 0 for variable in variables}
        self.lost = {variable.name: 0 for variable in variables}
        self.ended = False
        self.stopped = True
        self._queues: dict[str, deque[BufferData]] = {
            variable.name: deque(maxlen=queue_length) for variable in variables
        }
        self._pending_lost = {variable.name: 0 for variable in variables}
        self._ended_names: set[str] = set()
        self._outputs = tuple(outputs)
        self._changed = threading.Condition()
        self._close_lock = threading.Lock()
        self._closed = False

    # ---- what the session's thread calls ---------------------------------------------------

    def take(self, variable: Variable, ticks: Ticks, column: Array, stamps_s: Stamps) -> None:
        """Take the next values of a variable."""
        name = variable.name
        if not self._takes(name):
            return
        lost, self._pending_lost[name] = self._pending_lost[name], 0
        buffer = make_buffer(ticks, native_values(variable, column), stamps_s, lost)
        if self._joiner is None:
            self._keep(variable, buffer)
        else:
            for joined in self._joiner.add(variable, buffer):
                self._keep(variable, joined)

    def _keep(self, variable: Variable, buffer: BufferData) -> None:
        name, n_values = variable.name, buffer["data"].size
        with self._changed:
            self._queues[name].append(buffer)
            self.counts[name] += n_values
            self._changed.notify_all()
        is_partial = self._is_partial(variable, n_values)
        for output in self._outputs:
            if not (is_partial and isinstance(output, CallbackOutput)):
                output.take(name, buffer)

    def _is_partial(self, variable: Variable, n_values: int) -> bool:
        """Tell whether values are the rest of a block that a stop has ended."""
        name, size = variable.name, variable.layout.value_count
        last_size, self._last_sizes[name] = self._last_sizes.get(name), n_values
        if self._joiner is None or name not in self._stopping:
            return False
        return n_values < size == last_size

    def _keep_held(self, variable: Variable) -> None:
        """Keep what waits for more of its block, which does not come."""
        if self._joiner is not None and (held := self._joiner.take_held(variable.name)):
            self._keep(variable, held)

    def keep_all_held(self) -> None:
        """Keep what waits for more of its block: nothing more comes."""
        for variable in self.variables:
            self._keep_held(variable)

    def lose(self, variable: Variable, gap: Gap) -> None:
        """Learn that values of a variable are missing."""
        name = variable.name
        self._keep_held(variable)
        # Zeros after the end of a stream are padding, as far as anybody can tell.
        padding = gap.reason is GapReason.UNKNOWN_END
        if padding or not self._takes(name):
            return
        self.lost[name] += gap.n_values
        self._pending_lost[name] += gap.n_values
        for output in self._outputs:
            output.lose(name, gap.last_tick)

    def take_late(self, variable: Variable, ticks: Ticks, column: Array, stamps_s: Stamps) -> None:
        """Take values that were told as lost, but became known: they take their place."""
        name = variable.name
        if not self._takes(name):
            return
        self._keep_held(variable)
        self.lost[name] -= ticks.size
        self._pending_lost[name] -= ticks.size
        buffer = make_buffer(ticks, native_values(variable, column), stamps_s)
        with self._changed:
            buffers = list(self._queues[name])
            insert_late(buffers, buffer)
            self._queues[name] = deque(buffers, maxlen=self._queues[name].maxlen)
            self.counts[name] += ticks.size
            self._changed.notify_all()
        for output in self._outputs:
            output.take_late(name, buffer)

    def mark(self, text: str) -> None:
        """Learn of an event."""
        if text in _END_MARKS:
            self.stopped = True
            self.keep_all_held()
            with self._changed:
                self.ended = True
                self._changed.notify_all()

    def _takes(self, name: str) -> bool:
        known = name in self.counts and name not in self._ended_names
        return known and not (self.ended or self._has_enough(name))

    def _has_enough(self, name: str) -> bool:
        return self.n_values is not None and self.counts[name] >= self.n_values

    # ---- what readers call -----------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether every variable has as many values as were asked for."""
        return all(self._has_enough(name) for name in self.counts)

    @property
    def fraction(self) -> float:
        """How much has come of what was asked for, in 0 to 1, by the variable that lags."""
        if not self.n_values:
            return 0.0
        return min(1.0, min(self.counts.values(), default=0) / self.n_values)

    def queues(self) -> dict[str, list[BufferData]]:
        """Give the buffers that are kept, by variable."""
        with self._changed:
            return {name: list(buffers) for name, buffers in self._queues.items()}

    def newest(self) -> dict[str, BufferData]:
        """Give the newest buffer of each variable that has any."""
        with self._changed:
            return {name: buffers[-1] for name, buffers in self._queues.items() if buffers}

    def expect_end(self, names: Iterable[str] | None = None) -> None:
        """Learn that some variables, or all, are about to be stopped."""
        self._stopping |= frozenset(self.counts if names is None else names)

    @property
    def going_on(self) -> set[str]:
        """The variables that were not ended before the others."""
        return self.counts.keys() - self._ended_names

    def end_variables(self, names: Sequence[str]) -> None:
        """Take no more values of some variables."""
        self._ended_names.update(names)

    def resize(self, queue_length: int) -> None:
        """Keep another number of buffers of each variable from now on, the newest of those now."""
        with self._changed:
            self._queues = {
                name: deque(buffers, maxlen=queue_length) for name, buffers in self._queues.items()
            }

    def flush(self) -> None:
        """Forget the buffers that are kept."""
        with self._changed:
            for buffers in self._queues.values():
                buffers.clear()

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition, which may have changed with each buffer, or for the run's end.

        Returns
        -------
        bool
            Whether one of the two came within the time.
        """
        deadline_s = time.monotonic() + min(timeout_s, LONGEST_WAIT_S)
        with self._changed:
            while not (self.ended or condition()):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(min(left_s, SIGNAL_CHECK_S))
        return True

    def wake(self) -> None:
        """Have :meth:`wait` check its condition again."""
        with self._changed:
            self._changed.notify_all()

    def close(self, *, hurried: bool = False) -> None:
        """Finish all that the buffers go to; safe to call more than once, from any thread.

        Parameters
        ----------
        hurried : bool
            Whether to wait for no callback; files are completed in any case.
        """
        with ExitStack() as closing:  # all of them, also when Ctrl-C interrupts one, or this
            for output in reversed(self._outputs):
                closing.callback(output.close, hurried=hurried)
            with self._changed:
                self.ended = True
                self._changed.notify_all()
            with self._close_lock:
                closed, self._closed = self._closed, True
            if closed:
                closing.pop_all()

    def describe(self) -> str:
        """Describe in words, a line for each variable, how many values came and were lost."""
        return "\n".join(self._describe(variable) for variable in self.variables)

    def _describe(self, variable: Variable) -> str:
        count, lost = self.counts[variable.name], self.lost[variable.name]
        words = f"{variable.name}: {count} values"
        if self.n_values is not None and count > self.n_values:
            size = variable.layout.value_count
            words += (
                f", {count - self.n_values} more than the {self.n_values} asked for, "
                f"since the board sends them {size} at a time"
            )
        words += f", and {lost} lost" if lost else ", none lost"
        return words + "".join(output.describe_missing(variable.name) for output in self._outputs)


class RunSink:
    """Passes samples to the present run; a ``Sink``."""

    def __init__(self) -> None:
        self.run: StreamingRun | None = None

    def identify(self, origin: Origin) -> None:
        """Do nothing: the board is described by the session's status."""

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Do nothing: a run is ready from its start."""

    def is_open(self, plan: StreamPlan) -> bool:
        """Tell that a stream is open: a run receives from its start on."""
        return True

    def keep(self, variables: Sequence[Variable]) -> None:
        """Do nothing: a run keeps what it has."""

    def search_identities(self) -> None:
        """Do nothing: nobody else can publish into a run."""

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Take samples, of one column for each variable."""
        if self.run is not None:
            for column, variable in enumerate(plan.variables):
                self.run.take(variable, ticks, values[:, column], stamps_s)

    def push_unstamped(self, variable: Variable, ticks: Ticks, values: Array) -> bool:
        """Take values of a board whose ticks do not follow time: their LSL times are NaN."""
        if self.run is not None and values.size:
            self.run.take(variable, ticks, values, np.full(values.size, np.nan))
        return True

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Learn that values of a variable were lost."""
        if self.run is not None:
            self.run.lose(variable, gap)

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None:
        """Take values that became known after later ones."""
        if self.run is not None:
            self.run.take_late(variable, ticks, values, stamps_s)

    def mark(self, text: str, lsl_s: float) -> None:
        """Learn of an event."""
        if self.run is not None:
            self.run.mark(text)

    def close(self) -> None:
        """Finish the present run without waiting for callbacks."""
        if self.run is not None:
            self.run.keep_all_held()
            self.run.close(hurried=True)
