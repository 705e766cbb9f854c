"""A writer of XDF files, as far as a recorder of LSL streams needs it.

XDF 1.0 (github.com/sccn/xdf/wiki/Specifications): a file header, then for each stream a header, any
number of chunks of samples and of clock offsets, and a footer. Every sample has its stamp.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_FILE_HEADER: Final = 1
_STREAM_HEADER: Final = 2
_SAMPLES: Final = 3
_CLOCK_OFFSET: Final = 4
_STREAM_FOOTER: Final = 6

Floats = NDArray[np.float64]


class XdfFile:
    """One file that is written; its methods may be called from any thread.

    Parameters
    ----------
    path : Path
        Where to; an older file is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._lock = threading.Lock()
        self._file.write(b"XDF:")
        header = b'<?xml version="1.0"?><info><version>1.0</version></info>'
        self._write(_FILE_HEADER, header)

    def __enter__(self) -> XdfFile:
        """Give the file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self._file.close()

    def write_header(self, stream: int, header: str) -> None:
        """Write what LSL says of a stream, its XML."""
        self._write(_STREAM_HEADER, struct.pack("<I", stream) + header.encode())

    def write_samples(self, stream: int, stamps_s: Floats, rows: NDArray[Any]) -> None:
        """Write numbers: ``rows`` of shape (n_samples, n_channels)."""
        values = np.ascontiguousarray(rows).reshape(stamps_s.size, -1)
        fields = [("size", "u1"), ("stamp", "<f8"), ("values", values.dtype, values.shape[1:])]
        samples = np.empty(stamps_s.size, fields)
        samples["size"], samples["stamp"], samples["values"] = 8, stamps_s, values
        self._write_chunk(stream, stamps_s.size, samples.tobytes())

    def write_texts(self, stream: int, stamps_s: Floats, rows: Sequence[Sequence[str]]) -> None:
        """Write texts, one list for each sample."""
        parts = []
        for stamp_s, row in zip(stamps_s, rows, strict=True):
            parts.append(b"\x08" + struct.pack("<d", stamp_s))
            for text in row:
                data = text.encode()
                parts.append(b"\x04" + struct.pack("<I", len(data)) + data)
        self._write_chunk(stream, stamps_s.size, b"".join(parts))

    def write_offset(self, stream: int, at_s: float, offset_s: float) -> None:
        """Write how far the clock of a stream's computer is from this one's."""
        self._write(_CLOCK_OFFSET, struct.pack("<Idd", stream, at_s, offset_s))

    def write_footer(self, stream: int, first_s: float, last_s: float, n_samples: int) -> None:
        """Write what became of a stream."""
        footer = (
            f"<info><first_timestamp>{first_s}</first_timestamp><last_timestamp>{last_s}"
            f"</last_timestamp><sample_count>{n_samples}</sample_count></info>"
        )
        self._write(_STREAM_FOOTER, struct.pack("<I", stream) + footer.encode())

    def _write_chunk(self, stream: int, n_samples: int, content: bytes) -> None:
        head = struct.pack("<I", stream) + b"\x04" + struct.pack("<I", n_samples)
        self._write(_SAMPLES, head + content)

    def _write(self, tag: int, content: bytes) -> None:
        with self._lock:
            self._file.write(b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content)
