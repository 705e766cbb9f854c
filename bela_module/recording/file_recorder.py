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
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import SEEK_END, BytesIO, FileIO
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.lib import format as npy

from bela_module.errors import RequestError
from bela_module.recording.buffers import BufferData
from bela_module.recording.recording_files import new_paths
from bela_module.writer_thread import WRITER_STALL_S, wait_for_writer

logger = logging.getLogger(__name__)

FileFormat = Literal["text", "compact"]

_FLUSH_PERIOD_S: Final = 1.0
_BATCH_BYTES: Final = 2**18
_MAX_WAITING_VALUES: Final = 5_000_000  # of some 20 bytes each
_BUFFER_VALUES: Final = 50  # a buffer itself takes as much memory as so many values
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


class _Writer(ABC):
    """A file that grows by batches, each of which is in it as a whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        A file that does not exist yet.

    Attributes
    ----------
    n_pending : int
        Values that were written, but are not in the file before the next :meth:`flush`.
    """

    def __init__(self, path: Path) -> None:
        self.n_pending = 0
        self._batch = bytearray()
        self._file: FileIO = path.open("xb", buffering=0)

    @property
    def is_full(self) -> bool:
        """Whether the batch is large enough to be flushed."""
        return len(self._batch) >= _BATCH_BYTES

    def write(self, buffer: BufferData) -> None:
        """Add a buffer; does not touch the disk."""
        self._batch += self._encode(buffer)
        self.n_pending += buffer["data"].size

    def flush(self) -> None:
        """Hand everything so far to the operating system."""
        if not self._batch:
            return
        end = self._file.seek(0, SEEK_END)
        try:
            self._append()
        except OSError:
            self._file.truncate(end)
            raise
        self._batch.clear()
        self.n_pending = 0

    def close(self) -> None:
        """Complete the file."""
        try:
            self.flush()
        finally:
            self._file.close()

    @abstractmethod
    def _encode(self, buffer: BufferData) -> bytes:
        """Give the bytes that the file has of a buffer."""

    def _append(self) -> None:
        """Write the batch at the end of the file."""
        self._write(bytes(self._batch))

    def _write(self, data: bytes) -> None:
        while data:  # a disk that becomes full takes the first part
            data = data[self._file.write(data) :]


class TextWriter(_Writer):
    """Writes buffers as lines of JSON."""

    def _encode(self, buffer: BufferData) -> bytes:
        line = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in buffer.items()
        }
        return (json.dumps(line, separators=(",", ":")) + "\n").encode("ascii")


class CompactWriter(_Writer):
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
        super().__init__(path)
        self._channels = _field_names(track.channels)
        fields = [("tick", "<i8"), ("lsl_s", "<f8")]
        fields += [(name, track.dtype.str) for name in self._channels]
        self._dtype = np.dtype(fields)
        self._n_samples = 0
        self._write_header()

    def _encode(self, buffer: BufferData) -> bytes:
        values = buffer["data"].reshape(len(buffer["data"]), -1)
        records = np.empty(len(values), self._dtype)
        records["tick"] = buffer["rel_timestamps"] + buffer["ref_timestamp"]
        records["lsl_s"] = buffer["lsl_timestamps"]
        for column, name in enumerate(self._channels):
            records[name] = values[:, column]
        self._n_samples += len(records)
        return records.tobytes()

    def _append(self) -> None:
        """Write the samples before their number: whoever reads meanwhile finds all it names."""
        super()._append()
        self._write_header()

    def _write_header(self) -> None:
        header = BytesIO()
        npy.write_array_header_1_0(
            header,
            {
                "descr": npy.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._n_samples,),
            },
        )
        self._file.seek(0)
        self._write(header.getvalue())


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
    start. What a slow or full disk does not take is counted in `missing`, told at the end, and
    part of the ``lost`` of the next buffer that is written.

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
        Told, in words, when writing failed or could not keep up; from any thread.

    Attributes
    ----------
    paths : dict of str to pathlib.Path
        The file of each track.

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
        self._on_error = on_error
        self._cause = "the disk was too slow"
        self._ended = self._removes_empty = False
        self._waiting: queue.SimpleQueue[tuple[str, BufferData] | None] = queue.SimpleQueue()
        names = [track.name for track in tracks]
        # Each of these is changed by one thread alone: this line by that of take().
        self._given, self._dropped, self._owed = 0, dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        self._done, self._steps, self._unwritten = 0, 0, dict.fromkeys(names, 0)
        try:
            self.paths = new_paths(Path(folder), filename, _SUFFIXES[file_format], names)
            self._writers = _open_writers(self.paths, tracks, file_format)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestError(f"cannot save to {str(folder)!r}: {reason}") from error
        self._thread = threading.Thread(target=self._run, name="bela-recorder", daemon=True)
        self._thread.start()

    @property
    def missing(self) -> dict[str, int]:
        """Values of each track that came, but are not in its file and will not be."""
        return {name: n + self._unwritten[name] for name, n in self._dropped.items()}

    @property
    def finished(self) -> bool:
        """Whether all files are closed."""
        return not self._thread.is_alive()

    def take(self, name: str, buffer: BufferData) -> None:
        """Have a buffer written, from any one thread; returns at once."""
        n_values = buffer["data"].size
        lost = buffer["lost"] + self._owed[name]
        n_waiting = self._given - self._done + _BUFFER_VALUES * self._waiting.qsize()
        if self._ended or n_waiting >= _MAX_WAITING_VALUES:
            is_first = not (self._ended or any(self._dropped.values()))
            self._owed[name] = lost + n_values
            self._dropped[name] += n_values
            if is_first:
                self._report("the disk is too slow: the recording lacks values")
            return
        if self._owed[name]:
            self._owed[name] = 0
            buffer = buffer.copy()
            buffer["lost"] = lost
        self._given += n_values
        self._waiting.put((name, buffer))

    def end(self) -> None:
        """Have the files completed, without waiting for it; safe to call more than once."""
        if not self._ended:
            self._ended = True
            self._waiting.put(None)

    def discard(self) -> None:
        """End it, and remove its files if nothing was to be written."""
        self._removes_empty = True
        self.end()

    def close(self, patience_s: float = WRITER_STALL_S) -> bool:
        """Complete the files; safe to call more than once.

        Parameters
        ----------
        patience_s : float
            How long the disk may take without getting on.

        Returns
        -------
        bool
            Whether they are complete; if not, writing goes on while the process lasts.
        """
        self.end()
        if wait_for_writer(self._thread, lambda: self._steps, patience_s):
            self._remove_discarded()  # if it had ended before that was asked
            return True
        n_left = self._given - self._done + sum(w.n_pending for w in self._writers.values())
        self._report(f"the recording is not complete yet: {n_left} values wait for the disk")
        return False

    def _run(self) -> None:
        failed = True
        try:
            self._write_all()
            failed = False
        except Exception as error:  # noqa: BLE001 -- nobody else would ever see it
            self._fail(error)
        finally:
            self._close_files()
            self._remove_discarded()
        if failed:
            while (item := self._waiting.get()) is not None:
                name, buffer = item
                self._unwritten[name] += buffer["data"].size
        missing = [f"{n} values of {name}" for name, n in self.missing.items() if n]
        if missing:
            self._report(f"the recording lacks {', '.join(missing)}: {self._cause}")

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
                self._write(*item)
            if time.monotonic() >= flush_at_s:
                for writer in self._writers.values():
                    writer.flush()
                    self._steps += 1
                flush_at_s = time.monotonic() + _FLUSH_PERIOD_S

    def _write(self, name: str, buffer: BufferData) -> None:
        n_values = buffer["data"].size
        writer = self._writers[name]
        try:
            writer.write(buffer)
        except BaseException:
            self._unwritten[name] += n_values
            raise
        finally:
            self._done += n_values
            self._steps += 1
        if writer.is_full:
            writer.flush()

    def _close_files(self) -> None:
        for name, writer in self._writers.items():
            try:
                writer.close()
            except Exception as error:  # noqa: BLE001 -- the other files are to be closed, too
                self._unwritten[name] += writer.n_pending
                self._fail(error)
            self._steps += 1

    def _remove_discarded(self) -> None:
        if self._given or not self._removes_empty:
            return
        self._removes_empty = False  # once: others may have the names then
        for path in self.paths.values():
            try:
                path.unlink()
            except OSError as error:
                logger.warning("%s is empty, but could not be removed: %s", path, error)

    def _fail(self, error: Exception) -> None:
        cause = f"{type(error).__name__}: {error}"
        if cause != self._cause:  # all files of a full disk fail alike
            self._cause = cause
            self._report(f"the recording failed: {cause}")

    def _report(self, text: str) -> None:
        logger.error("%s", text)
        with suppress(RuntimeError):  # a disk may come back when the session's loop has ended
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
