"""Names of recording files that do not exist yet, and reading recordings."""

from __future__ import annotations

import csv
import itertools
import json
import logging
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bela_module.errors import RequestError
from bela_module.recording.buffers import BufferData, insert_late, make_buffer
from bela_module.validation import MAX_FILENAME_BYTES, checked_filename, shown

logger = logging.getLogger(__name__)

SUFFIXES: Final = (".txt", ".npy", ".csv")
_KEYS: Final = frozenset({"data", "ref_timestamp"})
_SINGLE_KEYS: Final = frozenset({"value", "timestamp"})
_MAX_NAME_BYTES: Final = 240
_NUMBER_DIGITS: Final = 6
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    MemoryError,
    RecursionError,
)

# Not allowed in a file name on some system on which recordings are opened.
_NOT_IN_NAMES: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def new_paths(folder: Path, filename: str, suffix: str, names: Sequence[str]) -> dict[str, Path]:
    """Find names that no file has, all with the same number.

    Parameters
    ----------
    folder : pathlib.Path
        Where the files go; made when it does not exist.
    filename : str
        Ending of the names, such as ``run.txt``; its own suffix gives way to the format's.
    suffix : str
        Suffix of the format.
    names : sequence of str
        Beginning of each name.

    Returns
    -------
    dict of str to pathlib.Path
        ``<name>_<filename>``, or ``<name>_<filename>__<number>`` from 1 on.

    Raises
    ------
    RequestError
        When `filename` is none.
    OSError
        When the folder cannot be made.
    """
    try:
        checked_filename(filename)
    except ValueError as error:
        raise RequestError(
            f"saving_filename = {shown(filename)}: {error}; the folder is saving_dir"
        ) from None
    stem = Path(filename).stem if Path(filename).suffix in SUFFIXES else filename
    folder.mkdir(parents=True, exist_ok=True)
    room = _MAX_NAME_BYTES - len(f"_{stem}__{10**_NUMBER_DIGITS}{suffix}".encode())
    beginnings = _unique([_cut(_NOT_IN_NAMES.sub("_", name), room) for name in names])
    for number in itertools.count():
        ending = f"_{stem}{f'__{number}' if number else ''}{suffix}"
        paths = [folder / (beginning + ending) for beginning in beginnings]
        if not any(path.exists() for path in paths):
            break
    return dict(zip(names, paths, strict=True))


def file_name_of(text: str) -> str:
    """Make a file name of a text that need not be one, such as the name of a project."""
    name = _cut(_NOT_IN_NAMES.sub("_", text), MAX_FILENAME_BYTES)
    try:
        return checked_filename(name)
    except ValueError:
        return "bela"


def _cut(text: str, n_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:n_bytes].decode("utf-8", "ignore")


def _unique(names: Sequence[str]) -> list[str]:
    """Lengthen names that some file system would take for the same as one before."""
    unique: list[str] = []
    for name in names:
        taken = [other.casefold() for other in unique]
        longer = (name + "_" * n for n in itertools.count())
        unique.append(next(new for new in longer if new.casefold() not in taken))
    return unique


def load_buffers(path: str | Path) -> list[dict[str, Any]]:
    """Read a recording of any format.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    list of dict
        Its buffers, as they were streamed (text, as lists), or all as one (compact and CSV, as
        arrays); text buffers whose values became known late are joined with those among which they
        belong. A last line that was cut when the writing process was killed is left out.

    Raises
    ------
    RequestError
        When it cannot be read, or is no recording.
    """
    try:
        file = Path(path)
    except TypeError as error:
        raise RequestError(f"{path!r} is no path of a recording: {error}") from error
    try:
        if file.suffix == ".npy":
            return _load_compact(file)
        if file.suffix == ".csv":
            return _load_table(file)
        return _load_text(file)
    except OSError as error:
        raise RequestError(f"cannot read the recording {file}: {error.strerror}") from error
    except _UNREADABLE as error:
        raise RequestError(f"{file} is no recording of this module: {error}") from error


def _load_text(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="ascii")
    lines = text.split("\n")
    if lines[-1]:
        logger.warning("%s ends in the middle of a line, which is left out", file)
    buffers = [json.loads(line) for line in lines[:-1]]
    if not any(
        all(isinstance(buffer, dict) and buffer.keys() >= keys for buffer in buffers)
        for keys in (_KEYS, _SINGLE_KEYS)
    ):
        raise ValueError(f"its lines do not all have {' and '.join(sorted(_KEYS))}")
    return _in_order(buffers)


def _in_order(buffers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put buffers that begin before the end of an earlier line in their place."""
    ordered: list[dict[str, Any]] = []
    newest_s = -math.inf
    for buffer in buffers:
        stamps_s = buffer.get("lsl_timestamps")
        if not isinstance(stamps_s, list) or not stamps_s:
            return list(buffers)  # of other programs
        if stamps_s[0] < newest_s:
            _insert(ordered, buffer)
        else:
            ordered.append(buffer)
        newest_s = max(newest_s, stamps_s[-1])
    return ordered


def _insert(ordered: list[dict[str, Any]], late: dict[str, Any]) -> None:
    """Insert a buffer of lists among others: see ``insert_late``."""
    at = len(ordered)
    while at and ordered[at - 1]["lsl_timestamps"][-1] > late["lsl_timestamps"][0]:
        at -= 1
    arrays = [_as_arrays(buffer) for buffer in ordered[at:]]
    insert_late(arrays, _as_arrays(late))
    ordered[at:] = [
        {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in buffer.items()
        }
        for buffer in arrays
    ]


def _as_arrays(buffer: dict[str, Any]) -> BufferData:
    first_tick = int(buffer["ref_timestamp"])
    ticks = np.asarray(buffer["rel_timestamps"], np.int64) + first_tick
    stamps_s = np.asarray(buffer["lsl_timestamps"], np.float64)
    return make_buffer(ticks, np.asarray(buffer["data"]), stamps_s, int(buffer["lost"]))


def _load_compact(file: Path) -> list[dict[str, Any]]:
    records = np.load(file, allow_pickle=False)
    names = [name for name in records.dtype.names or () if name not in ("tick", "lsl_s")]
    if not names:
        raise ValueError("it has no fields tick, lsl_s and a value")
    if records.size == 0:
        return []
    columns = [records[name] for name in names]
    first_tick = int(records["tick"][0])
    return [
        {
            "ref_timestamp": first_tick,
            "data": columns[0] if len(columns) == 1 else np.column_stack(columns),
            "rel_timestamps": records["tick"] - first_tick,
            "lsl_timestamps": records["lsl_s"],
        }
    ]


def _load_table(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    *rows, last = csv.reader(text.splitlines())
    if not text.endswith("\n"):
        logger.warning("%s ends in the middle of a row, which is left out", file)
    else:
        rows.append(last)
    if rows[0][:3] != ["lsl_s", "unix_s", "tick"] or len(rows[0]) < 4:
        raise ValueError("its columns are not lsl_s, unix_s, tick and values")
    if len(rows) == 1:
        return []
    rows[1:] = sorted(rows[1:], key=lambda row: float(row[0]))
    stamps_s, _, ticks, *columns = zip(*rows[1:], strict=True)
    whole = np.array([int(tick) for tick in ticks], np.int64)
    values = np.array(columns, np.float64).T
    return [
        {
            "ref_timestamp": int(whole[0]),
            "data": values[:, 0] if len(columns) == 1 else values,
            "rel_timestamps": whole - whole[0],
            "lsl_timestamps": np.array(stamps_s, np.float64),
        }
    ]
