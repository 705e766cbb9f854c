"""Files of what is streamed: text as in the Streamer tutorial, or compact.

*Text* is one line of JSON for each buffer: ``ref_timestamp``, ``data``, ``rel_timestamps``,
``lsl_timestamps``, ``lost``. *Compact* is NumPy's own format, ``.npy``: one record for each
sample, of the tick, the LSL time and the value. It is opened by ``numpy.load``, even while it
grows, and ``pandas.DataFrame(numpy.load(path))`` is the table.

Files are written by a thread of their own and handed to the operating system every second, so
that a killed process has lost no more than its last second. No file is ever overwritten.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, TextIO

import numpy as np
from numpy.lib import format as npy

from bela_module.buffers import BufferData
from bela_module.errors import RequestError
from bela_module.files import new_paths

logger = logging.getLogger(__name__)

FileFormat = Literal["text", "compact"]

_FLUSH_PERIOD_S: Final = 1.0
_MAX_WAITING_BUFFERS: Final = 5000
_CLOSE_TIMEOUT_S: Final = 10.0
_SUFFIXES: Final[dict[FileFormat, str]] = {"text": ".txt", "compact": ".npy"}
_RESERVED_FIELDS: Final = ("tick", "lsl_s")


@dataclass(frozen=True, slots=True)
class Track:
    """One file of a recording.

    Parameters
    ----------
    name : str
        What it is of: a variable, or a stream.
    dtype : numpy.dtype
        Type of its values.
    channels : tuple of str
        Names of its channels; a single one needs none.
    """

    name: str
    dtype: np.dtype[Any]
    channels: tuple[str, ...] = ("value",)


class _Writer(Protocol):
    def write(self, buffer: BufferData) -> None:
        """Add a buffer."""

    def flush(self) -> None:
        """Hand everything so far to the operating system."""

    def close(self) -> None:
        """Complete the file."""


class TextWriter:
    """Writes buffers as lines of JSON.

    Parameters
    ----------
    path : pathlib.Path
        A file that does not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("x", encoding="ascii", newline="\n")

    def write(self, buffer: BufferData) -> None:
        """Add a buffer as a line."""
        line = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in buffer.items()
        }
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        """Hand everything so far to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Complete the file."""
        self._file.close()


class CompactWriter:
    """Writes samples as records of a ``.npy`` file, whose header always tells how many there are.

    The header of NumPy's format leaves room for the first dimension to grow in place.

    Parameters
    ----------
    path : pathlib.Path
        A file that does not exist yet.
    track : Track
        What the records hold.
    """

    def __init__(self, path: Path, track: Track) -> None:
        self._channels = _field_names(track.channels)
        fields = [("tick", "<i8"), ("lsl_s", "<f8")]
        fields += [(name, track.dtype.str) for name in self._channels]
        self._dtype = np.dtype(fields)
        self._n_samples = 0
        self._file: BinaryIO = path.open("xb")
        self._write_header()

    def write(self, buffer: BufferData) -> None:
        """Add the samples of a buffer."""
        values = buffer["data"].reshape(len(buffer["data"]), -1)
        records = np.empty(len(values), self._dtype)
        records["tick"] = buffer["rel_timestamps"] + buffer["ref_timestamp"]
        records["lsl_s"] = buffer["lsl_timestamps"]
        for column, name in enumerate(self._channels):
            records[name] = values[:, column]
        self._file.write(records.tobytes())
        self._n_samples += len(records)

    def flush(self) -> None:
        """Hand everything so far to the operating system, the samples before their number."""
        self._file.flush()
        self._write_header()
        self._file.seek(0, 2)

    def close(self) -> None:
        """Complete the file."""
        self.flush()
        self._file.close()

    def _write_header(self) -> None:
        self._file.seek(0)
        npy.write_array_header_1_0(
            self._file,
            {
                "descr": npy.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._n_samples,),
            },
        )
        self._file.flush()


def _field_names(channels: Sequence[str]) -> list[str]:
    """Make names that a record can have: ASCII, and none of them twice."""
    names: list[str] = []
    for channel in channels:
        name = channel.encode("ascii", "backslashreplace").decode("ascii") or "value"
        while name in names or name in _RESERVED_FIELDS:
            name += "_"
        names.append(name)
    return names


class Recorder:
    """Writes what it is given into a file for each track, in a thread of its own.

    The files are made at once, so that whatever is wrong with folder and name is known at the
    start.

    Parameters
    ----------
    folder : path-like
        Where the files go; made when it does not exist.
    filename : str
        Ending of the files' names: each begins with its track's name and ``_``, and gets a number
        when such files are there already.
    tracks : sequence of Track
        What is recorded.
    file_format : {"text", "compact"}
        How.
    on_error : callable
        Told, in words, when writing failed or could not keep up.

    Attributes
    ----------
    paths : dict of str to pathlib.Path
        The file of each track.
    dropped : int
        Buffers that were not written.

    Raises
    ------
    RequestError
        When the files cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        filename: str,
        tracks: Sequence[Track],
        file_format: FileFormat,
        on_error: Callable[[str], None],
    ) -> None:
        if file_format not in _SUFFIXES:
            raise RequestError(f"saving format {file_format!r}; there are {', '.join(_SUFFIXES)}")
        self.dropped = 0
        self._on_error = on_error
        self._failed = False
        self._ended = False
        self._waiting: queue.SimpleQueue[tuple[str, BufferData] | None] = queue.SimpleQueue()
        names = [track.name for track in tracks]
        try:
            self.paths = new_paths(Path(folder), filename, _SUFFIXES[file_format], names)
            self._writers = _open_writers(self.paths, tracks, file_format)
        except OSError as error:
            raise RequestError(f"cannot save to {folder}: {error.strerror or error}") from error
        self._thread = threading.Thread(target=self._run, name="bela-recorder", daemon=True)
        self._thread.start()

    def take(self, name: str, buffer: BufferData) -> None:
        """Have a buffer written, from any one thread; returns at once."""
        if self._failed or self._ended or self._waiting.qsize() >= _MAX_WAITING_BUFFERS:
            self.dropped += 1
            if self.dropped == 1 and not self._failed:
                self._report("the disk is too slow: the recording lacks buffers")
            return
        self._waiting.put((name, buffer))

    def end(self) -> None:
        """Have the files completed, without waiting for it; safe to call more than once."""
        if not self._ended:
            self._ended = True
            self._waiting.put(None)

    def close(self, timeout_s: float = _CLOSE_TIMEOUT_S) -> None:
        """Complete the files; safe to call more than once.

        Parameters
        ----------
        timeout_s : float
            How long the disk may take.
        """
        self.end()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._report(f"the recording was not written in {timeout_s} s; it goes on")

    def _run(self) -> None:
        try:
            self._write_all()
        except (OSError, ValueError) as error:
            self._failed = True
            self._report(f"the recording failed: {error}")
        for path, writer in zip(self.paths.values(), self._writers.values(), strict=True):
            try:
                writer.close()
            except (OSError, ValueError) as error:
                self._report(f"{path} could not be completed: {error}")

    def _write_all(self) -> None:
        flush_at_s = time.monotonic() + _FLUSH_PERIOD_S
        while True:
            try:
                item = self._waiting.get(timeout=max(0.0, flush_at_s - time.monotonic()))
            except queue.Empty:
                pass
            else:
                if item is None:
                    return
                name, buffer = item
                self._writers[name].write(buffer)
            if time.monotonic() >= flush_at_s:
                for writer in self._writers.values():
                    writer.flush()
                flush_at_s = time.monotonic() + _FLUSH_PERIOD_S

    def _report(self, text: str) -> None:
        logger.error("%s", text)
        self._on_error(text)


def _open_writers(
    paths: Mapping[str, Path], tracks: Sequence[Track], file_format: FileFormat
) -> dict[str, _Writer]:
    with ExitStack() as opened:
        writers: dict[str, _Writer] = {}
        for track in tracks:
            path = paths[track.name]
            writer = TextWriter(path) if file_format == "text" else CompactWriter(path, track)
            opened.callback(writer.close)
            writers[track.name] = writer
        opened.pop_all()
    return writers
