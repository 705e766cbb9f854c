"""What ``bela_loop`` of a recording says: delays of commands to the board and back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bela_module.reports.recorded_stream import Floats, RecordedStream


@dataclass(frozen=True, slots=True, eq=False)
class RecordedLoop:
    """The commands of one input over a recording.

    Parameters
    ----------
    title : str
        Board, project and number of the input.
    one_way_s, uncertainty_s, round_trip_s : ndarray of shape (n_commands,)
        From the stamp of the input to the effect on the board, how far that can be from the truth,
        and until the echo was given to LSL.
    n_lost : int
        Commands that were lost while it was recorded.
    """

    title: str
    one_way_s: Floats
    uncertainty_s: Floats
    round_trip_s: Floats
    n_lost: int

    def as_json(self) -> dict[str, Any]:
        """Give it as an object for JSON, delays as p50, p99 and the maximum in seconds."""
        return {
            "input": self.title,
            "commands": self.one_way_s.size,
            "lost": self.n_lost,
            "one_way_s": delays(self.one_way_s),
            "round_trip_s": delays(self.round_trip_s),
            "max_uncertainty_s": float(self.uncertainty_s.max()),
        }


def delays(values_s: Floats) -> dict[str, float]:
    """Give p50, p99 and the maximum of some delays, at least one."""
    p50, p99, longest = np.percentile(values_s, [50, 99, 100])
    return {"p50": float(p50), "p99": float(p99), "max": float(longest)}


def recorded_loops(board: str, streams: Sequence[RecordedStream]) -> list[RecordedLoop]:
    """Account for the loops of a board: one for each input of each stream ``bela_loop``.

    Parameters
    ----------
    board : str
        ``board:project``.
    streams : sequence of RecordedStream
        Those of closed loops.
    """
    loops: list[RecordedLoop] = []
    for stream in streams:
        columns = {label: stream.column(k) for k, label in enumerate(stream.labels)}
        inputs = columns.get("input", np.zeros(stream.stamps_s.size))
        for number in np.unique(inputs[np.isfinite(inputs)]):
            chosen = inputs == number
            lost = columns["lost"][chosen]
            lost = lost[np.isfinite(lost)]
            loops.append(
                RecordedLoop(
                    f"{board}, input {number:.0f}",
                    columns["one_way_s"][chosen],
                    columns["uncertainty_s"][chosen],
                    columns["round_trip_s"][chosen],
                    int(lost[-1] - lost[0]) if lost.size else 0,
                )
            )
    return loops
