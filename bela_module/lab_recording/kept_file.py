"""A file that is kept open while another process writes it, and restored when it was removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bela_module.errors import RecordingError


class KeptFile:
    """A file that is still there for this process when its name is gone.

    Parameters
    ----------
    path : Path
        The file; it exists.

    Raises
    ------
    RecordingError
        When it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.file: BinaryIO = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from error

    def __enter__(self) -> KeptFile:
        """Keep it open."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.file.close()

    @property
    def is_gone(self) -> bool:
        """Whether its name leads to no file any more, or to another one."""
        try:
            return not os.path.samestat(os.fstat(self.file.fileno()), self._path.stat())
        except OSError:
            return True

    def restore(self) -> Path:
        """Write it again at its path, or beside it when that is taken.

        Returns
        -------
        Path
            Where it is: ``x_restored.xdf`` when another file has the name ``x.xdf`` meanwhile,
            ``x_restored2.xdf`` when that is taken, too.

        Raises
        ------
        RecordingError
            When that cannot be done; no part of it is left then.
        """
        path = self._path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path, restored = _made(path)
            try:
                with restored:
                    self.file.seek(0)
                    shutil.copyfileobj(self.file, restored)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        except OSError as error:
            is_elsewhere = os.fstat(self.file.fileno()).st_nlink > 0
            samples = "are where it was moved to" if is_elsewhere else "are lost"
            raise RecordingError(
                f"{self._path} was moved or removed while it was recorded, and cannot be written "
                f"again: {error.strerror or error}; its samples {samples}"
            ) from error
        return path


def _made(path: Path) -> tuple[Path, BinaryIO]:
    """Make a file of a name that nothing has: this one, or one that is counted up."""
    free, number = path, 1
    while True:
        try:
            return free, free.open("xb")
        except FileExistsError:
            count = "" if number == 1 else str(number)
            free = path.with_name(f"{path.stem}_restored{count}{path.suffix}")
            number += 1
