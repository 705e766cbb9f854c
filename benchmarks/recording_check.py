"""Check a recorded file: every sample that STATUS counts, every marker, and each value a ramp's."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyxdf

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.sketch import Sketch

PREFIX: Final = "bela_"
EVENTS: Final = "bela_events"
_WRAPS_AT: Final = {
    ValueType.CHAR: 2**8,
    ValueType.UNSIGNED_INT: 2**32,
    ValueType.INT: 2**32,
    ValueType.FLOAT: 2**24,
    ValueType.DOUBLE: 2**53,
}


@dataclass(slots=True)
class Result:
    """What of an experiment is in the file.

    Parameters
    ----------
    n_samples, n_expected : int
        Samples that are in the file, of those that STATUS counts.
    n_lost : int
        Values that STATUS counts as lost between board and module.
    n_markers : int
        Markers in the file.
    faults : list of str
        What is missing or wrong.
    """

    n_samples: int = 0
    n_expected: int = 0
    n_lost: int = 0
    n_markers: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to be in a file.

    Parameters
    ----------
    sketch : Sketch
        What the board ran: each value is the tick at which it was assigned.
    wraps_at : int
        Ticks are counted modulo this, or what the type of a variable holds when that is less.
    lives : list
        The ``streams`` of STATUS at the end. Before it, those just before the module was killed,
        which are at least what was published.
    markers : list
        Markers that another inlet has received, with their stamps.
    events : tuple of str
        What markers have to tell at least.
    names : set of str
        Names of all streams of the network.
    n_breaks : int
        How often the ticks of a stream may break off, besides the gaps that STATUS counts.
    """

    sketch: Sketch
    wraps_at: int
    lives: list[list[dict[str, Any]]]
    markers: list[tuple[float, str]]
    events: tuple[str, ...]
    names: set[str]
    n_breaks: int = 0


def compare(path: Path, expected: Expected) -> Result:
    """Load a file and tell what of it is there, and what is not.

    Parameters
    ----------
    path : Path
        The file.
    expected : Expected
        What has to be in it.
    """
    pyxdf.load_xdf(path)  # as an importer does
    taken = _load(path)
    result = Result()
    ours = [name for name in expected.names if name.startswith(PREFIX)]
    missing = sorted(name for name in ours if name not in taken)
    if missing:
        result.faults.append(f"{len(missing)} streams are not in the file, as {missing[0]}")
    streams = [stream for life in expected.lives for stream in life]
    if not any(stream["samples"] for stream in streams):
        result.faults.append("nothing was streamed")
    for name in dict.fromkeys(stream["name"] for stream in streams):
        counts: Counter[str] = Counter()
        for stream in streams:
            if stream["name"] == name:
                counts.update({key: stream[key] for key in ("samples", "lost", "gaps")})
        _compare_stream(name, taken.get(name), counts, expected, result)
    _compare_markers(taken.get(EVENTS), expected, result)
    return result


def _load(path: Path) -> dict[str, dict[str, Any]]:
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    streams, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    return {stream["info"]["name"][0]: stream for stream in streams}


def _compare_stream(
    name: str,
    stream: dict[str, Any] | None,
    counts: Counter[str],
    expected: Expected,
    result: Result,
) -> None:
    """Compare the samples of a stream with what STATUS counts of it."""
    n_expected = counts["samples"]
    stamps_s = np.empty(0) if stream is None else stream["time_stamps"]
    result.n_expected += n_expected
    result.n_samples += min(stamps_s.size, n_expected)
    result.n_lost += counts["lost"]
    if stamps_s.size < n_expected or (len(expected.lives) == 1 and stamps_s.size > n_expected):
        result.faults.append(f"{name}: {stamps_s.size} of {n_expected} samples")
    if np.any(np.diff(stamps_s) < 0):
        result.faults.append(f"{name}: stamps run backwards")
    if stream is not None and stamps_s.size:
        result.faults += _odd_values(name, stream, counts, expected)


def _odd_values(
    name: str, stream: dict[str, Any], counts: Counter[str], expected: Expected
) -> list[str]:
    """Find what was lost, doubled or shifted: each value is its tick, modulo something."""
    variables = {variable.name: variable for variable in expected.sketch.variables}
    channels = stream["info"]["desc"][0]["channels"][0]["channel"]
    rows = stream["time_series"]
    whole = np.all(np.isfinite(rows), axis=1)
    if not counts["lost"] and not np.all(whole):
        return [f"{name}: values that are not finite, and none counted as lost"]
    rows = rows[whole]
    faults = []
    for number, channel in enumerate(channels):
        variable = variables[channel["label"][0]]
        wraps_at = min(_WRAPS_AT[variable.value_type], expected.wraps_at)
        ticks = rows[:, number].astype(np.int64) % wraps_at
        steps = np.diff(ticks) % wraps_at
        odd = np.flatnonzero(steps != variable.assignments.step_ticks % wraps_at)
        if odd.size > expected.n_breaks + counts["gaps"]:
            faults.append(
                f"{name}: {variable.name} makes {odd.size} wrong steps, as {steps[odd[0]]} ticks "
                f"after sample {odd[0]}"
            )
        if len(channels) > 1 and np.any(ticks != rows[:, 0].astype(np.int64) % wraps_at):
            faults.append(f"{name}: {variable.name} is shifted against the first channel")
    return faults


def _compare_markers(events: dict[str, Any] | None, expected: Expected, result: Result) -> None:
    kept: list[tuple[float, str]] = []
    if events is not None and len(events["time_stamps"]):
        texts = (row[0] for row in events["time_series"])
        kept = list(zip(events["time_stamps"].tolist(), texts, strict=True))
    result.n_markers = len(kept)
    lost = [text for _, text in (Counter(expected.markers) - Counter(kept)).elements()]
    lost += (Counter(expected.events) - Counter(text.split()[0] for _, text in kept)).elements()
    if lost:
        result.faults.append(f"markers are missing: {', '.join(dict.fromkeys(lost))}")
