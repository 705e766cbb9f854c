"""``Streamer``: streams variables of a board into Python, as in the Bela tutorials.

>>> from bela_module import Streamer
>>> streamer = Streamer()
>>> streamer.connect()
>>> streamer.start_streaming(["pot1", "pot2"], on_block_callback=print)
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from bela_module.errors import NoReplyError
from bela_module.protocol.variables import Variable
from bela_module.recording.file_writers import FileFormat
from bela_module.requests import Request, ScheduleRequest, StartRequest
from bela_module.scripting.arguments import StreamingOptions, check_arguments, make_options
from bela_module.scripting.callback_dispatcher import BlockCallback, BufferCallback, Dispatcher
from bela_module.scripting.list_buffers import with_lists, with_lists_of_block
from bela_module.scripting.progress import ProgressDisplay
from bela_module.scripting.receiver import Amount
from bela_module.scripting.streamed_buffers import Buffers, StreamedBuffers
from bela_module.scripting.streaming_run import Output, RunKind, StreamingRun
from bela_module.scripting.time_limits import SCHEDULE_MARGIN_S
from bela_module.streams.lsl_clock import local_clock
from bela_module.validation import Wait, as_list, shown

logger = logging.getLogger(__name__)

MAX_WAITING_CALLS: Final = 1000
"""How many buffers or blocks wait for a callback; what comes beyond them is left out for it."""


class _Timeout(Request):
    timeout_s: Wait


class Streamer(StreamedBuffers):
    """Streams variables of a board into Python: buffers, callbacks, files."""

    _dispatcher: Dispatcher | None = None

    @property
    def dropped_calls(self) -> int:
        """Calls of the last callback that were left out since it was too slow."""
        return self._dispatcher.dropped if self._dispatcher is not None else 0

    # ---- streaming -------------------------------------------------------------------------

    def start_streaming(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        saving_enabled: bool = False,
        saving_filename: str = "var_stream.txt",
        saving_dir: str | Path = "./",
        on_buffer_callback: Callable[..., Any] | None = None,
        on_block_callback: Callable[..., Any] | None = None,
        callback_args: Any = (),
        *,
        saving_format: FileFormat = "text",
    ) -> None:
        """Stream until :meth:`stop_streaming`; what streams already is stopped first.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.
        periods : sequence of int
            Of no use here: a ``Monitor`` has periods.
        saving_enabled : bool
            Whether each variable is saved into a file of its own.
        saving_filename : str
            Ending of the files' names: the file of ``pot1`` is ``pot1_var_stream.txt``, or
            ``pot1_var_stream__1.txt`` when that is there already.
        saving_dir : path-like
            Folder of the files.
        on_buffer_callback : callable
            Called with each buffer, ``{"name": ..., "buffer": ...}``, in a thread of its own. May
            be a coroutine function.
        on_block_callback : callable
            Called with a list of one buffer for each variable, all of the same span of ticks.
        callback_args : object
            What the callback is given besides: a tuple of arguments, or a single one.
        saving_format : {"text", "compact", "csv"}
            The tutorial's text, NumPy's ``.npy`` or a table; ``file_writers`` has all of them.

        Raises
        ------
        BelaError
            When that cannot be; its message says what to do.
        """
        _warn_of_periods(periods)
        options = make_options(
            (saving_enabled, saving_filename, saving_dir, saving_format),
            (on_buffer_callback, on_block_callback, callback_args),
        )
        self._start(variables, options)

    def stop_streaming(self, variables: Sequence[str] | str = ()) -> None:
        """End the run, or some variables of it, with all that the board still holds of them.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all. The others go on.

        Raises
        ------
        UnknownVariableError
            When the board has no variable of a name; nothing was ended.
        """
        self._stop_some(self._names(variables))

    def stream_n_values(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        n_values: int = 1000,
        saving_enabled: bool = False,
        saving_filename: str | None = None,
        saving_dir: str | Path = "./",
        on_buffer_callback: Callable[..., Any] | None = None,
        on_block_callback: Callable[..., Any] | None = None,
        callback_args: Any = (),
        *,
        saving_format: FileFormat = "text",
        timeout_s: float | None = None,
    ) -> Buffers:
        """Wait for a number of values of each variable.

        There are some more, since the board sends them in blocks; :attr:`report` says how many.

        Parameters
        ----------
        variables, periods, saving_enabled, saving_filename, saving_dir, saving_format
            As for :meth:`start_streaming`.
        on_buffer_callback, on_block_callback, callback_args
            As for :meth:`start_streaming`.
        n_values : int
            How many of each, at least 1.
        timeout_s : float, optional
            How long to wait; by default a minute longer than the values should take. Blocks of
            sparse variables can take long to fill: what they hold after this time counts as well.

        Returns
        -------
        dict of str to list of dict
            The buffers of each variable of the board, as in :attr:`streaming_buffers_queue`.

        Raises
        ------
        NoReplyError
            When they do not come in time; those that came are in `streaming_buffers_queue`.
        BelaError
            When that cannot be; its message says what to do.
        """
        _warn_of_periods(periods)
        amount = check_arguments(Amount, n_values=n_values, timeout_s=timeout_s)
        options = make_options(
            (saving_enabled, saving_filename, saving_dir, saving_format),
            (on_buffer_callback, on_block_callback, callback_args),
        )
        return self._stream_n_values(variables, amount, options)

    async def async_stream_n_values(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        n_values: int = 1000,
        saving_enabled: bool = False,
        saving_filename: str | None = "var_stream.txt",
        saving_dir: str | Path = "./",
        on_buffer_callback: Callable[..., Any] | None = None,
        on_block_callback: Callable[..., Any] | None = None,
        callback_args: Any = (),
        *,
        saving_format: FileFormat = "text",
        timeout_s: float | None = None,
    ) -> Buffers:
        """Do :meth:`stream_n_values` while the event loop goes on; cancelling it stops it."""
        _warn_of_periods(periods)
        amount = check_arguments(Amount, n_values=n_values, timeout_s=timeout_s)
        options = make_options(
            (saving_enabled, saving_filename, saving_dir, saving_format),
            (on_buffer_callback, on_block_callback, callback_args),
        )
        return await self._in_thread(
            lambda given_up: self._stream_n_values(variables, amount, options, given_up)
        )

    def schedule_streaming(
        self,
        variables: Sequence[str] | str = (),
        timestamps: Sequence[int] | int = (),
        durations: Sequence[int] | int = (),
        saving_enabled: bool = False,
        saving_filename: str = "var_stream.txt",
        saving_dir: str | Path = "./",
        on_buffer_callback: Callable[..., Any] | None = None,
        on_block_callback: Callable[..., Any] | None = None,
        callback_args: Any = (),
        *,
        saving_format: FileFormat = "text",
        timeout_s: float | None = None,
        blocking: bool = True,
    ) -> None:
        """Let the board itself start and end the streams, exactly, and wait for the end.

        Parameters
        ----------
        variables, saving_enabled, saving_filename, saving_dir, saving_format
            As for :meth:`start_streaming`.
        timestamps : sequence of int
            First tick of each variable, or one for all.
        durations : sequence of int
            Ticks from there to the last one, which is part of the stream.
        on_buffer_callback, on_block_callback, callback_args
            As for :meth:`start_streaming`.
        timeout_s : float, optional
            How long to wait; by default somewhat longer than the schedule takes.
        blocking : bool
            Whether to wait; :meth:`wait_until_finished` does so later.

        Raises
        ------
        NoReplyError
            When it does not end in time.
        BelaError
            When that cannot be; its message says what to do.
        """
        options = make_options(
            (saving_enabled, saving_filename, saving_dir, saving_format),
            (on_buffer_callback, on_block_callback, callback_args),
        )
        if timeout_s is not None:
            timeout_s = check_arguments(_Timeout, timeout_s=timeout_s).timeout_s
        chosen = self._choose(variables)
        request = check_arguments(
            ScheduleRequest,
            variables=[variable.name for variable in chosen],
            timestamps=timestamps,
            durations=durations,
        )
        command = lambda: self._open_session().schedule(request)  # noqa: E731
        self._prepare(chosen, options, command, kind=RunKind.SCHEDULE)
        if blocking:
            if timeout_s is None:
                timeout_s = self._scheduled_s(request) + SCHEDULE_MARGIN_S
            self.wait_until_finished(timeout_s)

    def wait_until_finished(self, timeout_s: float) -> None:
        """Wait for the end of a schedule.

        Parameters
        ----------
        timeout_s : float
            How long.

        Raises
        ------
        NoReplyError
            When it does not end in time; it is stopped then.
        """
        timeout_s = check_arguments(_Timeout, timeout_s=timeout_s).timeout_s
        run = self._run
        names = ", ".join(variable.name for variable in run.variables)
        what = f"the scheduled {names}"
        expected_s = max(timeout_s - SCHEDULE_MARGIN_S, timeout_s / 2)
        begun_s = local_clock()
        try:
            with ProgressDisplay(what, lambda: min(1.0, (local_clock() - begun_s) / expected_s)):
                in_time = run.wait(lambda: False, timeout_s)
        except BaseException:
            self._give_up(run)
            raise
        self._end()
        if not in_time:
            raise NoReplyError(what, self.settings.board.url, timeout_s, run.describe())

    # ---- inside ----------------------------------------------------------------------------

    def _stream_n_values(
        self,
        variables: Sequence[str] | str,
        amount: Amount,
        options: StreamingOptions,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> Buffers:
        run = self._start(variables, options, amount.n_values)
        self._wait_for_values(run, amount, is_given_up)
        logger.info("streamed %d values\n%s", amount.n_values, run.describe())
        return self._given(run)

    def _start(
        self, variables: Sequence[str] | str, options: StreamingOptions, n_values: int | None = None
    ) -> StreamingRun:
        chosen = self._choose(variables)
        request = StartRequest(variables=tuple(variable.name for variable in chosen))
        run = self._prepare(chosen, options, lambda: self._open_session().start(request), n_values)
        logger.info("streaming %s", ", ".join(variable.name for variable in chosen))
        return run

    def _prepare(
        self,
        variables: Sequence[Variable],
        options: StreamingOptions,
        command: Callable[[], Future[str]],
        n_values: int | None = None,
        kind: RunKind = RunKind.FOREVER,
    ) -> StreamingRun:
        self._end()
        return self._begin(variables, self._outputs(variables, options), command, n_values, kind)

    def _outputs(self, variables: Sequence[Variable], options: StreamingOptions) -> list[Output]:
        outputs: list[Output] = []
        if options.saving_enabled:
            outputs.append(self._recording(variables, options))
        for_buffer, for_block = options.on_buffer_callback, options.on_block_callback
        if for_buffer is not None:
            call = for_buffer if self.arrays else with_lists(for_buffer, variables)
            outputs.append(BufferCallback(self._dispatch(call, options)))
        elif for_block is not None:
            call = for_block if self.arrays else with_lists_of_block(for_block, variables)
            outputs.append(BlockCallback(self._dispatch(call, options), variables))
        return outputs

    def _dispatch(self, call: Callable[..., Any], options: StreamingOptions) -> Dispatcher:
        report = self._open_session().note_error
        self._dispatcher = Dispatcher(call, options.callback_args, report, MAX_WAITING_CALLS)
        return self._dispatcher

    def _scheduled_s(self, request: ScheduleRequest) -> float:
        """Tell how long it takes from now to the end of a schedule."""
        view = self._look()
        names = [variable.name for variable in self._run.variables]
        end = max(max(tick, view.tick) + duration for tick, duration in request.ticks_for(names))
        rate_hz = view.tick_rate_hz
        return (end - view.tick) / (rate_hz if rate_hz > 0 else view.declared_rate_hz)


def _warn_of_periods(periods: Sequence[int] | int) -> None:
    if as_list(periods):
        warnings.warn(
            f"periods = {shown(periods)} are ignored: a Streamer streams all values; the number "
            "of values is n_values",
            stacklevel=3,
        )
