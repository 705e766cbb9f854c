"""A sink that writes the samples of chosen streams into files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.recording.buffers import make_buffer, native_values
from bela_module.recording.file_recorder import FileRecorder
from bela_module.recording.file_writers import FileFormat, Track
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap, GapReason
from bela_module.writer_thread import WRITER_STALL_S


class RecordingSink:
    """Records what it receives between :meth:`start` and :meth:`stop`; a ``Sink``."""

    def __init__(self) -> None:
        self._recorder: FileRecorder | None = None
        self._discarded: FileRecorder | None = None
        self._unfinished: list[FileRecorder] = []
        self._lost: dict[str, int] = {}

    def make(
        self,
        plans: Sequence[StreamPlan],
        folder: Path,
        filename: str,
        file_format: FileFormat,
        on_error: Callable[[str], None],
    ) -> FileRecorder:
        """Make the files for some streams, from any thread.

        Parameters
        ----------
        plans : sequence of StreamPlan
            Which streams.
        folder, filename, file_format, on_error
            As for a ``FileRecorder``; `on_error` may be called from
            another thread.

        Returns
        -------
        FileRecorder
            To be given to :meth:`start`, or discarded.

        Raises
        ------
        RequestError
            When the files cannot be made.
        """
        if self._discarded is not None:
            self._discarded.close()  # its names may be wanted again
        return FileRecorder(
            folder, filename, [_track(plan) for plan in plans], file_format, on_error
        )

    def start(self, recorder: FileRecorder) -> None:
        """Record its streams from now on; a recording that goes on is ended first."""
        self.stop()
        self._recorder = recorder
        self._unfinished = [one for one in self._unfinished if not one.finished]
        self._unfinished.append(recorder)
        self._lost = dict.fromkeys(recorder.paths, 0)

    def stop(self) -> None:
        """End the recording, if there is one; its files are completed soon."""
        if self._recorder is not None:
            self._recorder.end()
        self._lost = {}

    def discard(self) -> None:
        """End the recording like :meth:`stop`; if nothing was recorded, its files go."""
        if self._recorder is not None:
            self._discarded = self._recorder
            self._recorder.discard()
        self.stop()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now with the recording that goes on, in words."""
        problem = self._recorder.problem if self._recorder is not None else None
        return (problem,) if problem is not None else ()

    @property
    def missing(self) -> dict[str, int]:
        """Values of each stream that the disk did not take, in this recording or the last."""
        return self._recorder.missing if self._recorder is not None else {}

    def identify(self, origin: Origin) -> None:
        """Do nothing: the files do not name the board."""

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Do nothing: the files were made before :meth:`start`."""

    def is_open(self, plan: StreamPlan) -> bool:
        """Tell that a stream is open: its file was made before."""
        return True

    def keep(self, variables: Sequence[Variable]) -> None:
        """Do nothing: files stay."""

    def search_identities(self) -> None:
        """Do nothing: files are the module's own."""

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Record samples, if their stream is recorded."""
        if self._recorder is not None and plan.name in self._lost:
            lost, self._lost[plan.name] = self._lost[plan.name], 0
            single = len(plan.variables) == 1
            data = native_values(plan.variables[0], values[:, 0]) if single else values.copy()
            self._recorder.take(plan.name, make_buffer(ticks, data, stamps_s, lost))

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Count values of a variable that were lost; the next that are recorded say so."""
        if plan.name in self._lost and gap.reason is not GapReason.UNKNOWN_END:
            self._lost[plan.name] += gap.n_values

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None:
        """Record values after all, in rows of their own where variables share the stream."""
        if self._recorder is None or plan.name not in self._lost:
            return
        self._lost[plan.name] -= ticks.size
        if len(plan.variables) == 1:
            data = native_values(variable, values)
        else:  # irregular streams of several variables have floats, so that a value can be missing
            data = np.full((ticks.size, len(plan.variables)), np.nan, plan.sample_format.dtype)
            data[:, plan.variables.index(variable)] = values
        self._recorder.take(plan.name, make_buffer(ticks, data, stamps_s))

    def mark(self, text: str, lsl_s: float) -> None:
        """Do nothing: events are not recorded."""

    def complete(self) -> None:
        """End the recording and wait for its files and earlier ones, unless the disk hangs."""
        stall_s = WRITER_STALL_S
        discarded = [self._discarded] if self._discarded is not None else []
        for recorder in self._unfinished + discarded:
            if not recorder.close(stall_s):
                stall_s = 0.0

    def close(self) -> None:
        """End the recording and wait for its files, unless the disk hangs."""
        self.complete()


def _track(plan: StreamPlan) -> Track:
    if len(plan.variables) == 1:
        return Track(plan.name, plan.variables[0].value_type.dtype)
    return Track(plan.name, plan.sample_format.dtype, plan.labels)
