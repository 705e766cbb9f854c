"""File formats of recordings: writers for text, as in the Streamer tutorial, ``.npy`` and CSV.

*Text* is one line of JSON for each buffer: ``ref_timestamp``, ``data``, ``rel_timestamps``,
``lsl_timestamps``, ``lost``; of monitored values one for each value: ``timestamp``, ``value``,
``lsl_timestamp``. *Compact* is NumPy's own format, ``.npy``: one record for each
sample, of the tick, the LSL time and the value. It is opened by ``numpy.load``, even while it
grows, and ``pandas.DataFrame(numpy.load(path))`` is the table. *CSV* is a table
for spreadsheets and ``pandas.read_csv``: see ``TableWriter``.

Values that became known after later ones are put in their place in a compact file. In a text file
or a table they are lines at the place where they came, which ``load_buffers`` puts in order.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import SEEK_END, BytesIO, FileIO, StringIO
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.lib import format as npy

from bela_module.recording.buffers import BufferData
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.unix_time import unix_at_lsl_zero_s

logger = logging.getLogger(__name__)

FileFormat = Literal["text", "compact", "csv"]

SUFFIXES: Final[dict[FileFormat, str]] = {"text": ".txt", "compact": ".npy", "csv": ".csv"}
"""Suffix of the files of each format."""

_BATCH_BYTES: Final = 2**18
_COPY_BYTES: Final = 2**20
_SORTED_AT_ONCE: Final = 4096
_TABLE_COLUMNS: Final = ("lsl_s", "unix_s", "tick")
_WALL_CLOCK_STEP_S: Final = 1e-3
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
    singly : bool
        Whether text has a line for each value, as pybela's files of monitored values.
    """

    name: str
    dtype: np.dtype[Any]
    channels: tuple[str, ...] = ("value",)
    singly: bool = False


class FileWriter(ABC):
    """A file that grows by batches, each of which is in it as a whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        A file that does not exist yet.

    Attributes
    ----------
    path : pathlib.Path
        Where it is.
    n_pending : int
        Values that were written, but are not in the file before the next :meth:`flush`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_pending = 0
        self._batch = bytearray()
        self._file: FileIO = path.open("x+b", buffering=0)

    @property
    def n_batch_bytes(self) -> int:
        """Bytes that wait for the next :meth:`flush`."""
        return len(self._batch)

    @property
    def was_removed(self) -> bool:
        """Whether nobody could find the file any more; Windows removes no open file."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def restore(self) -> None:
        """Write a removed file again, at its path, from what is still open of it.

        Raises
        ------
        OSError
            When it cannot be made; what is open stays as it is.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        reopened = self.path.open("x+b", buffering=0)
        try:
            self._file.seek(0)
            while data := self._file.read(_COPY_BYTES):
                _write_all(reopened, data)
        except OSError:
            reopened.close()
            self.path.unlink(missing_ok=True)
            raise
        self._file.close()
        self._file = reopened

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
        _write_all(self._file, data)


def _write_all(file: FileIO, data: bytes) -> None:
    while data:  # a disk that becomes full takes the first part
        data = data[file.write(data) :]


def _read_all(file: FileIO) -> bytes:
    data = bytearray()
    while part := file.read(_COPY_BYTES):
        data += part
    return bytes(data)


class SingleValueWriter(FileWriter):
    """Writes single values as lines of JSON: ``timestamp``, ``value``, ``lsl_timestamp``."""

    def _encode(self, buffer: BufferData) -> bytes:
        ticks = (buffer["rel_timestamps"] + buffer["ref_timestamp"]).tolist()
        columns = (ticks, buffer["data"].tolist(), buffer["lsl_timestamps"].tolist())
        keys = ("timestamp", "value", "lsl_timestamp")
        lines = (
            json.dumps(dict(zip(keys, row, strict=True)), separators=(",", ":"))
            for row in zip(*columns, strict=True)
        )
        return "".join(f"{line}\n" for line in lines).encode("ascii")


class TextWriter(FileWriter):
    """Writes buffers as lines of JSON."""

    def _encode(self, buffer: BufferData) -> bytes:
        line = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in buffer.items()
        }
        return (json.dumps(line, separators=(",", ":")) + "\n").encode("ascii")


class CompactWriter(FileWriter):
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
        self._header_bytes = 0
        self._newest_s = -math.inf
        self._late_s = math.inf  # the earliest sample that is not in its place yet
        self._write_header()

    def _encode(self, buffer: BufferData) -> bytes:
        values = buffer["data"].reshape(len(buffer["data"]), -1)
        records = np.empty(len(values), self._dtype)
        records["tick"] = buffer["rel_timestamps"] + buffer["ref_timestamp"]
        records["lsl_s"] = buffer["lsl_timestamps"]
        for column, name in enumerate(self._channels):
            records[name] = values[:, column]
        self._n_samples += len(records)
        if len(records):
            if records["lsl_s"][0] < self._newest_s:
                self._late_s = min(self._late_s, records["lsl_s"][0])
            self._newest_s = max(self._newest_s, records["lsl_s"][-1])
        return records.tobytes()

    def _append(self) -> None:
        """Write the samples before their number, so that a reader meanwhile finds all it names."""
        super()._append()
        self._write_header()
        if self._late_s < math.inf:
            try:
                self._sort_end()
            except OSError as error:  # all samples are in the file
                logger.warning("%s is not in order: %s", self.path, error)
            self._late_s = math.inf

    def _sort_end(self) -> None:
        """Put late samples in their place, among the last of the file."""
        n_sorted = _SORTED_AT_ONCE
        while True:
            start = max(0, self._n_samples - n_sorted)
            self._file.seek(self._header_bytes + start * self._dtype.itemsize)
            records = np.frombuffer(_read_all(self._file), self._dtype)
            if start == 0 or records["lsl_s"][0] <= self._late_s:
                break
            n_sorted *= 4
        self._file.seek(self._header_bytes + start * self._dtype.itemsize)
        self._write(records[np.argsort(records["lsl_s"], kind="stable")].tobytes())

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
        self._header_bytes = header.tell()
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


def _distinct(columns: Sequence[str]) -> list[str]:
    """Add an underscore to a name that a column before it has."""
    names: list[str] = []
    for column in columns:
        name = column
        while name in names:
            name += "_"
        names.append(name)
    return names


class TableWriter(FileWriter):
    """Writes samples as rows of a CSV table: LSL time, UNIX time, tick, and the value or values.

    LSL times and values have all their digits, UNIX times microseconds. The first row names the
    columns: ``lsl_s``, ``unix_s``, ``tick``, then ``value`` or the channels.

    Parameters
    ----------
    path : pathlib.Path
        A file that does not exist yet.
    track : Track
        What the rows hold.
    """

    def __init__(self, path: Path, track: Track) -> None:
        super().__init__(path)
        header = StringIO()
        csv.writer(header, lineterminator="\n").writerow(
            _distinct([*_TABLE_COLUMNS, *track.channels])
        )
        self._write(header.getvalue().encode("utf-8"))
        value = {"i": "%d", "u": "%d"}.get(track.dtype.kind)
        value = value or ("%.9g" if track.dtype.itemsize == 4 else "%r")
        self._row = ",".join(["%r", "%.6f", "%d", *[value] * len(track.channels)]) + "\n"
        self._unix_offset_s = unix_at_lsl_zero_s(local_clock, time.time)

    def _encode(self, buffer: BufferData) -> bytes:
        offset_s = unix_at_lsl_zero_s(local_clock, time.time)
        if abs(offset_s - self._unix_offset_s) > _WALL_CLOCK_STEP_S:
            self._unix_offset_s = offset_s  # it was set meanwhile, or has drifted
        stamps_s = buffer["lsl_timestamps"]
        ticks = (buffer["rel_timestamps"] + buffer["ref_timestamp"]).tolist()
        values = buffer["data"].reshape(stamps_s.size, -1)
        columns = (stamps_s.tolist(), (stamps_s + self._unix_offset_s).tolist(), ticks)
        rows = zip(*columns, *values.T.tolist(), strict=True)
        return "".join([self._row % row for row in rows]).encode("ascii")


def _open_writer(path: Path, track: Track, file_format: FileFormat) -> FileWriter:
    if file_format == "compact":
        return CompactWriter(path, track)
    if file_format == "csv":
        return TableWriter(path, track)
    return SingleValueWriter(path) if track.singly else TextWriter(path)


def open_writers(
    paths: Mapping[str, Path], tracks: Sequence[Track], file_format: FileFormat
) -> dict[str, FileWriter]:
    """Create the file of each track; when one cannot be created, those before it are closed.

    Raises
    ------
    OSError
        When a file cannot be created.
    """
    with ExitStack() as opened:
        writers: dict[str, FileWriter] = {}
        for track in tracks:
            path = paths[track.name]
            writer = _open_writer(path, track, file_format)
            opened.callback(writer.close)
            writers[track.name] = writer
        opened.pop_all()
    return writers
