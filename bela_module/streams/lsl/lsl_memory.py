"""Memory of LSL's queues: what consumers took goes back to the system when they leave."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # of glibc's malloc.h
_LARGE_BYTES: Final = 1 << 20


def return_large_blocks() -> None:
    """Have large blocks of memory returned to the system when they are freed (on Linux).

    LSL allocates a queue for each consumer: of 8 MB for 10 s of 44.1 kHz. Once such a block was
    freed, glibc takes the next ones from its heaps, one for each thread, which only grow: with
    inlets that come and go, memory rises by a few MB a minute. A fixed threshold switches that off
    (``man mallopt``, "M_MMAP_THRESHOLD").
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, without this function
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def return_freed_memory() -> None:
    """Give back to the system what was freed between blocks that are used (on Linux).

    LSL's many threads leave holes in heaps of their own, which glibc never looks at by itself: with
    inlets that come and go, the memory of a process rises by a MB a minute. It takes 2 ms.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, without this function
            ctypes.CDLL(None).malloc_trim(0)
