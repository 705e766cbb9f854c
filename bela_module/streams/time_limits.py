"""Time limits of the streams, named after what expires."""

from __future__ import annotations

from typing import Final

FIRST_LISTENER_S: Final = 2.0
"""For somebody to listen to a stream that has just appeared; its first samples wait so long."""
RATE_WINDOW_S: Final = 10.0
"""Over which the effective rate of a stream is measured."""
