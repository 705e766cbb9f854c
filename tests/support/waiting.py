"""Waiting for a condition: often at first, then less often, since looking costs time as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.02
GROWTH = 1.3


def until(condition: Callable[[], Any], what: str = "condition", timeout_s: float = 60.0) -> None:
    """Wait for a condition, and fail the test when it does not come true in time."""
    deadline_s = time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"{what} did not come true in {timeout_s} s")
        time.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, GROWTH * pause_s)
