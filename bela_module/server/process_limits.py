"""What a program sets for its whole process: open files, heaps, how long threads wait."""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

logger = logging.getLogger(__name__)

WANTED_DESCRIPTORS: Final = 8192
_SWITCH_INTERVAL_S: Final = 0.001
_COLLECT_AFTER: Final = 5000, 10, 20
"""New objects before the youngest are looked at, and how often before the older ones, and all."""
_M_ARENA_MAX: Final = -8  # of glibc's malloc.h


def raise_descriptor_limit(wanted: int = WANTED_DESCRIPTORS) -> int | None:
    """Raise the soft limit of descriptors as far as the system allows, up to what is wanted.

    Each LSL outlet takes up to 17.

    Parameters
    ----------
    wanted : int
        Descriptors that suffice.

    Returns
    -------
    int or None
        The limit that holds now; ``None`` where there is none, as on Windows.
    """
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited:
        return None
    target = wanted if hard == unlimited else min(wanted, hard)
    if soft >= target:
        return int(soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (ValueError, OSError) as error:  # macOS allows less than it says
        logger.warning("the limit of %d open files could not be raised: %s", soft, error)
        return int(soft)
    logger.debug("the limit of open files is %d now; it was %d", target, soft)
    return int(target)


def share_one_heap() -> None:
    """Have all threads take memory from one heap (on Linux); to be called before any thread begins.

    By default glibc has a heap for each few threads, and what LSL's threads leave free in theirs,
    no other one uses: with inlets that come and go, the memory of a process rises. What is set
    here is looked at once, when the second thread takes memory (``man mallopt``, "M_ARENA_MAX").
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, without this function
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


@contextmanager
def limit_pauses() -> Iterator[None]:
    """Have threads wait less for one another until the end of the context; for programs only.

    A full collection of the garbage collector looks at every object, and no thread runs meanwhile:
    40 to 80 ms with what the imports alone have made. What exists now is left out of it
    (:func:`gc.freeze`), and what lives for a second, as thousands of commands that wait, is looked
    at less often: hardly anything is in cycles. A thread that waits for the interpreter gets it
    after 1 ms instead of 5 (:func:`sys.setswitchinterval`); a command takes several such waits.

    To be entered when all is loaded.
    """
    switch_interval_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switch_interval_s)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
