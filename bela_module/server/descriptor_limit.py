"""The number of files and sockets that the process may open: each LSL outlet takes up to 17."""

from __future__ import annotations

import importlib
import logging
from typing import Any, Final

logger = logging.getLogger(__name__)

WANTED_DESCRIPTORS: Final = 8192


def raise_descriptor_limit(wanted: int = WANTED_DESCRIPTORS) -> int | None:
    """Raise the soft limit of descriptors as far as the system allows, up to what is wanted.

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
