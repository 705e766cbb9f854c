"""Publishes the variables of a Bela board to the Lab Streaming Layer, or streams them to Python.

``Streamer``, ``Monitor``, ``Controller`` and ``Watcher`` are found here, and ``Logger``, which says
what to use in its place. Each is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bela_module.errors import LibraryError

if TYPE_CHECKING:
    from bela_module.scripting.controller import Controller
    from bela_module.scripting.logger import Logger
    from bela_module.scripting.monitor import Monitor
    from bela_module.scripting.streamer import Streamer
    from bela_module.scripting.watcher import Watcher

__all__ = ["Controller", "Logger", "Monitor", "Streamer", "Watcher"]


def __getattr__(name: str) -> Any:
    """Load a class of the Python interface, so that what does not use it stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.scripting.{name.lower()}")
    except (ImportError, OSError, RuntimeError) as error:  # pylsl raises any of them
        raise LibraryError(f"{error}") from error
    return getattr(module, name)
