"""What a Streamer has received: queues of buffers as lists or arrays, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bela_module.protocol.variables import Variable
from bela_module.recording.buffers import BufferData
from bela_module.recording.recording_files import load_buffers
from bela_module.scripting.list_buffers import (
    ConvertedQueues,
    ListBuffer,
    as_lists,
    join_values,
    split_partial,
    ticks_of,
    without_partial,
)
from bela_module.scripting.live_board import CONTROL_PATH, DATA_PATH
from bela_module.scripting.receiver import Receiver
from bela_module.scripting.streaming_run import StreamingRun

Buffer = BufferData | ListBuffer
Buffers = dict[str, list[Any]]
"""Buffers of each variable: with arrays a ``BufferData`` each, else a ``ListBuffer``."""


class StreamedBuffers(Receiver):
    """A board whose variables stream into Python, and what has come of them."""

    def __init__(
        self,
        ip: str | None = None,
        port: int | None = None,
        data_add: str = DATA_PATH,
        control_add: str = CONTROL_PATH,
        *,
        arrays: bool = False,
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
        arrays : bool
            Whether buffers hold NumPy arrays, which costs less and tells more: ``rel_timestamps``
            of dense variables, too, and the last block of a run however far the board had filled
            it. By default they are those of pybela: lists, in whole blocks.

        Raises
        ------
        ConfigError
            When the address is none.
        ArgumentError
            When the channels have other names.
        """
        super().__init__(ip, port, data_add, control_add)
        self.arrays = arrays
        self._in_blocks = not arrays
        self._lists = ConvertedQueues[ListBuffer]()

    # ---- what has come ---------------------------------------------------------------------

    @property
    def streaming_buffers_queue(self) -> Buffers:
        """The newest buffers of each variable, of this run or of the last.

        Without arrays these are whole blocks, and there is a list for each variable of the board;
        :attr:`partial_buffers` has what may follow them.
        """
        return self._given(self._run)

    @property
    def partial_buffers(self) -> dict[str, Buffer]:
        """The last block of each variable in a run that has ended, where it was not full.

        Without arrays it is not in the queue, whose buffers are all of one length, unless it is
        the only one; ``streaming_buffers_data``, callbacks and files have its values in any case.
        """
        run = self._run
        if not run.ended:
            return {}
        queues = run.queues()
        parted = {v: split_partial(v, queues[v.name])[1] for v in run.variables}
        return {v.name: self._shaped(v, part) for v, part in parted.items() if part is not None}

    @property
    def streaming_buffers_data(self) -> dict[str, list[Any]]:
        """The values that are kept of each variable of the board, in one list each."""
        queues = self._run.queues()
        return {name: join_values(queues.get(name, ())) for name in self._names_of_all()}

    @property
    def last_streamed_buffer(self) -> dict[str, dict[str, Any]]:
        """The newest buffer of each variable of the board: ``data``, ``timestamps`` (ticks).

        Of those that stream also ``lsl_timestamps``.
        """
        newest: dict[str, dict[str, Any]] = {}
        for name in self._names_of_all():
            newest[name] = {"data": [], "timestamps": []}
        for name, buffer in self._run.newest().items():
            ticks = buffer["rel_timestamps"] + buffer["ref_timestamp"]
            newest[name] = {
                "data": buffer["data"] if self.arrays else buffer["data"].tolist(),
                "timestamps": ticks if self.arrays else ticks_of(buffer),
                "lsl_timestamps": buffer["lsl_timestamps"],
            }
        return newest

    def load_data_from_file(
        self, filename: str | Path, partial: bool | None = None
    ) -> list[dict[str, Any]]:
        """Read a file that was saved; see ``load_buffers``.

        Parameters
        ----------
        filename : path-like
            The file.
        partial : bool, optional
            Whether the last block of a run is given even if it is not a whole one; by default as
            in :attr:`streaming_buffers_queue`.
        """
        buffers = load_buffers(filename)
        wants_partial = self.arrays if partial is None else partial
        return buffers if wants_partial else without_partial(buffers)

    # ---- for the classes that build on this one --------------------------------------------

    def _given(self, run: StreamingRun) -> Buffers:
        """Give the buffers of a run as scripts get them."""
        queues = run.queues()
        if self.arrays:
            return queues
        if run.ended:
            for variable in run.variables:
                queues[variable.name], _ = split_partial(variable, queues[variable.name])
        sparse = {variable.name for variable in run.variables if variable.sparse}
        convert = lambda name, buffer: [as_lists(buffer, sparse=name in sparse)]  # noqa: E731
        nothing: Buffers = {name: [] for name in self._names_of_all()}
        return nothing | self._lists.of(queues, convert)

    def _shaped(self, variable: Variable, buffer: BufferData) -> Buffer:
        return buffer if self.arrays else as_lists(buffer, sparse=variable.sparse)
