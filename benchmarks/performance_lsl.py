"""Delay to an inlet of another process, and memory with inlets: tables of ``performance.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from benchmarks.measured_processes import (
    Load,
    Outcome,
    board,
    inlets,
    lines_of,
    lsl_settings,
    start_reader,
)

_START_S: Final = 5.0
"""For a module to start, and for inlets to find its streams."""
_SETTLE_S: Final = 2.0
"""For samples that were held for a listener."""
_DELAY_LOAD: Final = Load("8 analog, 2 audio", 44100, 10, slow=8, prebuilt=True)
_MEMORY_LOADS: Final = (
    (Load("10 streams", 44100, 10, prebuilt=True), 200),
    (Load("1 stream of 130", 22050, 130, 1, prebuilt=True), 150),
)

Delays = dict[str, "np.ndarray[Any, np.dtype[np.float64]]"]


def _match(sent: Outcome, fetched: Outcome) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return how long each block took that was sent when all inlets were open, in seconds."""
    since_s = fetched["open_s"] + _SETTLE_S
    delays_s: list[float] = []
    for notes, arrivals in zip(sent["notes"], fetched["arrivals"], strict=True):
        written_s = {serial: at_s for serial, at_s in notes if at_s > since_s}
        delays_s += [now_s - written_s[n] for n, now_s in arrivals if n in written_s]
    return np.array(delays_s)


def measure_delays(seconds: float) -> Delays:
    """Measure how long a block takes, from LSL's own push and from the socket, to an inlet."""
    load = _DELAY_LOAD
    delays: Delays = {}
    with lsl_settings() as environment:
        with (
            board(load, environment, "--push") as (_, sent),
            inlets(load.names, seconds + _SETTLE_S, environment) as fetched,
        ):
            pass
        delays["LSL push → pull"] = _match(sent, fetched)
    with lsl_settings() as environment:
        with board(load, environment, "--note") as (port, sent):
            reader = start_reader(load, "module", port, seconds + _SETTLE_S + _START_S, environment)
            with inlets(load.names, seconds + _SETTLE_S, environment) as fetched:
                pass
            lines_of(reader)
        delays["socket → pull"] = _match(sent, fetched)
    return delays


def delay_table(seconds: float, delays: Delays) -> Iterator[str]:
    """Yield the lines of the table; put the delays into a dictionary."""
    delays.update(measure_delays(seconds))
    yield "| Delay, ms | p50 | p99 | longest | blocks |"
    yield "|---|---:|---:|---:|---:|"
    for title, delays_s in delays.items():
        p50, p99 = 1e3 * np.quantile(delays_s, [0.5, 0.99])
        yield f"| {title} | {p50:.2f} | {p99:.2f} | {1e3 * delays_s.max():.1f} | {delays_s.size} |"


def _memory(load: Load, seconds: float) -> tuple[list[float], list[dict[str, Any]]]:
    """Return resident MiB of each second that an inlet listened to each stream."""
    names = load.names if load.shape[1] == 1 else [f"bela_group{k}" for k in range(load.streams)]
    with lsl_settings() as environment, board(load, environment) as (port, _):
        reader = start_reader(load, "module", port, seconds + _START_S, environment)
        with inlets(names, seconds, environment):
            pass
        lines = lines_of(reader)
    return [line["rss_bytes"] / 2**20 for line in lines], lines


def memory_table(seconds: float) -> Iterator[str]:
    """Yield the lines of the table: resident memory with an inlet for each stream."""
    yield "| Memory | M values/s | after 8 s, MiB | at the end | aimed at | lost |"
    yield "|---|---:|---:|---:|---:|---:|"
    for load, limit_mib in _MEMORY_LOADS:
        mib, lines = _memory(load, seconds)
        cells = [load.title, f"{load.values_per_s / 1e6:.3g}", f"{mib[min(8, len(mib) - 1)]:.0f}"]
        cells += [f"{mib[-1]:.0f}", f"{limit_mib}", str(lines[-1]["lost"])]
        yield f"| {' | '.join(cells)} |"
