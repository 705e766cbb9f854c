"""Capture files of the traffic between a board and its client: one JSON object per message.

A line is ``{"t": 1.25, "channel": "data", "dir": "in", "kind": "binary", "b64": "..."}``: the
seconds since the start, ``control`` or ``data``, ``in`` (from the board) or ``out``, ``text`` or
``binary``, and the raw message; ``conn``, if there, is the number of the connection. Files whose
name ends in ``.gz`` are compressed.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

from bela_module.errors import CaptureError

_DIRECTIONS: Final = {"in": True, "out": False}
_CHANNELS: Final = ("control", "data")


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """One websocket message of a capture."""

    time_s: float
    """Seconds since the capture began, on a monotonic clock."""
    channel: str
    """``control`` or ``data``."""
    from_board: bool
    message: str | bytes
    connection: int = 1
    """Number of the connection, from 1."""


def read_capture(path: str | Path) -> Iterator[CapturedMessage]:
    """Read a capture, message by message.

    Parameters
    ----------
    path : str or Path
        A ``.jsonl`` or ``.jsonl.gz`` file.

    Yields
    ------
    CapturedMessage
        In the order of the file, without a message that is cut short at its end, as by a power
        failure.

    Raises
    ------
    CaptureError
        When the file cannot be opened or a line is not a message; names the file and the line.
    """
    try:
        with _open(Path(path), "rt") as lines:
            yield from _read_lines(lines, path)
    except EOFError:
        return  # a compressed file that was cut short
    except (OSError, UnicodeDecodeError, zlib.error) as error:
        raise CaptureError(f"cannot read the capture {path}: {error}") from error


def _read_lines(lines: IO[str], path: str | Path) -> Iterator[CapturedMessage]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            message = _parse_line(line)
        except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
            if not line.endswith("\n"):
                return
            raise CaptureError(
                f"line {number} of {path} is not a captured message ({error!r}): {line[:80]!r}"
            ) from error
        yield message


def _parse_line(line: str) -> CapturedMessage:
    entry: dict[str, Any] = json.loads(line)
    raw = base64.b64decode(entry["b64"], validate=True)
    time_s = float(entry["t"])
    if not math.isfinite(time_s):
        raise ValueError(f"a time of {time_s}")
    if entry["channel"] not in _CHANNELS:
        raise ValueError(f"channel {entry['channel']!r} is none of {_CHANNELS}")
    return CapturedMessage(
        time_s=time_s,
        channel=entry["channel"],
        from_board=_DIRECTIONS[entry["dir"]],
        message=raw.decode() if entry["kind"] == "text" else raw,
        connection=int(entry.get("conn", 1)),
    )


class CaptureWriter:
    """Writes a capture; use it in a ``with`` statement.

    Parameters
    ----------
    path : str or Path
        File to create, compressed when the name ends in ``.gz``. An existing one is refused.

    Raises
    ------
    CaptureError
        When the file exists already or cannot be created or written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            self._file = _open(self._path, "xt")
        except OSError as error:
            raise CaptureError(f"cannot create the capture {path}: {error}") from error

    def write(self, message: CapturedMessage) -> None:
        """Append one message."""
        text = isinstance(message.message, str)
        raw = message.message.encode() if isinstance(message.message, str) else message.message
        entry = {
            "t": round(message.time_s, 6),
            "channel": message.channel,
            "dir": "in" if message.from_board else "out",
            "kind": "text" if text else "binary",
            "b64": base64.b64encode(raw).decode("ascii"),
            "conn": message.connection,
        }
        try:
            self._file.write(json.dumps(entry) + "\n")
        except (OSError, ValueError) as error:
            raise CaptureError(f"cannot write the capture {self._path}: {error}") from error

    def flush(self) -> None:
        """Flush to the operating system, so that it survives the end of this process."""
        try:
            self._file.flush()
        except (OSError, ValueError) as error:
            raise CaptureError(f"cannot write the capture {self._path}: {error}") from error

    def close(self) -> None:
        """Finish the file; safe to call more than once."""
        try:
            self._file.close()
        except OSError as error:
            raise CaptureError(f"cannot finish the capture {self._path}: {error}") from error

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file."""
        self.close()


def _open(path: Path, mode: Literal["rt", "xt"]) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, mode, encoding="utf-8")
    return path.open(mode, encoding="utf-8")
