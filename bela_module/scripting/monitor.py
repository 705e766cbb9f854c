"""``Monitor``: single values of variables at a low rate, as in the Bela tutorials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np

from bela_module.errors import RequestError
from bela_module.protocol.variables import Variable
from bela_module.recording.file_writers import FileFormat
from bela_module.recording.recording_files import load_buffers
from bela_module.requests import MonitorRequest, make_request
from bela_module.scripting.receiver import Amount, Receiver, Saving
from bela_module.scripting.streaming_run import Output, StreamingRun
from bela_module.validation import as_list

_DEFAULT_PERIOD_TICKS: Final = 1000


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

    @property
    def values(self) -> dict[str, MonitoredValues]:
        """The newest values of each variable that is monitored, or was last."""
        return {name: _flatten(buffers) for name, buffers in self.streaming_buffers_queue.items()}

    def peek(self, variables: Sequence[str] | str = ()) -> dict[str, dict[str, Any]]:
        """Look at the present values, once.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.

        Returns
        -------
        dict of str to dict
            For each variable the ``timestamp``, the board's last tick, and the ``value`` that the
            sketch has assigned last, to 15 digits; NaN when it is not finite.
        """
        chosen = self._choose(variables)
        tick = self._view.tick if self._view is not None else 0
        return {
            variable.name: {"timestamp": tick, "value": _assigned(variable)} for variable in chosen
        }

    def start_monitoring(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        saving_enabled: bool = False,
        saving_filename: str = "monitor.txt",
        saving_dir: str | Path = "./",
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
        saving = _saving(saving_enabled, saving_filename, saving_dir, saving_format)
        self._start(variables, periods, saving)

    def stop_monitoring(self, variables: Sequence[str] | str = ()) -> dict[str, MonitoredValues]:
        """End the run.

        Parameters
        ----------
        variables : sequence of str
            Whose values are wanted; by default all. All of them end.

        Returns
        -------
        dict of str to MonitoredValues
            The values of each variable of which any came.
        """
        wanted = self._names(variables)
        self._end()
        return {
            name: values
            for name, values in self.values.items()
            if values["timestamps"] and (not wanted or name in wanted)
        }

    def monitor_n_values(
        self,
        variables: Sequence[str] | str = (),
        periods: Sequence[int] | int = (),
        n_values: int = 1000,
        saving_enabled: bool = False,
        saving_filename: str = "monitor.txt",
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
            The values of each variable.

        Raises
        ------
        NoReplyError
            When they do not come in time; those that came are in `values`.
        BelaError
            When that cannot be; its message says what to do.
        """
        amount = make_request(Amount, {"n_values": n_values, "timeout_s": timeout_s})
        saving = _saving(saving_enabled, saving_filename, saving_dir, saving_format)
        run = self._start(variables, periods, saving, amount.n_values)
        self._wait_for_values(run, amount)
        return self.values

    def load_data_from_file(
        self, filename: str | Path, flatten: bool = True
    ) -> MonitoredValues | list[dict[str, Any]]:
        """Read a file that was saved; see ``load_buffers``.

        Parameters
        ----------
        filename : path-like
            The file.
        flatten : bool
            Whether to join the buffers.
        """
        buffers = load_buffers(filename)
        if not flatten:
            return buffers
        try:
            return _flatten(buffers)
        except (KeyError, TypeError) as error:
            raise RequestError(
                f"{filename} was not written by this module: {error}; try flatten=False"
            ) from error

    def _start(
        self,
        variables: Sequence[str] | str,
        periods: Sequence[int] | int,
        saving: Saving,
        n_values: int | None = None,
    ) -> StreamingRun:
        chosen = self._choose(variables)
        fields = {
            "variables": [variable.name for variable in chosen],
            "periods": as_list(periods) or _DEFAULT_PERIOD_TICKS,
        }
        request = make_request(MonitorRequest, fields)
        self._end()
        outputs: list[Output] = []
        if saving.saving_enabled:
            outputs.append(self._recording(chosen, saving))
        return self._begin(chosen, outputs, lambda: self._open_session().monitor(request), n_values)


def _saving(enabled: bool, filename: str, folder: str | Path, file_format: FileFormat) -> Saving:
    fields = {"saving_enabled": enabled, "saving_filename": filename}
    return make_request(Saving, {**fields, "saving_dir": folder, "saving_format": file_format})


def _flatten(buffers: Sequence[Any]) -> MonitoredValues:
    values = MonitoredValues(timestamps=[], values=[], lsl_timestamps=[])
    for buffer in buffers:
        ticks = np.asarray(buffer["rel_timestamps"]) + buffer["ref_timestamp"]
        values["timestamps"] += ticks.tolist()
        values["values"] += np.asarray(buffer["data"]).tolist()
        values["lsl_timestamps"] += np.asarray(buffer["lsl_timestamps"]).tolist()
    return values


def _assigned(variable: Variable) -> float | int:
    """Give what the sketch last assigned, as a number of the variable's own type."""
    value = variable.value if np.isnan(variable.value_input) else variable.value_input
    is_whole = variable.value_type.dtype.kind in "iu" and np.isfinite(value)
    return int(value) if is_whole else value
