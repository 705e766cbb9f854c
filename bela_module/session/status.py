"""The STATUS object: builds all of its keys from the runtime."""

from __future__ import annotations

import math
from typing import Any, Final

from bela_module.session.delivery.watchdog import Cause
from bela_module.session.runtime import Runtime
from bela_module.version import __version__

_MAX_NAMED: Final = 20


def clock_status(runtime: Runtime) -> dict[str, Any]:
    """Describe the clock as it is now: what is stated of it changes with every block."""
    clock = runtime.board.clock
    return {
        "uncertainty_s": _finite(runtime.board.uncertainty_s, 6),
        "drift_ppm": _finite(clock.drift_ppm if clock else math.nan, 2),
        "rtt_s": _finite(clock.rtt_s if clock else math.nan, 6),
        "probes": clock.n_probes if clock else 0,
        "generation": clock.generation if clock else 0,
    }


def build_status(runtime: Runtime) -> dict[str, Any]:
    """Describe a session; everything in it can be written as JSON."""
    board, clock = runtime.board, runtime.board.clock
    address = runtime.settings.board
    decoded = board.decoder.counters
    quiet = [Cause.QUIET.value] if runtime.is_quiet else []
    return {
        "module": "dp-bela",
        "version": __version__,
        "state": runtime.state.value,
        "board": {
            "url": address.url,
            "connected": runtime.is_connected,
            "project": board.project or None,
            "sample_rate_hz": _finite(board.declared_rate_hz),
            "tick_rate_hz": _finite(clock.tick_rate_hz if clock else math.nan, 3),
            "tick": board.tick,
        },
        "clock": clock_status(runtime),
        "streams": runtime.running.stream_status(),
        "counters": {
            "blocks": decoded.blocks,
            "orphan_headers": decoded.orphan_headers,
            "orphan_payloads": decoded.orphan_payloads,
            "foreign_blocks": board.counters.foreign_blocks,
            "bad_frames": count_bad_frames(runtime),
            "reconnects": board.counters.reconnects,
            "restarts": board.counters.restarts,
            "repeated_values": board.counters.repeated_values,
        },
        "controlled": sorted(runtime.changes.controlled),
        "others": others_on_board(runtime),
        "problems": [*runtime.problems, *quiet],
        "shortfalls": list(runtime.running.shortfalls),
        "notices": runtime.notices.recent,
        "last_error": runtime.notices.last_error,
    }


def others_on_board(runtime: Runtime) -> dict[str, list[str]]:
    """List what is watched, monitored and controlled by others, or left over from a crash.

    Parameters
    ----------
    runtime : Runtime
        The session.

    Returns
    -------
    dict of str to list of str
        Names of variables under ``watched``, ``monitored`` and ``controlled``, at most 20 each.
    """
    running = list(runtime.running)
    watched = {v.name for delivery in running for v in delivery.watched}
    monitored = {v.name for delivery in running for v in delivery.monitored}
    board = runtime.board
    variables = board.variables
    names = {
        "watched": list(board.watched_by_others(watched)),
        "monitored": list(board.monitored_by_others(monitored)),
        "controlled": [
            v.name for v in variables if v.controlled and v.name not in runtime.changes.controlled
        ],
    }
    return {key: found[:_MAX_NAMED] for key, found in names.items()}


def count_bad_frames(runtime: Runtime) -> int:
    """Count messages that could not be read or cannot be right, over all connections."""
    counters, decoded = runtime.board.counters, runtime.board.decoder.counters
    blocks = decoded.bad_frames + decoded.unknown_variables + counters.impossible_blocks
    replies = runtime.client.counters.bad_frames if runtime.client is not None else 0
    return blocks + replies + counters.bad_replies


def _finite(value: float, digits: int | None = None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)
