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

    def restore(self) -> None:
        """Write it again at its path.

        Raises
        ------
        RecordingError
            When that cannot be done; never over another file.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.file.seek(0)
            with self._path.open("xb") as restored:
                shutil.copyfileobj(self.file, restored)
        except OSError as error:
            raise RecordingError(
                f"{self._path} was moved or removed while it was recorded, and cannot be written "
                f"anew: {error.strerror or error}"
            ) from error
