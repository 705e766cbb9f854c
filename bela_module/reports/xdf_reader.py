"""Read an XDF recording with pyxdf: stamps as recorded, and the values that a report needs.

Stamps are *not* dejittered: dejittering fits straight lines through the stamps and would move them
into gaps; they are true to microseconds already, and a gap in them is what is to be found. They are
brought to the clock of the recording computer (``synchronize_clocks``), since streams of several
computers are compared with one another.

pyxdf decodes sample by sample: five million of them take 15 s, and 0.5 s here. So samples of
numbers are decoded here, chunk by chunk, and pyxdf gets a file in which each chunk has only its
first and last stamp. What it corrects between clocks is linear in between, and applied to all of
them. Values that nobody asked for are thrown away at once: the memory needed is that of the stamps.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast
from xml.etree.ElementTree import fromstring

import numpy as np

from bela_module.errors import ExtraMissingError, RecordingError
from bela_module.reports.recorded_stream import LoadedRecording, RecordedStream
from bela_module.reports.xdf_chunks import (
    FOOTER,
    MAGIC,
    OF_A_STREAM,
    SAMPLES,
    STREAM_HEADER,
    WholeChunks,
    find_whole_chunks,
)
from bela_module.reports.xdf_decoding import DecodedNumbers, WholeTexts
from bela_module.reports.xdf_samples import are_times, footer_of, layout_of
from bela_module.validation import named

ChannelsToKeep: TypeAlias = Callable[[str, str, tuple[str, ...]], tuple[int, ...]]
"""Takes a stream's name, identity and labels; gives the numbers of the channels to keep."""

_KEPT_TYPES: Final = ("Clock", "Loop")
_MAX_NAMED: Final = 8
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
        Which channels' values are needed. Those of ``bela_clock``, of
        ``bela_loop`` and all texts always are.

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
        if not chunks.headers:
            raise RecordingError(f"{path}: no stream is in this file")
        decoded = _decoders(path, chunks, keep, warnings)
        thinned = _thinned(file, chunks, decoded)
        if n_damaged := sum(one.n_damaged for one in decoded.values()):
            warnings.append(f"chunks of samples that are damaged and left out: {n_damaged}")
        loaded = _load(pyxdf, thinned, decoded, warnings, path)
        streams = tuple(_stream(raw, decoded) for raw in loaded)
        if n_timeless := sum(one.n_timeless for one in decoded.values()):
            warnings.append(f"samples whose stamp is no time and that are left out: {n_timeless}")
    return LoadedRecording(str(path), streams, tuple(warnings))


def _decoders(
    path: Path, chunks: WholeChunks, keep: ChannelsToKeep, warnings: list[str]
) -> dict[int, DecodedNumbers | WholeTexts]:
    """Prepare to decode each stream; one whose header makes no sense is left out."""
    decoded: dict[int, DecodedNumbers | WholeTexts] = {}
    reasons = []
    for number, header in chunks.headers.items():
        try:
            layout = layout_of(header)
        except ValueError as error:
            reasons.append(f"{error}")
            name = fromstring(header).findtext("name")  # noqa: S314 - pyxdf reads the same
            warnings.append(f"the stream {name!r} cannot be read and is left out: {error}")
            continue
        if layout.dtype is None:
            decoded[number] = WholeTexts(layout.n_channels)
        else:
            n_told = chunks.told.get(number)
            decoded[number] = DecodedNumbers(layout, layout.dtype, _kept(header, keep), n_told)
    if not decoded:
        raise RecordingError(f"{path} cannot be read: {reasons[0]}")
    return decoded


def _kept(header: str, keep: ChannelsToKeep) -> tuple[int, ...]:
    info = fromstring(header)  # noqa: S314 - pyxdf reads the same right after
    n_channels = int(info.findtext("channel_count") or 1)
    if info.findtext("type") in _KEPT_TYPES:
        return tuple(range(n_channels))
    labels = [one.findtext("label") or "" for one in info.iterfind("desc/channels/channel")]
    filled = tuple((labels + [""] * n_channels)[:n_channels])
    return keep(info.findtext("name") or "", info.findtext("source_id") or "", filled)


def _thinned(
    file: BinaryIO, chunks: WholeChunks, decoded: dict[int, DecodedNumbers | WholeTexts]
) -> bytes:
    """Decode all samples of numbers; give a file without them, but with the ends of each chunk."""
    parts = [MAGIC]
    ends: dict[int, bytes] = {}  # samples may follow the footer
    described: set[int] = set()
    for chunk in chunks.chunks:
        if chunk.tag in OF_A_STREAM and chunk.stream not in decoded:
            continue
        file.seek(chunk.begin)
        whole = file.read(chunk.end - chunk.begin)
        content = whole[chunk.content - chunk.begin :]
        if chunk.tag == SAMPLES:
            taken = decoded[chunk.stream].take(content)
            parts += [_packed(SAMPLES, chunk.stream, short) for short in taken]
        elif chunk.tag == STREAM_HEADER and chunk.stream in described:
            continue  # pyxdf would begin the stream again
        elif chunk.tag == FOOTER:
            ends[chunk.stream] = whole if chunk.stream in chunks.told else b""
        else:
            parts.append(whole)
            described |= {chunk.stream} if chunk.tag == STREAM_HEADER else set()
    for number in ends.keys() & decoded.keys():
        if isinstance(one := decoded[number], DecodedNumbers):
            ends[number] = _packed(FOOTER, number, footer_of(one.n_told_pieces))
    return b"".join([*parts, *ends.values()])


def _packed(tag: int, stream: int, content: bytes) -> bytes:
    body = struct.pack("<HI", tag, stream) + content
    return b"\x04" + struct.pack("<I", len(body)) + body


def require_reader() -> None:
    """Raise `ExtraMissingError` when recordings cannot be read, since pyxdf is not installed."""
    _pyxdf()


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
            words = "it is a folder" if os.path.isdir(path) else error.strerror or str(error)
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
    if open_ended := chunks.headers.keys() - chunks.ended:
        reason = "it was killed, or it still records"
        if chunks.ended:
            names = [fromstring(chunks.headers[n]).findtext("name") or "" for n in open_ended]  # noqa: S314 - pyxdf reads the same
            why = "what published them was gone, or it cannot record that"
            reason = f"{named(names, _MAX_NAMED)}; {why}"
        warnings.append(
            f"the recorder did not end {len(open_ended)} of {len(chunks.headers)} streams "
            f"properly: {reason}"
        )
    return warnings


def _load(
    pyxdf: Any,
    content: bytes,
    decoded: dict[int, DecodedNumbers | WholeTexts],
    warnings: list[str],
    path: Path,
) -> list[dict[str, Any]]:
    """Load a file; without the offsets between clocks when those cannot be used."""
    for synchronized in (True, False):
        try:
            # pyxdf divides by the duration of a single sample
            with _logged_errors() as errors, np.errstate(all="ignore"):
                streams, _ = pyxdf.load_xdf(
                    io.BytesIO(content),
                    synchronize_clocks=synchronized,
                    dejitter_timestamps=False,
                )
                if synchronized:
                    _require_times(streams, decoded)
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


def _require_times(
    streams: list[dict[str, Any]], decoded: dict[int, DecodedNumbers | WholeTexts]
) -> None:
    """Raise ValueError where stamps are no times any more: of texts, not any; of numbers, one."""
    for raw in streams:
        is_time = are_times(np.asarray(raw["time_stamps"], np.float64))
        is_number = isinstance(decoded[int(raw["info"]["stream_id"])], DecodedNumbers)
        if is_time.size and not (is_time.all() if is_number else is_time.any()):
            raise ValueError("they are no times")


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


def _stream(raw: Any, decoded: dict[int, DecodedNumbers | WholeTexts]) -> RecordedStream:
    number = int(raw["info"]["stream_id"])
    labels = _labels(raw)
    taken = decoded[number]
    numbers = taken if isinstance(taken, DecodedNumbers) else None
    stamps_s = np.asarray(raw["time_stamps"], np.float64)
    is_time = are_times(stamps_s)
    if numbers is None:
        taken.n_timeless = int(stamps_s.size - is_time.sum())
    acquisition = ("info", "desc", "acquisition")
    return RecordedStream(
        number=number,
        name=_text(raw, "info", "name"),
        content_type=_text(raw, "info", "type"),
        channel_format=_text(raw, "info", "channel_format"),
        source_id=_text(raw, "info", "source_id"),
        labels=labels,
        nominal_rate_hz=_number(_text(raw, "info", "nominal_srate")),
        stamps_s=stamps_s[is_time] if numbers is None else numbers.end(stamps_s),
        kept=() if numbers is None else numbers.kept,
        values=None if numbers is None else numbers.columns(),
        texts=tuple(map(tuple, compress(raw["time_series"], is_time))) if numbers is None else (),
        n_not_numbers=None if numbers is None else numbers.n_not_numbers,
        mode=_text(raw, *acquisition, "mode"),
        input_delay_s=_number(_text(raw, *acquisition, "compensated_lag")),
        uid=_text(raw, "info", "uid"),
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
