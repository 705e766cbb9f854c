"""A thread that writes what is streamed into files, one for each track.

What was taken is handed to the operating system every second, so that a killed process has lost
no more than its last second. No file is ever overwritten. For the formats see ``file_writers``.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from bela_module.errors import RequestError
from bela_module.interruptible import FinishingThread
from bela_module.recording.buffers import BufferData
from bela_module.recording.file_writers import SUFFIXES, FileFormat, Track, open_writers
from bela_module.recording.recording_files import new_paths
from bela_module.recording.time_limits import FLUSH_PERIOD_S
from bela_module.writer_thread import WRITER_STALL_S, wait_for_writer

logger = logging.getLogger(__name__)

_MAX_WAITING_VALUES: Final = 5_000_000  # of some 20 bytes each
_MAX_KEPT_BYTES: Final = 2**27  # of all files, for a disk that takes nothing for a while
_BUFFER_VALUES: Final = 50  # a buffer itself takes as much memory as so many values


class FileRecorder:
    """Writes buffers into a file for each track, in its own thread.

    The files are created at once, so that a wrong folder or name is an error at the start. What
    a slow or full disk does not take is counted in `missing`, reported at the end, and part of
    the ``lost`` of the next buffer that is written. On a full disk the recording goes on as soon
    as there is room. A file that is removed meanwhile is written again, with all that it had.

    Parameters
    ----------
    folder : path-like
        Where the files go; made when it does not exist.
    filename : str
        Ending of the files' names: each begins with its track's name and ``_``, and gets a number
        when such files are there already.
    tracks : sequence of Track
        What is recorded.
    file_format : {"text", "compact", "csv"}
        How.
    on_error : callable
        Told, in words, when writing failed or could not keep up; from any thread.

    Attributes
    ----------
    paths : dict of str to pathlib.Path
        The file of each track.

    Raises
    ------
    RequestError
        When the files cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        filename: str,
        tracks: Sequence[Track],
        file_format: FileFormat,
        on_error: Callable[[str], None],
    ) -> None:
        if file_format not in SUFFIXES:
            raise RequestError(f"saving format {file_format!r}; there are {', '.join(SUFFIXES)}")
        self._on_error = on_error
        self._cause = "the disk was too slow"
        self._ended = self._removes_empty = False
        self._waiting: queue.SimpleQueue[tuple[str, BufferData] | None] = queue.SimpleQueue()
        names = [track.name for track in tracks]
        # Each of these is changed by one thread alone: this line by that of take().
        self._given, self._dropped, self._owed = 0, dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        self._done, self._steps, self._unwritten = 0, 0, dict.fromkeys(names, 0)
        self._skipped = dict.fromkeys(names, 0)
        self._failing: set[str] = set()
        try:
            self.paths = new_paths(Path(folder), filename, SUFFIXES[file_format], names)
            self._writers = open_writers(self.paths, tracks, file_format)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestError(f"cannot save to {str(folder)!r}: {reason}") from error
        self._thread = FinishingThread(self._run, "bela-recorder")
        self._thread.start()

    @property
    def missing(self) -> dict[str, int]:
        """Values of each track that came, but are not in its file and will not be."""
        return {name: n + self._unwritten[name] for name, n in self._dropped.items()}

    @property
    def problem(self) -> str | None:
        """What is wrong now, while the disk takes nothing."""
        return f"the recording failed: {self._cause}" if self._failing else None

    @property
    def finished(self) -> bool:
        """Whether all files are closed."""
        return self._thread.is_over

    def take(self, name: str, buffer: BufferData) -> None:
        """Queue a buffer to be written; returns at once. Always called by the same thread."""
        n_values = buffer["data"].size
        lost = buffer["lost"] + self._owed[name]
        n_waiting = self._given - self._done + _BUFFER_VALUES * self._waiting.qsize()
        if self._ended or n_waiting >= _MAX_WAITING_VALUES:
            is_first = not (self._ended or any(self._dropped.values()))
            self._owed[name] = lost + n_values
            self._dropped[name] += n_values
            if is_first:
                self._report("the disk is too slow: the recording lacks values")
            return
        if self._owed[name]:
            self._owed[name] = 0
            buffer = buffer.copy()
            buffer["lost"] = lost
        self._given += n_values
        self._waiting.put((name, buffer))

    def end(self) -> None:
        """Take no more and complete the files, without waiting; safe to call more than once."""
        if not self._ended:
            self._ended = True
            self._waiting.put(None)

    def discard(self) -> None:
        """End it, and remove its files if no buffer was taken."""
        self._removes_empty = True
        self.end()

    def close(self, stall_s: float = WRITER_STALL_S) -> bool:
        """Complete the files; safe to call more than once.

        Parameters
        ----------
        stall_s : float
            How long the disk may make no progress.

        Returns
        -------
        bool
            Whether they are complete; if not, writing goes on while the process lasts.
        """
        self.end()
        if wait_for_writer(self._thread, lambda: self._steps, stall_s):
            self._remove_discarded()  # if it had ended before that was asked
            return True
        n_left = self._given - self._done + sum(w.n_pending for w in self._writers.values())
        self._report(f"the recording is not complete yet: {n_left} values wait for the disk")
        return False

    def _run(self) -> None:
        failed = True
        try:
            self._write_all()
            failed = False
        except Exception as error:  # noqa: BLE001 -- nobody else would ever see it
            self._fail(error)
        finally:
            self._close_files()
            self._remove_discarded()
        if failed:
            while (item := self._waiting.get()) is not None:
                name, buffer = item
                self._unwritten[name] += buffer["data"].size
        missing = [f"{n} values of {name}" for name, n in self.missing.items() if n]
        if missing:
            self._report(f"the recording lacks {', '.join(missing)}: {self._cause}")

    def _write_all(self) -> None:
        flush_at_s = time.monotonic() + FLUSH_PERIOD_S
        while True:
            try:
                item = self._waiting.get(timeout=max(0.0, flush_at_s - time.monotonic()))
            except queue.Empty:
                pass
            else:
                if item is None:
                    return
                self._write(*item)
            if time.monotonic() >= flush_at_s:
                for name in self._writers:
                    self._flush(name)
                    self._steps += 1
                flush_at_s = time.monotonic() + FLUSH_PERIOD_S

    def _write(self, name: str, buffer: BufferData) -> None:
        n_values = buffer["data"].size
        writer = self._writers[name]
        if self._failing and self._n_kept_bytes >= _MAX_KEPT_BYTES:
            self._skipped[name] += n_values + buffer["lost"]
            self._unwritten[name] += n_values
            self._done += n_values
            return
        if self._skipped[name]:
            buffer = buffer.copy()
            buffer["lost"] += self._skipped[name]
            self._skipped[name] = 0
        try:
            writer.write(buffer)
        except BaseException:
            self._unwritten[name] += n_values
            raise
        finally:
            self._done += n_values
            self._steps += 1
        if writer.is_full and name not in self._failing:
            self._flush(name)

    @property
    def _n_kept_bytes(self) -> int:
        return sum(writer.n_batch_bytes for writer in self._writers.values())

    def _flush(self, name: str) -> None:
        """Write what waits of a track; when the disk does not take it, it is tried again later."""
        writer = self._writers[name]
        try:
            if writer.was_removed:
                writer.restore()
                words = "was removed, and is written again with all that it had"
                self._report(f"{writer.path} {words}")
            writer.flush()
        except OSError as error:
            self._fail(error)
            self._failing.add(name)
        else:
            if name in self._failing:
                self._failing.remove(name)
                logger.warning("%s is written again", writer.path)

    def _close_files(self) -> None:
        for name, writer in self._writers.items():
            try:
                self._flush(name)
                writer.close()
            except Exception as error:  # noqa: BLE001 -- the other files are to be closed, too
                self._unwritten[name] += writer.n_pending
                self._fail(error)
            self._steps += 1

    def _remove_discarded(self) -> None:
        if self._given or not self._removes_empty:
            return
        self._removes_empty = False  # once: others may have the names then
        for path in self.paths.values():
            try:
                path.unlink()
            except OSError as error:
                logger.warning("%s is empty, but could not be removed: %s", path, error)

    def _fail(self, error: Exception) -> None:
        cause = f"{type(error).__name__}: {error}"
        if cause != self._cause:  # all files of a full disk fail alike
            self._cause = cause
            self._report(f"the recording failed: {cause}")

    def _report(self, text: str) -> None:
        logger.error("%s", text)
        with suppress(RuntimeError):  # a disk may come back when the session's loop has ended
            self._on_error(text)
