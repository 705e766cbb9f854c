"""Says when the disk of a recording is full, or soon will be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

FULL_BYTES: Final = 32 << 20
"""Room that is left to end a recording, and to write what goes beside it."""

_SOON_S: Final = 600.0
_SETTLED_S: Final = 5.0
_MEBIBYTE: Final = 1 << 20


def free_bytes(path: Path) -> int | None:
    """Return the room on the disk of a file; ``None`` when the system does not tell."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None


class DiskRoom:
    """Room on the disk of a recording.

    Parameters
    ----------
    path : Path
        The file that grows.
    free : callable
        Returns the free bytes of a path's disk.
    """

    def __init__(self, path: Path, free: Callable[[Path], int | None] = free_bytes) -> None:
        self._path = path
        self._free = free
        self._has_warned = False

    def problem(self) -> str | None:
        """Say that there is no room; ``None`` while there is."""
        free = self._free(self._path)
        if free is None or free >= FULL_BYTES:
            return None
        return (
            f"the disk of {self._path.parent} is full: {free // _MEBIBYTE} MiB are left; make "
            "room, or record to another disk"
        )

    def warning(self, n_bytes: int, elapsed_s: float) -> str | None:
        """Say once that the disk will be full in some minutes at the rate so far."""
        free = self._free(self._path)
        if self._has_warned or free is None or elapsed_s < _SETTLED_S or n_bytes == 0:
            return None
        left_s = (free - FULL_BYTES) / (n_bytes / elapsed_s)
        if left_s > _SOON_S:
            return None
        self._has_warned = True
        minutes = "a minute" if left_s < 90 else f"{left_s / 60:.0f} minutes"
        return f"the disk of {self._path.parent} will be full in {minutes}"
