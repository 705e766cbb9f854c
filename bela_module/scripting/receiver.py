"""Base class of Streamer and Monitor: runs, buffers, files, waiting; their common methods."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, FiniteFloat

from bela_module.errors import ArgumentError, BelaError, NoReplyError, RequestError
from bela_module.protocol.variables import Variable
from bela_module.recording.file_recorder import FileRecorder
from bela_module.recording.file_writers import Track
from bela_module.requests import MAX_TICK, Integer, Request, SendRequest
from bela_module.scripting.arguments import Saving, check_arguments
from bela_module.scripting.live_board import LiveBoard
from bela_module.scripting.progress import ProgressDisplay
from bela_module.scripting.streaming_run import FileOutput, Output, RunKind, StreamingRun
from bela_module.scripting.time_limits import VALUES_MARGIN_S
from bela_module.streams.stream_plans import reachable
from bela_module.validation import Wait

logger = logging.getLogger(__name__)

T = TypeVar("T")
Count = Annotated[Integer, Field(ge=1, le=MAX_TICK)]


class Amount(Request):
    """How many values to wait for, and how long."""

    n_values: Count
    timeout_s: Wait | None = None


class _Queue(Request):
    streaming_buffers_queue_length: Count


def _in_order(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError("must be the lower and the upper end")
    return ends


class _PlotOptions(Request):
    y_range: Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_in_order)] | None
    plot_update_delay: Count
    rollover: Count | None


class Receiver(LiveBoard):
    """A board of which values are received, in one run after another."""

    _queue_length: int = 1000
    _in_blocks: bool = False

    def _prepare_runs(self) -> None:
        self._run = StreamingRun((), self._queue_length)
        self._run.ended = True
        self._lock = threading.Lock()
        self._plots: dict[tuple[str, ...], weakref.finalize[..., Any]] = {}
        self._saved_files: dict[str, Path] = {}

    def is_streaming(self) -> bool:
        """Tell whether values are being received, or will be once the board is connected."""
        return not self._run.ended

    @property
    def streaming_mode(self) -> str:
        """What streams: ``FOREVER``, ``N_VALUES``, ``SCHEDULE``, or ``OFF`` when nothing does."""
        return "OFF" if self._run.ended else self._run.kind.value

    _streaming_mode = streaming_mode  # the name by which pybela's scripts know it

    # ---- what has come ---------------------------------------------------------------------

    @property
    def streaming_buffers_queue_length(self) -> int:
        """How many buffers of each variable are kept; a change keeps the newest."""
        return self._queue_length

    @streaming_buffers_queue_length.setter
    def streaming_buffers_queue_length(self, length: int) -> None:
        checked = check_arguments(_Queue, streaming_buffers_queue_length=length)
        self._queue_length = checked.streaming_buffers_queue_length
        self._run.resize(self._queue_length)

    @property
    def saved_files(self) -> dict[str, Path]:
        """The file of each variable, of the last run that was saved."""
        return dict(self._saved_files)

    @property
    def report(self) -> str:
        """How many values came and were lost in this run, or the last; a line for each variable."""
        return self._run.describe()

    def flush_queue(self) -> None:
        """Drop the buffers that are kept."""
        self._run.flush()

    # ---- to the board ----------------------------------------------------------------------

    def send_buffer(
        self,
        buffer_id: int,
        buffer_type: str,
        buffer_length: int,
        data_list: Sequence[float],
        verbose: bool = False,
    ) -> None:
        """Send a buffer of numbers to the sketch.

        Parameters
        ----------
        buffer_id : int
            Which of the sketch's buffers.
        buffer_type : str
            C++ type: "c" char, "j" unsigned int, "i" int, "f" float, "d" double.
        buffer_length : int
            How many numbers there are.
        data_list : sequence of float
            The numbers.
        verbose : bool
            Whether to log that it was sent.

        Raises
        ------
        ArgumentError
            When there are not as many, or the type does not hold them.
        """
        request = check_arguments(
            SendRequest, buffer_id=buffer_id, type=buffer_type, data=data_list
        )
        if buffer_length != len(request.data):
            raise ArgumentError(f"buffer_length = {buffer_length} for {len(request.data)} numbers")
        said = self._result(self._open_session().send(request), "send")
        if verbose:
            logger.info("%s", said)

    def plot_data(
        self,
        x_var: str,
        y_vars: Sequence[str] | str,
        y_range: tuple[float, float] | None = None,
        plot_update_delay: int = 100,
        rollover: int | None = 1000,
    ) -> None:
        """Plot what is streamed as it comes: in the notebook, else in a window of the browser.

        Parameters
        ----------
        x_var : str
            Variable whose ticks are the horizontal axis.
        y_vars : sequence of str
            Variables whose values are drawn. A plot of the same variables before it ends.
        y_range : (float, float), optional
            Ends of the vertical axis; by default it follows the values.
        plot_update_delay : int
            Milliseconds between two drawings.
        rollover : int, optional
            How many of the newest values are drawn; None: all that are kept.

        Raises
        ------
        ArgumentError
            When a variable is not being streamed or monitored, or an argument cannot be.
        ExtraMissingError
            When Bokeh, of the extra ``view``, is not installed.
        """
        from bela_module.viewing.script_plot import ScriptPlot, check_plotted, show_plot

        names = self._names(y_vars)
        options = check_arguments(
            _PlotOptions, y_range=y_range, plot_update_delay=plot_update_delay, rollover=rollover
        )
        running = () if self._run.ended else self._run.going_on
        check_plotted([x_var, *names], tuple(running))
        kept = weakref.WeakMethod(self._kept_buffers)  # a plot keeps no board connected

        def buffers() -> dict[str, list[Any]]:
            give = kept()
            return give() if give is not None else {}

        before = self._plots.pop((x_var, *names), None)
        if before is not None:
            before()
        plot = ScriptPlot(
            buffers, x_var, names, options.y_range, options.plot_update_delay, options.rollover
        )
        self._plots[x_var, *names] = weakref.finalize(self, show_plot(plot))

    # ---- for the classes that build on this one --------------------------------------------

    def _names_of_all(self) -> list[str]:
        """Give the names of all variables of the board as it was last seen."""
        listed = reachable(self._view.variables) if self._view is not None else ()
        names = [variable.name for variable in (*listed, *self._run.variables)]
        return list(dict.fromkeys(names))

    def _kept_buffers(self) -> dict[str, list[Any]]:
        return self._run.queues()

    def _leave(self, *, hurried: bool = False) -> None:
        try:
            self._end(hurried=hurried)
        finally:
            super()._leave(hurried=hurried)
            for end_plot in self._plots.values():
                end_plot()
            self._plots.clear()

    def _recording(
        self, variables: Sequence[Variable], saving: Saving, *, singly: bool = False
    ) -> FileOutput:
        tracks = [Track(v.name, v.value_type.dtype, singly=singly) for v in variables]
        recorder = FileRecorder(
            saving.saving_dir,
            saving.saving_filename,
            tracks,
            saving.saving_format,
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
        kind: RunKind = RunKind.FOREVER,
    ) -> StreamingRun:
        """Start a run; the buffers of the one before are dropped."""
        queue_length = None if n_values is not None else self._queue_length
        kind = RunKind.N_VALUES if n_values is not None else kind
        run = StreamingRun(
            variables, queue_length, n_values, outputs, kind, in_blocks=self._in_blocks
        )
        try:
            with self._lock:
                if not self._run.ended:
                    raise RequestError("another thread has started a run at the same time")
                self._run = self._sink.run = run
                run.stopped = False
                self._result(command(), "watch")
        except BaseException:
            self._give_up(run)
            raise
        return run

    def _give_up(self, run: StreamingRun) -> None:
        """End a run after an error or Ctrl-C; a further error is only logged."""
        try:
            self._stop(run, hurried=True)
        except BelaError as error:
            logger.warning("the run could not be ended: %s", error)

    def _end(self, *, hurried: bool = False) -> None:
        """End the run, if there is one that has not ended, with all that belongs to it."""
        self._stop(self._run, hurried=hurried)

    def _stop(self, run: StreamingRun, *, hurried: bool) -> None:
        try:
            # Also when it has ended here, but the board was never told or did not confirm it.
            if self._is_open and not run.stopped:
                run.expect_end()
                self._result(self._open_session().stop(), "unwatch")
                run.stopped = True
        except (KeyboardInterrupt, SystemExit):
            hurried = True
            raise
        finally:
            run.close(hurried=hurried)

    async def _in_thread(self, work: Callable[[Callable[[], bool]], T]) -> T:
        """Do something that waits while the event loop goes on; cancelling it stops it.

        Parameters
        ----------
        work : callable
            Is given a function that tells whether it is cancelled.
        """
        given_up = threading.Event()
        task = asyncio.ensure_future(asyncio.to_thread(work, given_up.is_set))
        task.add_done_callback(_retrieve_exception)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            given_up.set()
            self._run.wake()
            await asyncio.wait({task})  # its thread ends what it has begun, or was about to
            raise
        return task.result()

    def _stop_some(self, names: Sequence[str]) -> None:
        """End some variables of the run; all of it when none is named or none is left."""
        run = self._run
        if not {variable.name for variable in run.variables}.issuperset(names):
            self._choose(names)  # raises where the board has none of a name
        running = set() if run.ended else run.going_on
        if names and running - set(names):
            ending = [name for name in names if name in running]
            if ending:
                run.expect_end(ending)
                self._result(self._open_session().stop_variables(ending), "unwatch")
                run.end_variables(ending)
            return
        self._end()
        logger.info("stopped streaming\n%s", self.report)

    def _wait_for_values(
        self, run: StreamingRun, amount: Amount, is_given_up: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait for as many values as were asked for, then end the run.

        Parameters
        ----------
        run : StreamingRun
            What has begun.
        amount : Amount
            How many, and how long to wait; by default a minute longer than they should take.
        is_given_up : callable
            Whether to stop waiting; :meth:`StreamingRun.wake` has it called again.

        Raises
        ------
        NoReplyError
            When they do not come in time.
        RequestError
            When somebody else ended the run.
        """
        timeout_s = amount.timeout_s
        if timeout_s is None:
            rate_hz = self._view.declared_rate_hz if self._view is not None else 1.0
            timeout_s = VALUES_MARGIN_S + 10 * amount.n_values / rate_hz
        names = ", ".join(variable.name for variable in run.variables)
        what = f"{amount.n_values} values of {names}"
        try:
            with ProgressDisplay(what, lambda: run.fraction):
                in_time = run.wait(lambda: run.complete or is_given_up(), timeout_s)
        except BaseException:
            self._give_up(run)
            raise
        self._end(hurried=is_given_up())
        if run.complete:  # if need be with what the board still held
            return
        if in_time:
            raise RequestError(f"{what}: stopped before all had come; {run.describe()}")
        raise NoReplyError(what, self.settings.board.url, timeout_s, run.describe())


def _retrieve_exception(work: asyncio.Future[Any]) -> None:
    """Read the exception of abandoned work, which asyncio would report otherwise."""
    if not work.cancelled():
        work.exception()
