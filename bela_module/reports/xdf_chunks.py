"""Find the whole chunks of an XDF file, also of one that a killed recorder has cut short.

XDF 1.0 (github.com/sccn/xdf/wiki/Specifications): chunks of a length, a tag and their content. What
is not whole is left out, and a reader sees a file of the rest. After damage in the middle the
chunks go on behind the next boundary chunk, as LabRecorder writes one every ten seconds.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from xml.etree.ElementTree import ParseError, fromstring

MAGIC: Final = b"XDF:"
_BOUNDARY_MARK: Final = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
_LENGTH_FORMATS: Final = {1: "<B", 4: "<I", 8: "<Q"}
_STREAM_HEADER, _OFFSET, _FOOTER = 2, 4, 6
_OF_A_STREAM: Final = (2, 3, 4, 6)
_TAGS: Final = range(1, 7)
_OFFSET_BYTES: Final = 22
_SEARCHED_BYTES: Final = 1 << 20


@dataclass(slots=True)
class WholeChunks:
    """What of a file is whole.

    Attributes
    ----------
    parts : list of (int, int)
        First byte and end of each part of the file that is to be read.
    n_bytes : int
        Size of the file.
    n_damaged_bytes : int
        Bytes that belong to no whole chunk.
    streams, ended : set of int
        Numbers of the streams, and of those that the recorder has ended properly.
    """

    parts: list[tuple[int, int]] = field(default_factory=list)
    n_bytes: int = 0
    n_damaged_bytes: int = 0
    streams: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)

    def add(self, begin: int, end: int) -> None:
        """Add a chunk to what is read."""
        if self.parts and self.parts[-1][1] == begin:
            begin = self.parts.pop()[0]
        self.parts.append((begin, end))


def find_whole_chunks(file: BinaryIO) -> WholeChunks:
    """Look at every chunk of an open XDF file, without reading samples.

    Parameters
    ----------
    file : binary file
        It begins with ``XDF:`` and can seek.
    """
    found = WholeChunks(n_bytes=file.seek(0, io.SEEK_END))
    found.add(0, len(MAGIC))
    at = len(MAGIC)
    while at < found.n_bytes:
        end = _take_chunk(file, at, found)
        if end is None:
            end = _after_next_boundary(file, at, found.n_bytes)
            found.n_damaged_bytes += end - at
        at = end
    return found


def _take_chunk(file: BinaryIO, at: int, found: WholeChunks) -> int | None:
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
    if tag in _OF_A_STREAM:
        if n_bytes < 6 or len(head) < content + 6 or (tag == _OFFSET and n_bytes != _OFFSET_BYTES):
            return None
        (stream,) = struct.unpack_from("<I", head, content + 2)
        if tag in (_STREAM_HEADER, _FOOTER):
            file.seek(at + content + 6)
            if not _is_xml(file.read(n_bytes - 6)):
                return None
        if tag == _STREAM_HEADER:
            found.streams.add(stream)
        elif stream not in found.streams:
            return None
        elif tag == _FOOTER:
            found.ended.add(stream)
    found.add(at, end)
    return end


def _is_xml(content: bytes) -> bool:
    try:
        fromstring(content.decode("utf-8", "replace"))  # noqa: S314 - as pyxdf does right after
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


class PartsOfFile(io.RawIOBase):
    """A file that consists of parts of another one, to read.

    Parameters
    ----------
    file : binary file
        The other one.
    parts : list of (int, int)
        First byte and end of each part, in order.
    """

    def __init__(self, file: BinaryIO, parts: list[tuple[int, int]]) -> None:
        super().__init__()
        self._file = file
        self._parts = parts
        self._starts = [0]
        for begin, end in parts:
            self._starts.append(self._starts[-1] + end - begin)
        self._at = 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can seek: yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, as in any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Read up to the end of a part at most."""
        if self._at >= self._starts[-1]:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        begin, end = self._parts[number]
        place = begin + self._at - self._starts[number]
        self._file.seek(place)
        data = self._file.read(min(len(buffer), end - place))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
