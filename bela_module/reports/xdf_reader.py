"""Read an XDF recording with pyxdf: stamps as recorded, and the values that a report needs.

Stamps are *not* dejittered: dejittering fits straight lines through the stamps and would move them
into gaps; they are true to microseconds already, and a gap in them is what is to be found. They are
brought to the clock of the recording computer (``synchronize_clocks``), since streams of several
computers are compared with one another.

pyxdf reads sample by sample. Values that nobody asked for are thrown away chunk by chunk, so that
the memory needed is that of the stamps.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast

import numpy as np

from bela_module.errors import ExtraMissingError, RecordingError
from bela_module.reports.recorded_stream import LoadedRecording, RecordedStream
from bela_module.reports.xdf_chunks import MAGIC, PartsOfFile, WholeChunks, find_whole_chunks

ChannelsToKeep: TypeAlias = Callable[[str, str, tuple[str, ...]], tuple[int, ...]]
"""Takes a stream's name, identity and labels; gives the numbers of the channels to keep."""

_KEPT_TYPE: Final = "Clock"
_COMPRESSED: Final = (".xdfz", ".gz")


def _keep_none(_name: str, _source_id: str, _labels: tuple[str, ...]) -> tuple[int, ...]:
    return ()


def read_recording(path: Path, keep: ChannelsToKeep = _keep_none) -> LoadedRecording:
    """Read a recording; of a damaged one what can be read, with warnings.

    Parameters
    ----------
    path : Path
        The file.
    keep : callable
        Which channels' values are needed. Those of ``bela_clock`` and all texts always are.

    Raises
    ------
    RecordingError
        There is no such file, it cannot be opened, or it is no XDF file.
    ExtraMissingError
        pyxdf is not installed.
    """
    pyxdf = _pyxdf()
    with _opened(path) as (file, warnings):
        chunks = find_whole_chunks(file)
        warnings.extend(_warnings_of(chunks))
        if not chunks.streams:
            raise RecordingError(f"{path}: no stream is in this file")
        taken: dict[int, _Taken] = {}
        loaded = _load(pyxdf, file, chunks, _chunk_taker(keep, taken), warnings, taken, path)
        streams = tuple(_stream(raw, taken, keep) for raw in loaded)
    return LoadedRecording(str(path), streams, tuple(warnings))


class _Taken:
    """What is noted of a stream while its chunks go by."""

    def __init__(self, kept: tuple[int, ...], n_channels: int) -> None:
        self.kept = kept
        self.n_not_numbers = np.zeros(n_channels, np.int64)


def _pyxdf() -> Any:
    try:
        import pyxdf
    except ImportError as error:
        raise ExtraMissingError("pyxdf, which reads recordings", "record") from error
    return pyxdf


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, list[str]]]:
    """Open a file that begins as XDF files do, unpacked; with warnings about it."""
    warnings: list[str] = []
    with contextlib.ExitStack() as stack:
        try:
            file: BinaryIO = stack.enter_context(path.open("rb"))
            if path.suffix in _COMPRESSED:
                unpacked = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
                try:
                    with gzip.open(file) as packed:
                        shutil.copyfileobj(packed, unpacked)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    warnings.append(f"the compressed file is damaged: {error}")
                unpacked.seek(0)
                file = unpacked
            begin = file.read(len(MAGIC))
        except OSError as error:
            words = "it is a folder" if path.is_dir() else error.strerror or str(error)
            raise RecordingError(f"{path} cannot be read: {words}") from error
        if not begin:
            raise RecordingError(f"{path} is empty: nothing was recorded")
        if begin != MAGIC:
            raise RecordingError(f"{path} is no XDF file: it does not begin with 'XDF:'")
        yield file, warnings


def _warnings_of(chunks: WholeChunks) -> list[str]:
    warnings = []
    if chunks.n_damaged_bytes:
        warnings.append(
            f"the file is cut short or damaged: {chunks.n_damaged_bytes} of {chunks.n_bytes} bytes "
            "belong to no whole chunk and are left out"
        )
    if open_ended := chunks.streams - chunks.ended:
        warnings.append(
            f"the recorder did not end {len(open_ended)} of {len(chunks.streams)} streams "
            "properly: it was killed, or it still records"
        )
    return warnings


def _load(
    pyxdf: Any,
    file: BinaryIO,
    chunks: WholeChunks,
    on_chunk: Callable[..., Any],
    warnings: list[str],
    taken: dict[int, _Taken],
    path: Path,
) -> list[dict[str, Any]]:
    """Load the whole chunks; without the offsets between clocks when those cannot be used."""
    for synchronized in (True, False):
        taken.clear()
        whole = io.BufferedReader(PartsOfFile(file, chunks.parts), 1 << 16)
        try:
            with _logged_errors() as errors:
                streams, _ = pyxdf.load_xdf(
                    whole,
                    on_chunk=on_chunk,
                    synchronize_clocks=synchronized,
                    dejitter_timestamps=False,
                )
        except Exception as error:  # noqa: BLE001 - of what is in the file, anything
            if not synchronized:
                raise RecordingError(
                    f"{path} cannot be read: {type(error).__name__}: {error}"
                ) from error
            warnings.append(
                f"the offsets between the computers' clocks cannot be used ({error}); each stream "
                "has the times of its own computer"
            )
        else:
            warnings += errors
            break
    return cast(list[dict[str, Any]], streams)


@contextlib.contextmanager
def _logged_errors() -> Iterator[list[str]]:
    """Collect what pyxdf logs as errors, and keep all that it logs off the screen."""
    errors: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                errors.append(record.getMessage())

    logger, collector = logging.getLogger("pyxdf"), Collector()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield errors
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagates


def _chunk_taker(keep: ChannelsToKeep, taken: dict[int, _Taken]) -> Callable[..., Any]:
    """Make what pyxdf hands each chunk to: it keeps the columns that are needed."""

    def take(values: Any, stamps_s: Any, header: Any, number: int) -> tuple[Any, Any, Any]:
        if isinstance(values, list):  # texts
            return values, stamps_s, header
        if number not in taken:
            taken[number] = _Taken(_kept(header, keep), values.shape[1])
        note = taken[number]
        if values.dtype.kind == "f":
            note.n_not_numbers += np.isnan(values).sum(axis=0)
        return values[:, list(note.kept)], stamps_s, header

    return take


def _kept(header: Any, keep: ChannelsToKeep) -> tuple[int, ...]:
    labels = _labels(header)
    if _text(header, "info", "type") == _KEPT_TYPE:
        return tuple(range(len(labels)))
    return keep(_text(header, "info", "name"), _text(header, "info", "source_id"), labels)


def _stream(raw: Any, taken: dict[int, _Taken], keep: ChannelsToKeep) -> RecordedStream:
    number = int(raw["info"]["stream_id"])
    labels = _labels(raw)
    rows = raw["time_series"]
    is_text = isinstance(rows, list)
    note = taken.get(number) or _Taken(_kept(raw, keep), len(labels))
    acquisition = ("info", "desc", "acquisition")
    return RecordedStream(
        number=number,
        name=_text(raw, "info", "name"),
        content_type=_text(raw, "info", "type"),
        channel_format=_text(raw, "info", "channel_format"),
        source_id=_text(raw, "info", "source_id"),
        labels=labels,
        nominal_rate_hz=_number(_text(raw, "info", "nominal_srate")),
        stamps_s=np.asarray(raw["time_stamps"], np.float64),
        kept=() if is_text else note.kept,
        values=None if is_text else rows[:, : len(note.kept)],
        texts=tuple(map(tuple, rows)) if is_text else (),
        n_not_numbers=note.n_not_numbers,
        mode=_text(raw, *acquisition, "mode"),
        input_delay_s=_number(_text(raw, *acquisition, "compensated_lag")),
    )


def _labels(raw: Any) -> tuple[str, ...]:
    """Give a label for each channel, as many as the stream has channels."""
    n_channels = int(_number(_text(raw, "info", "channel_count"), 1.0))
    described = _child(raw, "info", "desc", "channels")
    channels = described.get("channel", []) if isinstance(described, dict) else []
    labels = [_text(channel, "label") for channel in channels]
    return tuple((labels + [""] * n_channels)[:n_channels])


def _child(tree: Any, *names: str) -> Any:
    """Go down the tree that pyxdf makes of XML, in which every child is in a list."""
    for name in names:
        if not isinstance(tree, dict) or not tree.get(name):
            return None
        tree = tree[name]
        tree = tree[0] if isinstance(tree, list) else tree
    return tree


def _text(tree: Any, *names: str) -> str:
    child = _child(tree, *names)
    return child if isinstance(child, str) else ""


def _number(text: str, otherwise: float = 0.0) -> float:
    try:
        number = float(text)
    except ValueError:
        return otherwise
    return number if np.isfinite(number) else otherwise
