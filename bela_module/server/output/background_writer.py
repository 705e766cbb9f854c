"""Text and bytes written by a thread of their own: nobody waits for a reader that does not read."""

from __future__ import annotations

import codecs
import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from bela_module.server.time_limits import OUTPUT_END_S, OUTPUT_FLUSH_S, OUTPUT_RETRY_S

_MAX_WAITING_BYTES: Final = 2**20
_PLAIN: Final = str.maketrans({"µ": "u", "…": "...", "–": "-", "—": "-"})


class BackgroundWriter:
    """Writes bytes in a thread of its own: `write(data)` is that of an unbuffered file.

    It does not lock what the end of the interpreter would wait for.
    """

    def __init__(self, write: Callable[[bytes], int | None], name: str) -> None:
        self.error: OSError | None = None
        """Why nothing is written any more."""
        self._write = write
        self._waiting: deque[bytes] = deque()
        self._n_bytes = 0
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        """Bytes that are not written yet."""
        return self._n_bytes

    def put(self, data: bytes) -> bool:
        """Queue bytes to be written; False: they are dropped, as too many wait already."""
        with self._changed:
            if self.error is not None or self._n_bytes + len(data) > _MAX_WAITING_BYTES:
                return False
            self._waiting.append(data)
            self._n_bytes += len(data)
            self._changed.notify_all()
        return True

    def wait(self, timeout_s: float) -> bool:
        """Wait until all is written; False: it was not, in time or for an error."""
        with self._changed:
            self._changed.wait_for(lambda: not self._n_bytes or self.error is not None, timeout_s)
            return not self._n_bytes and self.error is None

    def close(self, timeout_s: float) -> bool:
        """Write what waits, and end the thread; False: not all was written in time."""
        done = self.wait(timeout_s)
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if done:
            self._thread.join(timeout_s)
        return done

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                data = self._waiting.popleft()
            while data and self.error is None:
                try:
                    n_written = self._write(data)
                except BlockingIOError:
                    n_written = None
                except (OSError, ValueError) as error:
                    self._fail(error if isinstance(error, OSError) else OSError(str(error)))
                    break
                if n_written is None:  # the descriptor was made non-blocking by another program
                    time.sleep(OUTPUT_RETRY_S)
                    continue
                data = data[n_written:]
                with self._changed:
                    self._n_bytes -= n_written
                    self._changed.notify_all()

    def _fail(self, error: OSError) -> None:
        with self._changed:
            self.error = error
            self._waiting.clear()
            self._n_bytes = 0
            self._changed.notify_all()


class BackgroundStream(io.TextIOBase):
    """A text stream that is written in the background; no write waits, or fails to be encoded.

    Parameters
    ----------
    raw : file-like
        The unbuffered binary file.
    encoding : str
        How text is encoded; what it does not have is replaced by something readable.
    is_strict : bool
        Whether :meth:`flush` waits a moment, and raises the error that ended the writing.
    """

    def __init__(self, raw: Any, encoding: str, *, is_strict: bool, name: str) -> None:
        self._raw = raw
        self._encoding = encoding
        self._encoder = codecs.getincrementalencoder(encoding)("backslashreplace")
        self._is_strict = is_strict
        self._writer = BackgroundWriter(raw.write, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The name of the encoding."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What becomes of characters that the encoding does not have."""
        return "backslashreplace"

    @property
    def is_behind(self) -> bool:
        """Whether something waits for the reader."""
        return self._writer.n_waiting > 0

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return bool(self._raw.isatty())

    def fileno(self) -> int:
        """Return the file descriptor."""
        return int(self._raw.fileno())

    def write(self, text: str, /) -> int:
        """Queue a text; it is dropped when too much waits."""
        if os.linesep != "\n":
            text = text.replace("\n", os.linesep)
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            text = text.translate(_PLAIN)
        self._writer.put(self._encoder.encode(text))
        return len(text)

    def flush(self) -> None:
        """If strict, wait a moment for what is not written yet; `OSError` when it cannot be."""
        if self._is_strict and not self.closed:
            self._writer.wait(OUTPUT_FLUSH_S)
            if self._writer.error is not None:
                raise self._writer.error

    def finish(self, timeout_s: float = OUTPUT_END_S) -> bool:
        """Write what waits, as long as time allows; return whether all was written."""
        return self._writer.close(timeout_s)


def background_stdout() -> Any:
    """Return a stream that writes to standard output in the background.

    Where standard output is no file, as in a test, it is given as it is.
    """
    buffer = getattr(sys.stdout, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED there is no buffer between them
    if not isinstance(raw, io.RawIOBase):
        return sys.stdout
    sys.stdout.flush()
    return BackgroundStream(raw, sys.stdout.encoding or "utf-8", is_strict=True, name="output")
