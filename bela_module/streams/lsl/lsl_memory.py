"""Memory of LSL's queues: what consumers took goes back to the system when they leave."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # of glibc's malloc.h
_LARGE_BYTES: Final = 1 << 20
_M_ARENA_MAX: Final = -8


def share_one_heap() -> None:
    """Have all threads take memory from one heap (on Linux).

    By default glibc has a heap for each few threads ("M_ARENA_MAX"), and what LSL's threads leave
    free in theirs, no other one uses: with inlets that come and go, the memory of a process rises.
    For programs only, and to be called before LSL begins its threads.
    """
    _set_malloc(_M_ARENA_MAX, 1)


def return_large_blocks() -> None:
    """Have large blocks of memory returned to the system when they are freed (on Linux).

    LSL allocates a queue for each consumer: of 8 MB for 10 s of 44.1 kHz. Once such a block was
    freed, glibc takes the next ones from its heaps, one for each thread, which only grow: with
    inlets that come and go, memory rises by a few MB a minute. A fixed threshold switches that off
    (``man mallopt``, "M_MMAP_THRESHOLD").
    """
    _set_malloc(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def return_freed_memory() -> None:
    """Give back to the system what was freed between blocks that are used (on Linux).

    LSL's many threads leave holes in heaps of their own, which glibc never looks at by itself: with
    inlets that come and go, the memory of a process rises by a MB a minute. It takes 2 ms.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, without this function
            ctypes.CDLL(None).malloc_trim(0)


def _set_malloc(parameter: int, value: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, without this function
            ctypes.CDLL(None).mallopt(parameter, value)
