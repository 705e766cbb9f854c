"""``Streamer``: streams variables of a board into Python, as in the Bela tutorials.

>>> from bela_module import Streamer
>>> streamer = Streamer()
>>> streamer.connect()
>>> streamer.start_streaming(["pot1", "pot2"], on_block_callback=print)
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, Final, Unpack

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import NoReplyError, RequestError
from bela_module.protocol.variables import Variable
from bela_module.recording.buffers import BufferData
from bela_module.recording.recording_files import load_buffers
from bela_module.requests import (
    Request,
    ScheduleRequest,
    SendRequest,
    StartRequest,
    make_request,
)
from bela_module.scripting.callback_dispatcher import Dispatcher
from bela_module.scripting.progress import ProgressDisplay
from bela_module.scripting.receiver import Amount, Receiver
from bela_module.scripting.streaming_options import CheckedOptions, StreamingOptions
from bela_module.scripting.streaming_run import BlockCallback, BufferCallback, Output, StreamingRun
from bela_module.scripting.time_limits import SCHEDULE_MARGIN_S
from bela_module.streams.lsl_clock import local_clock
from bela_module.validation import Wait

logger = logging.getLogger(__name__)

MAX_WAITING_CALLS: Final = 1000
"""How many buffers or blocks wait for a callback; what comes beyond them is left out for it."""


class _Timeout(Request):
    timeout_s: Wait


class Streamer(Receiver):
    """Streams variables of a board into Python: buffers, callbacks, files."""

    _exclusive: ClassVar[bool] = True
    _dispatcher: Dispatcher | None = None

    # ---- what has come ---------------------------------------------------------------------

    @property
    def streaming_buffers_data(self) -> dict[str, list[Any]]:
        """The values of the buffers that are kept, by variable, in one list each."""
        return {
            name: np.concatenate([buffer["data"] for buffer in buffers]).tolist() if buffers else []
            for name, buffers in self.streaming_buffers_queue.items()
        }

    @property
    def last_streamed_buffer(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The newest buffer of each variable: ``data``, ``timestamps``, ``lsl_timestamps``."""
        return {
            name: {
                "data": buffer["data"],
                "timestamps": buffer["rel_timestamps"] + buffer["ref_timestamp"],
                "lsl_timestamps": buffer["lsl_timestamps"],
            }
            for name, buffer in self._run.newest().items()
        }

    @property
    def dropped_calls(self) -> int:
        """Calls of the last callback that were left out since it was too slow."""
        return self._dispatcher.dropped if self._dispatcher is not None else 0

    def load_data_from_file(self, filename: str | Path) -> list[dict[str, Any]]:
        """Read a file that was saved; see ``load_buffers``."""
        return load_buffers(filename)

    # ---- streaming -------------------------------------------------------------------------

    def start_streaming(
        self, variables: Sequence[str] | str = (), **options: Unpack[StreamingOptions]
    ) -> None:
        """Stream until :meth:`stop_streaming`; what streams already is stopped first.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.
        **options
            See :class:`StreamingOptions`.

        Raises
        ------
        BelaError
            When that cannot be; its message says what to do.
        """
        self._start(variables, make_request(CheckedOptions, options))

    def stop_streaming(self, variables: Sequence[str] | str = ()) -> None:
        """End the run, with all that the board still holds of it.

        Parameters
        ----------
        variables : sequence of str
            All that stream, or nothing, which means the same.

        Raises
        ------
        RequestError
            When only some of the variables are named.
        """
        named = set(self._names(variables))
        running = {variable.name for variable in self._run.variables}
        if named and not self._run.ended and not running <= named:
            raise RequestError(
                f"variables of one run end together; {', '.join(sorted(running - named))} would "
                "go on: call stop_streaming() without names"
            )
        self._end()
        logger.info("stopped streaming\n%s", self.report)

    def stream_n_values(
        self,
        variables: Sequence[str] | str = (),
        n_values: int = 1000,
        timeout_s: float | None = None,
        **options: Unpack[StreamingOptions],
    ) -> dict[str, list[BufferData]]:
        """Wait for a number of values of each variable.

        There are some more, since the board sends them in blocks; :attr:`report` says how many.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.
        n_values : int
            How many of each, at least 1.
        timeout_s : float, optional
            How long to wait; by default a minute longer than the values should take. Blocks of
            sparse variables can take long to fill: what they hold after this time counts as well.
        **options
            See :class:`StreamingOptions`.

        Returns
        -------
        dict of str to list of BufferData
            The buffers of each variable.

        Raises
        ------
        NoReplyError
            When they do not come in time; those that came are in `streaming_buffers_queue`.
        BelaError
            When that cannot be; its message says what to do.
        """
        return self._stream_n_values(variables, n_values, timeout_s, options)

    def schedule_streaming(
        self,
        variables: Sequence[str] | str = (),
        timestamps: Sequence[int] | int = (),
        durations: Sequence[int] | int = (),
        timeout_s: float | None = None,
        blocking: bool = True,
        **options: Unpack[StreamingOptions],
    ) -> None:
        """Let the board itself start and end the streams, exactly, and wait for the end.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.
        timestamps : sequence of int
            First tick of each variable, or one for all.
        durations : sequence of int
            Ticks from there to the last one, which is part of the stream.
        timeout_s : float, optional
            How long to wait; by default somewhat longer than the schedule takes.
        blocking : bool
            Whether to wait; :meth:`wait_until_finished` does so later.
        **options
            See :class:`StreamingOptions`.

        Raises
        ------
        NoReplyError
            When it does not end in time.
        BelaError
            When that cannot be; its message says what to do.
        """
        checked = make_request(CheckedOptions, options)
        if timeout_s is not None:
            timeout_s = make_request(_Timeout, {"timeout_s": timeout_s}).timeout_s
        chosen = self._choose(variables)
        fields = {"variables": [v.name for v in chosen], "timestamps": timestamps}
        request = make_request(ScheduleRequest, {**fields, "durations": durations})
        self._prepare(chosen, checked, lambda: self._open_session().schedule(request))
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
        timeout_s = make_request(_Timeout, {"timeout_s": timeout_s}).timeout_s
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

    async def async_stream_n_values(
        self,
        variables: Sequence[str] | str = (),
        n_values: int = 1000,
        timeout_s: float | None = None,
        **options: Unpack[StreamingOptions],
    ) -> dict[str, list[BufferData]]:
        """Do :meth:`stream_n_values` while the event loop goes on; cancelling it stops it."""
        given_up = threading.Event()
        work = asyncio.ensure_future(
            asyncio.to_thread(
                self._stream_n_values, variables, n_values, timeout_s, options, given_up.is_set
            )
        )
        work.add_done_callback(_retrieve_exception)
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            given_up.set()
            self._run.wake()
            await asyncio.wait({work})  # its thread ends what it has begun, or was about to
            raise
        return work.result()

    # ---- to the board ----------------------------------------------------------------------

    def send_buffer(
        self, buffer_id: int, buffer_type: str, buffer_length: int, data_list: Sequence[float]
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

        Raises
        ------
        RequestError
            When there are not as many, or the type does not hold them.
        """
        fields = {"buffer_id": buffer_id, "type": buffer_type, "data": data_list}
        request = make_request(SendRequest, fields)
        if buffer_length != len(request.data):
            raise RequestError(f"buffer_length = {buffer_length} for {len(request.data)} numbers")
        self._result(self._open_session().send(request), "send")

    # ---- inside ----------------------------------------------------------------------------

    def _stream_n_values(
        self,
        variables: Sequence[str] | str,
        n_values: int,
        timeout_s: float | None,
        options: StreamingOptions,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> dict[str, list[BufferData]]:
        amount = make_request(Amount, {"n_values": n_values, "timeout_s": timeout_s})
        run = self._start(variables, make_request(CheckedOptions, options), amount.n_values)
        self._wait_for_values(run, amount, is_given_up)
        logger.info("streamed %d values\n%s", amount.n_values, run.describe())
        return run.queues()

    def _start(
        self, variables: Sequence[str] | str, options: CheckedOptions, n_values: int | None = None
    ) -> StreamingRun:
        chosen = self._choose(variables)
        request = make_request(StartRequest, {"variables": [v.name for v in chosen]})
        run = self._prepare(chosen, options, lambda: self._open_session().start(request), n_values)
        logger.info("streaming %s", ", ".join(variable.name for variable in chosen))
        return run

    def _prepare(
        self,
        variables: Sequence[Variable],
        options: CheckedOptions,
        command: Callable[[], Future[str]],
        n_values: int | None = None,
    ) -> StreamingRun:
        self._end()
        return self._begin(variables, self._outputs(variables, options), command, n_values)

    def _outputs(self, variables: Sequence[Variable], options: CheckedOptions) -> list[Output]:
        outputs: list[Output] = []
        if options.saving_enabled:
            outputs.append(self._recording(variables, options))
        callback = options.on_buffer_callback or options.on_block_callback
        if callback is not None:
            report = self._open_session().note_error
            dispatcher = Dispatcher(callback, options.callback_args, report, MAX_WAITING_CALLS)
            self._dispatcher = dispatcher
            if options.on_buffer_callback is not None:
                outputs.append(BufferCallback(dispatcher))
            else:
                outputs.append(BlockCallback(dispatcher, variables))
        return outputs

    def _scheduled_s(self, request: ScheduleRequest) -> float:
        """Tell how long it takes from now to the end of a schedule."""
        view = self._look()
        names = [variable.name for variable in self._run.variables]
        end = max(max(tick, view.tick) + duration for tick, duration in request.ticks_for(names))
        rate_hz = view.tick_rate_hz
        return (end - view.tick) / (rate_hz if rate_hz > 0 else view.declared_rate_hz)


def _retrieve_exception(work: asyncio.Future[Any]) -> None:
    """Read the exception of abandoned work, which asyncio would report otherwise."""
    if not work.cancelled():
        work.exception()
