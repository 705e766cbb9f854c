"""Samples of a chunk of an XDF file, decoded as a whole. Pure.

A sample is a byte, 8 or 0, then with 8 its stamp, then a value for each channel. Without a stamp it
is one nominal interval after the one before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element, fromstring

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.recorded_stream import Floats

_DTYPES: Final = {
    "float32": "<f4",
    "double64": "<f8",
    "int8": "<i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
}
_COUNT_FORMATS: Final = {1: "<B", 4: "<I", 8: "<Q"}
_STAMPED: Final = 8
_MAX_CHANNELS: Final = 1_000_000
_MAX_STAMP_S: Final = 1e11  # three thousand years: LSL counts from the start of a computer, or 1970


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """How the samples of a stream are written.

    Parameters
    ----------
    dtype : numpy.dtype or None
        Type of a value; ``None`` of texts.
    n_channels : int
        Values of a sample.
    interval_s : float
        Nominal time between two samples, 0 of an irregular stream.
    """

    dtype: np.dtype[Any] | None
    n_channels: int
    interval_s: float

    @property
    def n_bytes(self) -> int:
        """Bytes of the values of a sample; 0 of texts, which have any length."""
        return 0 if self.dtype is None else self.dtype.itemsize * self.n_channels


def layout_of(header: str) -> SampleLayout:
    """Read from a stream's header how its samples are written.

    Parameters
    ----------
    header : str
        Its XML.

    Raises
    ------
    ValueError
        The header does not tell, or what it tells makes no sense.
    """
    info = fromstring(header)  # noqa: S314 - pyxdf reads the same right after
    channel_format = _text(info, "channel_format")
    if channel_format not in (*_DTYPES, "string"):
        raise ValueError(f"the channel format {channel_format!r} is unknown")
    n_channels, rate_hz = int(_text(info, "channel_count")), float(_text(info, "nominal_srate"))
    if not 1 <= n_channels <= _MAX_CHANNELS:
        raise ValueError(f"a stream of {n_channels} channels")
    interval_s = 1 / rate_hz if rate_hz > 0 else 0.0
    dtype = np.dtype(_DTYPES[channel_format]) if channel_format in _DTYPES else None
    return SampleLayout(dtype, n_channels, interval_s)


def _text(info: Element, name: str) -> str:
    return info.findtext(name) or ""


def decode_samples(
    content: bytes, layout: SampleLayout, last_s: float
) -> tuple[Floats, NDArray[Any]] | None:
    """Decode the samples of a chunk; ``None`` when it is damaged.

    Parameters
    ----------
    content : bytes
        What follows the number of the stream.
    layout : SampleLayout
        How its samples are written.
    last_s : float
        Stamp of the sample before.

    Returns
    -------
    stamps_s : ndarray of shape (n_samples,)
        Their stamps.
    values : ndarray of shape (n_samples, n_channels)
        Their values.
    """
    n_samples, begin = _count(content, 0)
    n_bytes = layout.n_bytes
    if begin > len(content) or n_samples * (1 + n_bytes) > len(content) - begin:
        return None
    if n_samples * (9 + n_bytes) == len(content) - begin:
        fields: list[Any] = [("size", "u1"), ("stamp", "<f8")]
        fields.append(("values", layout.dtype, (layout.n_channels,)))
        samples = np.frombuffer(content, np.dtype(fields), n_samples, begin)
        if (samples["size"] == _STAMPED).all():
            return samples["stamp"].astype(np.float64), samples["values"]
    return _decode_mixed(content, begin, n_samples, layout, last_s)


def _decode_mixed(
    content: bytes, begin: int, n_samples: int, layout: SampleLayout, last_s: float
) -> tuple[Floats, NDArray[Any]] | None:
    """Decode samples of which not all have a stamp: only their places are found one by one."""
    n_bytes = layout.n_bytes
    places = np.empty(n_samples, np.int64)
    stamped = np.zeros(n_samples, bool)
    at = begin
    for number in range(n_samples):
        if at >= len(content) or content[at] not in (0, _STAMPED):
            return None
        stamped[number] = content[at] == _STAMPED
        at += 9 if stamped[number] else 1
        places[number] = at
        at += n_bytes
    if at != len(content):
        return None
    data = np.frombuffer(content, np.uint8)
    values = data[places[:, None] + np.arange(n_bytes)].reshape(-1).view(layout.dtype)
    told = places[stamped, None] - 8 + np.arange(8)
    stamps_s = np.concatenate([[last_s], data[told].reshape(-1).view("<f8")])
    since = np.arange(n_samples) - np.maximum.accumulate(
        np.where(stamped, np.arange(n_samples), -1)
    )
    deduced_s = stamps_s[np.cumsum(stamped)] + since * layout.interval_s
    return deduced_s, values.reshape(n_samples, layout.n_channels)


def are_whole_texts(content: bytes, n_channels: int) -> bool:
    """Tell whether a chunk of texts is as long as it says, to the byte.

    Parameters
    ----------
    content : bytes
        What follows the number of the stream.
    n_channels : int
        Texts of a sample.
    """
    n_samples, at = _count(content, 0)
    if n_samples > len(content):
        return False
    for _ in range(n_samples):
        if at >= len(content) or content[at] not in (0, _STAMPED):
            return False
        at += 9 if content[at] == _STAMPED else 1
        for _ in range(n_channels):
            n_bytes, at = _count(content, at)
            at += n_bytes
    return at == len(content)


def _count(content: bytes, at: int) -> tuple[int, int]:
    """Read a number of one, four or eight bytes; give it and what comes after it.

    Where there is none, what comes after it is beyond the end.
    """
    count_format = _COUNT_FORMATS.get(content[at]) if at < len(content) else None
    if count_format is None or at + 1 + content[at] > len(content):
        return 0, len(content) + 1
    (number,) = struct.unpack_from(count_format, content, at + 1)
    return int(number), at + 1 + content[at]


def are_times(stamps_s: Floats) -> NDArray[np.bool_]:
    """Tell of each stamp whether it can be a time: damaged ones are NaN or have any size."""
    return np.abs(stamps_s) < _MAX_STAMP_S  # not so when it is NaN


def footer_of(n_pieces: int | None) -> bytes:
    """Write the end of a stream of which two samples stand for each of some pieces.

    Parameters
    ----------
    n_pieces : int or None
        How many, up to the number of samples that the recorder tells; ``None`` when there are no
        more of them.
    """
    told = "" if n_pieces is None else f"<sample_count>{2 * n_pieces}</sample_count>"
    return f"<info>{told}</info>".encode()


def encode_two(stamps_s: Floats, layout: SampleLayout) -> bytes:
    """Write the first and the last of some samples, without their values.

    Parameters
    ----------
    stamps_s : ndarray of shape (n_samples,)
        At least one.
    layout : SampleLayout
        How samples are written.
    """
    values = bytes(layout.n_bytes)
    both = b"".join(b"\x08" + struct.pack("<d", float(s)) + values for s in stamps_s[[0, -1]])
    return b"\x01\x02" + both
