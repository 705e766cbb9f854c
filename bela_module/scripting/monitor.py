"""``Monitor``: single values of variables at a low rate, as in the Bela tutorials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np

from bela_module.errors import ArgumentError, RequestError
from bela_module.protocol.variables import Variable
from bela_module.recording.file_writers import FileFormat
from bela_module.recording.recording_files import load_buffers
from bela_module.requests import MonitorRequest
from bela_module.scripting.arguments import (
    Saving,
    StreamingOptions,
    check_arguments,
    make_options,
    make_saving,
)
from bela_module.scripting.callback_dispatcher import Dispatcher, ValueCallback
from bela_module.scripting.list_buffers import ConvertedQueues, MonitoredValue, monitored_values
from bela_module.scripting.live_board import CONTROL_PATH, DATA_PATH
from bela_module.scripting.receiver import Amount, Receiver
from bela_module.scripting.streaming_run import Output, StreamingRun
from bela_module.scripting.time_limits import PEEK_S
from bela_module.validation import as_list

_DEFAULT_PERIOD_TICKS: Final = 1000
_ONCE: Final = 1
_MAX_WAITING_CALLS: Final = 10_000
DEFAULT_FILENAME: Final = "monitor.txt"


class MonitoredValues(TypedDict):
    """What was monitored of a variable.

    Attributes
    ----------
    timestamps : list of int
        Tick of each value.
    values : list of float
        The values.
    lsl_timestamps : list of float
        LSL time, in seconds, at which the board took each.
    """

    timestamps: list[int]
    values: list[Any]
    lsl_timestamps: list[float]


class Monitor(Receiver):
    """Receives single values of variables of a board, at a low rate."""

    _queue_length: int = 2000

    def __init__(
        self,
        ip: str | None = None,
        port: int | None = None,
        data_add: str = DATA_PATH,
        control_add: str = CONTROL_PATH,
    ) -> None:
        """Take a board's address; :meth:`connect` connects to it.

        Parameters
        ----------
        ip : str, optional
            Host name or address of the board; by default that of the environment variable
            ``BELA_HOST``, else ``bela.local``.
        port : int, optional
            Port of its websockets; by default ``BELA_PORT``, else 5555.
        data_add, control_add : str
            Names of its two channels, which are the same on every board.

        Raises
        ------
        ConfigError
            When the address is none.
        ArgumentError
            When the channels have other names.
        """
        super().__init__(ip, port, data_add, control_add)
        self._values = ConvertedQueues[MonitoredValue]()

    # ---- what has come ---------------------------------------------------------------------

    @property
    def streaming_buffers_queue(self) -> dict[str, list[MonitoredValue]]:
        """The newest values of each variable of the board, of this run or of the last."""
        run = self._run
        length = run.n_values or self._queue_length
        part = slice(length) if run.n_values else slice(-length, None)
        came = self._values.of(run.queues(), lambda _name, buffer: monitored_values(buffer))
        return {name: came.get(name, [])[part] for name in self._names_of_all()}

    @property
    def streaming_buffers_data(self) -> dict[str, list[Any]]:
        """The newest values of each variable of the board, without their times."""
        queues = self.streaming_buffers_queue
        return {name: [entry["value"] for entry in queue] for name, queue in queues.items()}

    @property
    def last_streamed_buffer(self) -> dict[str, dict[str, Any]]:
        """The newest value of each variable: ``timestamp``, ``value``, ``lsl_timestamp``.

        Of those of which none came: ``data`` and ``timestamps``, both empty.
        """
        nothing: dict[str, Any] = {"data": [], "timestamps": []}
        queues = self.streaming_buffers_queue
        return {n: dict(queue[-1]) if queue else dict(nothing) for n, queue in queues.items()}

    @property
    def values(self) -> dict[str, MonitoredValues]:
        """The newest values of each variable of the board, of this run or of the last."""
        return {name: _flatten(queue) for name, queue in self.streaming_buffers_queue.items()}

    # ---- monitoring ------------------------------------------------------------------------

    def peek(self, variables: Sequence[str] | str = ()) -> dict[str, dict[str, Any]]:
        """Look at the present values, once.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.

        Returns
        -------
        dict of str to dict
            For each variable the ``value`` that the sketch assigned next, and its ``timestamp``,
            the tick at which it did. Of a variable that it does not assign within half a second:
            the value assigned last, to 15 digits (NaN when it is not finite), and the board's
            last tick; the same of one that another client monitors. While this Monitor monitors:
            its newest values, and of other variables the same.
        """
        chosen = self._choose(variables)
        if self._run.ended:
            # A variable has one monitor on the board: those of others are left as they are.
            came = self._look_once([v for v in chosen if v.monitor_period_ticks == 0])
        else:
            came = {name: queue for name, queue in self.streaming_buffers_queue.items() if queue}
        listed = {variable.name: variable for variable in self._look().variables}
        tick = self._view.tick if self._view is not None else 0
        return {
            name: {"timestamp": came[name][-1]["timestamp"], "value": came[name][-1]["value"]}
            if came.get(name)
            else {"timestamp": tick, "value": _assigned(listed.get(name, variable))}
            for name, variable in ((variable.name, variable) for variable in chosen)
        }

    def start_monitoring(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        saving_enabled: bool = False,
        saving_filename: str = DEFAULT_FILENAME,
        saving_dir: str | Path = "./",
        *,
        saving_format: FileFormat = "text",
    ) -> None:
        """Receive single values until :meth:`stop_monitoring`.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.
        periods : sequence of int
            Ticks between two values, of each variable or one for all; by default 1000.
        saving_enabled, saving_filename, saving_dir, saving_format
            As for a ``Streamer``.

        Raises
        ------
        BelaError
            When that cannot be; its message says what to do.
        """
        saving = make_saving(saving_enabled, saving_filename, saving_dir, saving_format)
        self._start(variables, periods, saving)

    def start_streaming(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        saving_enabled: bool = False,
        saving_filename: str = "var_stream.txt",
        saving_dir: str | Path = "./",
        on_buffer_callback: Callable[..., Any] | None = None,
        on_block_callback: None = None,
        callback_args: Any = (),
        *,
        saving_format: FileFormat = "text",
    ) -> None:
        """Do :meth:`start_monitoring`, and call a function with each value.

        Parameters
        ----------
        variables, periods, saving_enabled, saving_filename, saving_dir, saving_format
            As for :meth:`start_monitoring`.
        on_buffer_callback : callable
            Called with ``{"name": ..., "buffer": {"timestamp": ..., "value": ...}}``, in a thread
            of its own. May be a coroutine function.
        on_block_callback : None
            Of no use here: monitored values do not come in blocks.
        callback_args : object
            What the callback is given besides: a tuple of arguments, or a single one.

        Raises
        ------
        BelaError
            When that cannot be; its message says what to do.
        """
        options = make_options(
            (saving_enabled, saving_filename, saving_dir, saving_format),
            (on_buffer_callback, on_block_callback, callback_args),
        )
        if on_block_callback is not None:
            raise ArgumentError(
                "on_block_callback: monitored values do not come in blocks; use on_buffer_callback"
            )
        self._start(variables, periods, options, options=options)

    def stop_monitoring(self, variables: Sequence[str] | str = ()) -> dict[str, MonitoredValues]:
        """End the run, or some variables of it.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all. The others go on.

        Returns
        -------
        dict of str to MonitoredValues
            The values of each variable of which any came.

        Raises
        ------
        UnknownVariableError
            When the board has no variable of a name; nothing was ended.
        """
        self.stop_streaming(variables)
        return {name: values for name, values in self.values.items() if values["timestamps"]}

    def stop_streaming(self, variables: Sequence[str] | str = ()) -> None:
        """Do :meth:`stop_monitoring`, without returning anything."""
        self._stop_some(self._names(variables))

    def monitor_n_values(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        n_values: int = 1000,
        saving_enabled: bool = False,
        saving_filename: str | None = DEFAULT_FILENAME,
        *,
        saving_dir: str | Path = "./",
        saving_format: FileFormat = "text",
        timeout_s: float | None = None,
    ) -> dict[str, MonitoredValues]:
        """Wait for a number of values of each variable.

        Parameters
        ----------
        variables, periods, saving_enabled, saving_filename, saving_dir, saving_format
            As for :meth:`start_monitoring`.
        n_values : int
            How many of each, at least 1.
        timeout_s : float, optional
            How long to wait; by default a minute longer than the values should take.

        Returns
        -------
        dict of str to MonitoredValues
            The values of each variable of the board.

        Raises
        ------
        NoReplyError
            When they do not come in time; those that came are in `values`.
        BelaError
            When that cannot be; its message says what to do.
        """
        amount = check_arguments(Amount, n_values=n_values, timeout_s=timeout_s)
        filename = DEFAULT_FILENAME if saving_filename is None else saving_filename
        saving = make_saving(saving_enabled, filename, saving_dir, saving_format)
        return self._monitor_n_values(variables, periods, amount, saving)

    async def async_monitor_n_values(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        n_values: int = 1000,
        saving_enabled: bool = False,
        saving_filename: str | None = None,
        *,
        saving_dir: str | Path = "./",
        saving_format: FileFormat = "text",
        timeout_s: float | None = None,
    ) -> dict[str, MonitoredValues]:
        """Do :meth:`monitor_n_values` while the event loop goes on; cancelling it stops it."""
        amount = check_arguments(Amount, n_values=n_values, timeout_s=timeout_s)
        filename = DEFAULT_FILENAME if saving_filename is None else saving_filename
        saving = make_saving(saving_enabled, filename, saving_dir, saving_format)
        return await self._in_thread(
            lambda given_up: self._monitor_n_values(variables, periods, amount, saving, given_up)
        )

    def load_data_from_file(
        self, filename: str | Path, flatten: bool = True
    ) -> MonitoredValues | list[dict[str, Any]]:
        """Read a file that was saved.

        Parameters
        ----------
        filename : path-like
            The file.
        flatten : bool
            Whether to join the values: ``timestamps`` and ``values``, else a list of values with
            their ``timestamp``.
        """
        try:
            entries = [entry for buffer in load_buffers(filename) for entry in _entries(buffer)]
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, RequestError):
                raise
            raise ArgumentError(
                f"{filename} is no file of monitored values: {error!r}; a Streamer may load it"
            ) from error
        return _flatten(entries) if flatten else entries

    # ---- inside ----------------------------------------------------------------------------

    def _monitor_n_values(
        self,
        variables: Sequence[str] | str,
        periods: Sequence[int] | int,
        amount: Amount,
        saving: Saving,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> dict[str, MonitoredValues]:
        run = self._start(variables, periods, saving, amount.n_values)
        self._wait_for_values(run, amount, is_given_up)
        return self.values

    def _start(
        self,
        variables: Sequence[str] | str,
        periods: Sequence[int] | int,
        saving: Saving,
        n_values: int | None = None,
        options: StreamingOptions | None = None,
    ) -> StreamingRun:
        chosen = self._choose(variables)
        request = check_arguments(
            MonitorRequest,
            variables=[variable.name for variable in chosen],
            periods=as_list(periods) or _DEFAULT_PERIOD_TICKS,
        )
        self._end()
        outputs: list[Output] = []
        if saving.saving_enabled:
            outputs.append(self._recording(chosen, saving, singly=True))
        if options is not None and (call := options.on_buffer_callback) is not None:
            report = self._open_session().note_error
            dispatcher = Dispatcher(call, options.callback_args, report, _MAX_WAITING_CALLS)
            outputs.append(ValueCallback(dispatcher))
        return self._begin(chosen, outputs, lambda: self._open_session().monitor(request), n_values)

    def _look_once(self, chosen: Sequence[Variable]) -> dict[str, list[MonitoredValue]]:
        """Wait for the next value of some variables, for a while; the last run stays what it is."""
        before = self._run
        if not chosen:
            return {}
        once = {"variables": [variable.name for variable in chosen], "periods": _ONCE}
        request = check_arguments(MonitorRequest, **once)
        run = self._begin(chosen, [], lambda: self._open_session().monitor(request), 1)
        try:
            run.wait(lambda: run.complete, PEEK_S)
        finally:
            self._end()
            self._run = before
        return {name: monitored_values(queue[0]) for name, queue in run.queues().items() if queue}


def _entries(buffer: dict[str, Any]) -> list[Any]:
    """Give the values of a line of a file one by one."""
    if "value" in buffer:
        return [buffer]
    ticks = np.asarray(buffer["rel_timestamps"]) + buffer["ref_timestamp"]
    columns = (ticks, np.asarray(buffer["data"]), np.asarray(buffer["lsl_timestamps"]))
    return [
        MonitoredValue(timestamp=tick, value=value, lsl_timestamp=stamp_s)
        for tick, value, stamp_s in zip(*(c.tolist() for c in columns), strict=True)
    ]


def _flatten(entries: Sequence[Any]) -> MonitoredValues:
    return MonitoredValues(
        timestamps=[entry["timestamp"] for entry in entries],
        values=[entry["value"] for entry in entries],
        # Files of pybela have none.
        lsl_timestamps=[e["lsl_timestamp"] for e in entries if "lsl_timestamp" in e],
    )


def _assigned(variable: Variable) -> float | int:
    """Give what the sketch last assigned, as a number of the variable's own type."""
    value = variable.value if np.isnan(variable.value_input) else variable.value_input
    is_whole = variable.value_type.dtype.kind in "iu" and np.isfinite(value)
    return int(value) if is_whole else value
