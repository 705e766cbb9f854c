"""Compiled modules are kept, also where Python is told to write none beside the sources.

Each worker compiles all tests, and each program that a test starts the whole package, unless what
they compile is kept. With ``PYTHONDONTWRITEBYTECODE`` it goes to pytest's cache folder instead.
"""

from __future__ import annotations

import os
import sys

from tests.support.paths import ROOT

FOLDER = ROOT / ".pytest_cache" / "bytecode"


def keep_bytecode() -> None:
    """Set for this process and for those that it starts where compiled modules are kept."""
    if sys.dont_write_bytecode and sys.pycache_prefix is None:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it may have come with -B
        os.environ["PYTHONPYCACHEPREFIX"] = str(FOLDER)
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(FOLDER)
