"""Find the whole chunks of an XDF file, also of one that a killed recorder has cut short.

XDF 1.0 (github.com/sccn/xdf/wiki/Specifications): chunks of a length, a tag and their content. What
is not whole is left out. After damage in the middle the chunks go on behind the next boundary
chunk, as LabRecorder writes one every ten seconds.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from xml.etree.ElementTree import ParseError, fromstring

MAGIC: Final = b"XDF:"
_BOUNDARY_MARK: Final = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
_LENGTH_FORMATS: Final = {1: "<B", 4: "<I", 8: "<Q"}
STREAM_HEADER, SAMPLES, FOOTER = 2, 3, 6
_FILE_HEADER, _OFFSET = 1, 4
OF_A_STREAM: Final = (2, 3, 4, 6)
_TAGS: Final = range(1, 7)
_OFFSET_BYTES: Final = 22
_SEARCHED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class XdfChunk:
    """A whole chunk of a file.

    Parameters
    ----------
    tag : int
        What it is.
    stream : int
        Number of the stream that it is of, which may be 0; 0 also for a chunk of none.
    begin, content, end : int
        First byte, first byte of what follows tag and stream, and end.
    """

    tag: int
    stream: int
    begin: int
    content: int
    end: int


@dataclass(slots=True)
class WholeChunks:
    """What of a file is whole.

    Attributes
    ----------
    chunks : list of XdfChunk
        In the order of the file.
    headers : dict of int to str
        XML of the header of each stream, the first one, by the number of the stream.
    n_bytes : int
        Size of the file.
    n_damaged_bytes : int
        Bytes that belong to no whole chunk.
    ended : set of int
        Numbers of the streams that the recorder has ended properly.
    told : dict of int to int
        Samples of each of those streams, as the recorder tells at its end.
    """

    chunks: list[XdfChunk] = field(default_factory=list)
    headers: dict[int, str] = field(default_factory=dict)
    n_bytes: int = 0
    n_damaged_bytes: int = 0
    ended: set[int] = field(default_factory=set)
    told: dict[int, int] = field(default_factory=dict)


def find_whole_chunks(file: BinaryIO) -> WholeChunks:
    """Look at every chunk of an open XDF file, without reading samples.

    Parameters
    ----------
    file : binary file
        It begins with ``XDF:`` and can seek.
    """
    found = WholeChunks(n_bytes=file.seek(0, io.SEEK_END))
    at = len(MAGIC)
    while at < found.n_bytes:
        end = take_chunk(file, at, found)
        if end is None:
            end = _after_next_boundary(file, at, found.n_bytes)
            found.n_damaged_bytes += end - at
        at = end
    return found


def take_chunk(file: BinaryIO, at: int, found: WholeChunks) -> int | None:
    """Add the chunk at a position if it is whole; give its end, ``None`` when it is not."""
    file.seek(at)
    head = file.read(15)
    length_format = _LENGTH_FORMATS.get(head[0])
    if length_format is None or len(head) < 1 + head[0] + 2:
        return None
    content = 1 + head[0]
    (n_bytes,) = struct.unpack(length_format, head[1:content])
    (tag,) = struct.unpack_from("<H", head, content)
    end = at + content + int(n_bytes)
    if tag not in _TAGS or n_bytes < 2 or end > found.n_bytes:
        return None
    stream, content_at = 0, at + content + 2
    if tag == _FILE_HEADER:
        file.seek(content_at)
        if not _is_xml(file.read(end - content_at).decode("utf-8", "replace")):
            return None
    if tag in OF_A_STREAM:
        if n_bytes < 6 or len(head) < content + 6 or (tag == _OFFSET and n_bytes != _OFFSET_BYTES):
            return None
        (stream,) = struct.unpack_from("<I", head, content + 2)
        content_at += 4
        if tag in (STREAM_HEADER, FOOTER):
            file.seek(content_at)
            text = file.read(end - content_at).decode("utf-8", "replace")
            if not _is_xml(text):
                return None
        if tag == STREAM_HEADER:
            found.headers.setdefault(stream, text)
        elif stream not in found.headers:
            return None
        elif tag == FOOTER:
            found.ended.add(stream)
            told = fromstring(text).findtext("sample_count") or ""  # noqa: S314 - as above
            if told.strip().isdecimal():
                found.told[stream] = int(told)
    found.chunks.append(XdfChunk(tag, stream, at, content_at, end))
    return end


def _is_xml(text: str) -> bool:
    try:
        fromstring(text)  # noqa: S314 - as pyxdf does right after
    except ParseError:
        return False
    return True


def _after_next_boundary(file: BinaryIO, at: int, n_bytes: int) -> int:
    """Find the end of the next boundary chunk; the end of the file when there is none."""
    overlap = len(_BOUNDARY_MARK) - 1
    while at < n_bytes:
        file.seek(at)
        block = file.read(_SEARCHED_BYTES + overlap)
        place = block.find(_BOUNDARY_MARK)
        if place >= 0:
            return at + place + len(_BOUNDARY_MARK)
        at += _SEARCHED_BYTES
    return n_bytes
