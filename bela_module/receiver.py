"""What Streamer and Monitor share: runs, their buffers, files of them, and waiting for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from bela_module.buffers import BufferData
from bela_module.errors import NoReplyError, RequestError
from bela_module.live_board import LiveBoard
from bela_module.progress import ProgressDisplay
from bela_module.protocol import Variable
from bela_module.recorder import FileFormat, Recorder, Track
from bela_module.run import FileOutput, Output, Run

_SURE_S: Final = 60.0  # beyond the time that the values themselves take


class Receiver(LiveBoard):
    """A board of which values are received, in one run after another; see `LiveBoard`."""

    _queue_length: int = 1000

    def __init__(
        self,
        ip: str | None = None,
        port: int | None = None,
        data_add: str = "gui_data",
        control_add: str = "gui_control",
    ) -> None:
        super().__init__(ip, port, data_add, control_add)
        self._run = Run((), self._queue_length)
        self._run.ended = True
        self._lock = threading.Lock()
        self._saved_files: dict[str, Path] = {}

    def disconnect(self) -> None:
        """End what runs, leave the board as it was found, and close the connection."""
        try:
            self._end()
        finally:
            super().disconnect()

    def is_streaming(self) -> bool:
        """Tell whether values are being received, or will be once the board is there."""
        return not self._run.ended

    # ---- what has come ---------------------------------------------------------------------

    @property
    def streaming_buffers_queue_length(self) -> int:
        """How many buffers of each variable are kept; a change keeps the newest."""
        return self._queue_length

    @streaming_buffers_queue_length.setter
    def streaming_buffers_queue_length(self, length: int) -> None:
        if length < 1:
            raise RequestError(f"streaming_buffers_queue_length = {length}: must be at least 1")
        self._queue_length = length
        self._run.resize(length)

    @property
    def streaming_buffers_queue(self) -> dict[str, list[BufferData]]:
        """The newest buffers of each variable of this run, or of the last."""
        return self._run.queues()

    @property
    def saved_files(self) -> dict[str, Path]:
        """The file of each variable, of the last run that was saved."""
        return dict(self._saved_files)

    @property
    def report(self) -> str:
        """How many values have come in this run, or the last, and why as many; a line for each."""
        return self._run.describe()

    def flush_queue(self) -> None:
        """Forget the buffers that are kept."""
        self._run.flush()

    # ---- for the classes that build on this one --------------------------------------------

    def _recording(
        self,
        variables: Sequence[Variable],
        saving_dir: str | Path,
        saving_filename: str,
        saving_format: FileFormat,
    ) -> FileOutput:
        tracks = [Track(variable.name, variable.value_type.dtype) for variable in variables]
        recorder = Recorder(
            Path(saving_dir).expanduser(),
            saving_filename,
            tracks,
            saving_format,
            self._open_session().note_error,
        )
        self._saved_files = recorder.paths
        return FileOutput(recorder)

    def _begin(
        self,
        variables: Sequence[Variable],
        outputs: Sequence[Output],
        command: Callable[[], Future[str]],
        n_values: int | None = None,
    ) -> Run:
        """Have values received; what was received so far is forgotten."""
        queue_length = None if n_values is not None else self._queue_length
        run = Run(variables, queue_length, n_values, outputs)
        try:
            with self._lock:
                if not self._run.ended:
                    raise RequestError("another thread has started a run at the same time")
                self._run = self._sink.run = run
                self._result(command(), "watch")
        except BaseException:
            run.close()
            raise
        return run

    def _end(self) -> None:
        """End the run, if there is one that has not ended, with all that belongs to it."""
        run = self._run
        try:
            if self._is_open and not run.ended:
                self._result(self._open_session().stop(), "unwatch")
        finally:
            run.close()

    def _wait_for_values(self, run: Run, timeout_s: float | None, what: str) -> None:
        """Wait for as many values as were asked for, then end the run.

        Raises
        ------
        NoReplyError
            When they do not come in time.
        RequestError
            When somebody else ended the run.
        """
        if timeout_s is None:
            rate_hz = self._view.declared_rate_hz if self._view is not None else 1.0
            timeout_s = _SURE_S + 10 * (run.n_values or 0) / rate_hz
        try:
            with ProgressDisplay(what, lambda: run.fraction):
                in_time = run.wait(lambda: run.complete, timeout_s)
        finally:
            self._end()
        if run.complete:  # if need be with what the board still held
            return
        if in_time:
            raise RequestError(f"{what}: stopped before all had come; {run.describe()}")
        raise NoReplyError(what, self.settings.board.url, timeout_s, run.describe())
