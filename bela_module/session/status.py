"""The STATUS object: builds all of its keys from the runtime, when somebody asks for it."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import Any, Final

from bela_module.session.delivery.watchdog import Cause
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import STATUS_FRESH_S, STATUS_KEPT_S, STATUS_WAIT_S
from bela_module.version import __version__

_MAX_NAMED: Final = 20


class StatusSnapshot:
    """Keeps the latest STATUS object, and builds a new one when that is asked for and old.

    No lock guards the state of a session, so only its own thread builds (decision 1). A session of
    a hundred streams has much to describe, and nobody may ever ask.

    To be made in the session's thread.

    Parameters
    ----------
    build : callable
        Describes the session as it is now.
    now : callable
        Seconds.
    """

    def __init__(self, build: Callable[[], dict[str, Any]], now: Callable[[], float]) -> None:
        self._build = build
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._thread = threading.current_thread()
        self._asked: tuple[threading.Event, float] | None = None  # and when
        self.refresh()

    def refresh(self) -> None:
        """Build it again; in the session's thread."""
        self._is_outdated = False
        self._status = self._build()
        self._built_s = self._now()

    def outdate(self) -> None:
        """Have the next reader get a new one, however young the present one is."""
        self._is_outdated = True

    def refresh_if_old(self) -> None:
        """Build it again now and then, for readers whom the session's thread cannot answer."""
        if self._now() > self._built_s + STATUS_KEPT_S:
            self.refresh()

    def read(self) -> dict[str, Any]:
        """Return the latest one, at most `STATUS_FRESH_S` old; from any thread.

        It is older when the session's thread has ended or stands still for longer than
        `STATUS_WAIT_S`.
        """
        if self._is_outdated or self._now() > self._built_s + STATUS_FRESH_S:
            if threading.current_thread() is self._thread:
                self.refresh()
            else:
                self._have_refreshed()
        return self._status

    def _have_refreshed(self) -> None:
        """Have the session's thread build it, and wait for that; all who wait share the time."""
        asked = self._asked
        if asked is None or asked[0].is_set():
            asked = self._asked = (threading.Event(), self._now())
            try:
                self._loop.call_soon_threadsafe(self._build_for, asked[0])
            except RuntimeError:  # the loop has ended, and what it built last stands
                asked[0].set()
                return
        is_built, asked_s = asked
        is_built.wait(max(0.0, asked_s + STATUS_WAIT_S - self._now()))

    def _build_for(self, is_built: threading.Event) -> None:
        try:
            self.refresh()
        finally:
            is_built.set()


def _clock_status(runtime: Runtime) -> dict[str, Any]:
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
        "instance": board.instance,
        "state": runtime.state.value,
        "board": {
            "url": address.url,
            "name": address.name,
            "connected": runtime.is_connected,
            "project": board.project or None,
            "sample_rate_hz": _finite(board.declared_rate_hz),
            "tick_rate_hz": _finite(clock.tick_rate_hz if clock else math.nan, 3),
            "tick": board.tick,
        },
        "clock": _clock_status(runtime),
        "streams": runtime.running.stream_status(),
        "inputs": runtime.inputs.status(runtime.now),
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
