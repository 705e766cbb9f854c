"""How often something may happen, with short bursts allowed. Pure."""

from __future__ import annotations

from typing import Final

_BURST_S: Final = 0.005
"""By how much what comes unevenly may be ahead of its rate."""


class RateLimit:
    """Generic cell rate algorithm (ITU-T I.371): a mean rate, and a tolerance for jitter.

    A sender of exactly the rate, whose samples come up to 5 ms early, is never held back.

    Parameters
    ----------
    max_rate_hz : float
        Longest mean rate.
    """

    def __init__(self, max_rate_hz: float) -> None:
        self._period_s = 1.0 / max_rate_hz
        self._due_s = -float("inf")

    def note(self, now_s: float) -> None:
        """Count one, at a time in seconds."""
        self._due_s = max(now_s, self._due_s) + self._period_s

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait until the next one, 0 when it may come at once."""
        return max(0.0, self._due_s - _BURST_S - now_s)
