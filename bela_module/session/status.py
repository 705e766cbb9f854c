"""The STATUS object: one picture of a session for people and programs."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bela_module.session.delivery.watchdog import Cause
from bela_module.version import __version__

if TYPE_CHECKING:
    from bela_module.session.driver import Driver


class SessionState(StrEnum):
    """What a session is doing."""

    IDLE = "idle"
    CONNECTING = "connecting"
    WAITING = "waiting"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    STOPPING = "stopping"


def build_status(driver: Driver) -> dict[str, Any]:
    """Describe a driver's session; everything in it can be written as JSON."""
    board, clock, client = driver.board, driver.board.clock, driver.client
    address = driver.settings.board
    decoded = board.decoder.counters
    return {
        "module": "dp-bela",
        "version": __version__,
        "state": driver.state.value,
        "board": {
            "url": f"ws://{address.host}:{address.port}",
            "connected": client is not None and not client.lost.done(),
            "project": board.project or None,
            "sample_rate_hz": _finite(board.declared_rate_hz),
            "tick_rate_hz": _finite(clock.tick_rate_hz if clock else math.nan, 3),
            "tick": board.tick,
        },
        "clock": {
            "uncertainty_s": _finite(board.uncertainty_s, 6),
            "drift_ppm": _finite(clock.drift_ppm if clock else math.nan, 2),
            "rtt_s": _finite(clock.rtt_s if clock else math.nan, 6),
            "probes": clock.n_probes if clock else 0,
            "generation": clock.generation if clock else 0,
        },
        "streams": driver.stream_status(),
        "counters": {
            "blocks": decoded.blocks,
            "orphan_headers": decoded.orphan_headers,
            "orphan_payloads": decoded.orphan_payloads,
            "foreign_blocks": board.counters.foreign_blocks,
            "bad_frames": count_bad_frames(driver),
            "reconnects": board.counters.reconnects,
            "restarts": board.counters.restarts,
            "repeated_values": board.counters.repeated_values,
        },
        "controlled": sorted(driver.controlled),
        "problems": [*driver.problems, *([Cause.QUIET.value] if driver.is_quiet else [])],
        "shortfalls": list(driver.shortfalls),
        "notices": driver.notices.recent,
        "last_error": driver.last_error,
    }


def count_bad_frames(driver: Driver) -> int:
    """Count messages that could not be read or cannot be right, over all connections."""
    counters, decoded = driver.board.counters, driver.board.decoder.counters
    blocks = decoded.bad_frames + decoded.unknown_variables + counters.impossible_blocks
    replies = driver.client.counters.bad_frames if driver.client is not None else 0
    return blocks + replies + counters.bad_replies


def _finite(value: float, digits: int | None = None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)
