"""Counts the samples of an XDF file while LabRecorder writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from xml.etree.ElementTree import fromstring

from bela_module.reports.xdf_chunks import MAGIC, SAMPLES, WholeChunks, take_chunk

_COUNT_BYTES: Final = 9  # the length of a number, and the number


@dataclass(slots=True)
class WrittenStream:
    """A stream as far as it is in the file.

    Attributes
    ----------
    name, source_id : str
        As LSL tells them.
    n_samples : int
        Samples in whole chunks.
    sample_bytes : float
        Size of a sample in the file; NaN until there is one.
    """

    name: str
    source_id: str
    n_samples: int = 0
    n_bytes: int = 0

    @property
    def sample_bytes(self) -> float:
        """Size of a sample in the file, on average; 0 until there is one."""
        return self.n_bytes / self.n_samples if self.n_samples else 0.0


class GrowingXdf:
    """An XDF file that another process writes; each look reads only the heads of new chunks.

    What the writer has not flushed yet, some thousand bytes, cannot be seen.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chunks = WholeChunks()
        self._at = len(MAGIC)
        self.n_bytes = 0
        self.streams: dict[int, WrittenStream] = {}

    def look(self, opened: BinaryIO | None = None) -> None:
        """Take what has been written since; nothing, when the file cannot be opened.

        Parameters
        ----------
        opened : binary file, optional
            The file, where it is open already.
        """
        if opened is not None:
            self._take(opened)
            return
        try:
            with self._path.open("rb") as file:
                self._take(file)
        except FileNotFoundError:
            return

    @property
    def n_samples(self) -> int:
        """Samples of all streams."""
        return sum(stream.n_samples for stream in self.streams.values())

    def n_samples_of(self, identity: str) -> int:
        """Give the samples of all streams whose ``source_id`` begins with an identity."""
        return sum(s.n_samples for s in self.streams.values() if s.source_id.startswith(identity))

    def missing_bytes(self, streamed: Mapping[str, int], identity: str) -> float:
        """Estimate the size of what was streamed and is not seen in the file.

        Parameters
        ----------
        streamed : mapping of str to int
            Samples, by the stream's name.
        identity : str
            What the ``source_id`` of each of our streams begins with.
        """
        written = {s.name: s for s in self.streams.values() if s.source_id.startswith(identity)}
        return sum(
            max(0, n_samples - stream.n_samples) * stream.sample_bytes
            for name, n_samples in streamed.items()
            if (stream := written.get(name)) is not None
        )

    def _take(self, file: BinaryIO) -> None:
        self.n_bytes = self._chunks.n_bytes = file.seek(0, 2)
        while self._at < self.n_bytes:
            end = take_chunk(file, self._at, self._chunks)
            if end is None:
                return  # not whole yet
            self._at = end
            chunk = self._chunks.chunks.pop()  # an hour of them would fill memory
            if chunk.stream not in self.streams and chunk.stream in self._chunks.headers:
                info = fromstring(self._chunks.headers[chunk.stream])  # noqa: S314 - LSL's own
                self.streams[chunk.stream] = WrittenStream(
                    info.findtext("name") or "", info.findtext("source_id") or ""
                )
            if chunk.tag == SAMPLES:
                file.seek(chunk.content)
                head = file.read(_COUNT_BYTES)
                stream = self.streams[chunk.stream]
                stream.n_samples += int.from_bytes(head[1 : 1 + head[0]], "little")
                stream.n_bytes += chunk.end - chunk.begin
