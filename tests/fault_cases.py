"""Faults to meet a session with, and the account that must be right after each of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bela_module.faults import (
    CorruptHeader,
    CorruptPayload,
    Disconnect,
    DropHeader,
    DropPair,
    DropPayload,
    Fault,
    OtherClient,
    OversizedPayload,
    Refuse,
    RepeatPair,
    Silence,
    Slow,
    Stall,
    StepClock,
    TimedFault,
    WrongReply,
)
from bela_module.lsl_clock import local_clock
from bela_module.protocol import Ticks
from bela_module.simulator import SimulatedBoard
from bela_module.sketches import Sketch
from tests.session_helpers import Recorder, variable

RATE_HZ = 88200.0
NAMES = ("a", "b")

SKETCH = Sketch("faulty", "made for a test", (variable("a"), variable("b")), tick_rate_hz=RATE_HZ)
RENUMBERED = Sketch(
    "rebuilt",
    "the same variables, and others before them",
    (variable("new"), variable("b"), variable("a")),
    tick_rate_hz=RATE_HZ,
)

Strike = Callable[[SimulatedBoard, float], None]


@dataclass(frozen=True)
class Case:
    """A fault, and what can be known after it.

    Parameters
    ----------
    name : str
        What it is called in reports.
    strike : callable
        Lets it happen to a board, after a time in seconds.
    disconnects : bool
        Whether it ends the connection: a session that stops just then has to stop without the
        board, and knows its ticks only up to the last reply.
    restarts : bool
        Whether the board forgets everything, so that nobody knows how many values it had taken
        since its last reply.
    steps : bool
        Whether the board's clock jumps: stamps near the jump are off by up to as much.
    """

    name: str
    strike: Strike
    disconnects: bool = False
    restarts: bool = False
    steps: bool = False


def _inject(fault: Fault) -> Strike:
    def strike(board: SimulatedBoard, after_s: float) -> None:
        late = isinstance(fault, TimedFault) and after_s > 0
        board.inject(dataclasses.replace(fault, at_s=after_s) if late else fault)

    return strike


def _restart(sketch: Sketch | None, first_tick: int = 0) -> Strike:
    def strike(board: SimulatedBoard, after_s: float) -> None:
        board.later(after_s, lambda: board.restart(sketch, first_tick=first_tick))

    return strike


def case_of(fault: Fault, name: str = "", **facts: bool) -> Case:
    return Case(name or fault.name, _inject(fault), **facts)


CASES = (
    case_of(DropHeader(n=2, variable="a")),
    case_of(DropPayload(n=2, variable="a")),
    case_of(DropPair(n=3)),
    case_of(CorruptHeader(n=2)),
    case_of(CorruptPayload(n=4)),
    case_of(OversizedPayload(n=1), disconnects=True),
    case_of(RepeatPair(n=4)),
    case_of(WrongReply(n=2)),
    case_of(Disconnect(), disconnects=True),
    case_of(Disconnect(clean=True), "disconnect-clean", disconnects=True),
    case_of(Refuse(for_s=0.3), disconnects=True),
    case_of(Silence(for_s=1.2), disconnects=True),
    case_of(Stall(for_s=0.4)),
    case_of(Slow(to_client_s=0.02, jitter_s=0.003), "slow-asymmetric"),
    Case("restart", _restart(None), disconnects=True, restarts=True),
    Case("restart-renumbered", _restart(RENUMBERED), disconnects=True, restarts=True),
    case_of(OtherClient(cmd="watch"), "other-watch"),
    case_of(OtherClient(cmd="unwatch"), "other-unwatch"),
    case_of(OtherClient(cmd="log"), "other-log"),
    case_of(OtherClient(cmd="unlog"), "other-unlog"),
    case_of(StepClock(step_s=0.1), "step-forward", steps=True),
    case_of(StepClock(step_s=-0.1), "step-back", steps=True),
)


def make_board() -> SimulatedBoard:
    return SimulatedBoard(SKETCH, clock=local_clock)


@dataclass(frozen=True)
class Asked:
    """What a session asked of a variable: from which tick it should stream, and up to which."""

    first_tick: int | None = None
    last_tick: int | None = None


def asked_of(board: SimulatedBoard, name: str) -> Asked:
    """Read from the session's commands what was to be streamed: all of it counts, holes included.

    The board writes no value while nobody listens; for who wanted them they are lost all the same.
    """
    first_tick = last_tick = None
    for text in board.control_messages:
        for entry in json.loads(text).get("watcher", []):
            if name not in entry.get("watchers", []) or "timestamps" not in entry:
                continue
            n = entry["watchers"].index(name)
            tick = entry["timestamps"][n]
            if entry["cmd"] == "unwatch":
                last_tick = tick if last_tick is None else min(tick, last_tick)
            elif first_tick is None:
                first_tick = tick
                if entry.get("durations"):
                    last_tick = tick + entry["durations"][n]
    return Asked(first_tick, last_tick)


def taken(board: SimulatedBoard, name: str) -> int:
    """Count the values that the sketch took from the session's start on to its end."""
    asked = asked_of(board, name)
    total, boots = 0, [*board.written_before(name), board.written(name)]
    for n, runs in enumerate(boots):
        first_tick = asked.first_tick if n == 0 else None
        last_tick = asked.last_tick if n == len(boots) - 1 else None
        if runs:
            first_tick = runs[0].first_tick if first_tick is None else first_tick
            last_tick = runs[-1].last_tick if last_tick is None else last_tick
        if first_tick is not None and last_tick is not None:
            total += max(0, last_tick - first_tick + 1)
    return total


def columns_of(sink: Recorder, stream: str) -> dict[str, tuple[Ticks, np.ndarray, np.ndarray]]:
    """Give what came of each variable of a stream: ticks, values and stamps."""
    kept, plan = sink.kept.get(stream), sink.plans.get(stream)
    if kept is None or plan is None or kept.n_samples == 0:
        return {}
    ticks, rows, stamps_s = kept.ticks, kept.rows, kept.stamps_s
    columns = {}
    for n, member in enumerate(plan.variables):
        there = ~np.isnan(rows[:, n])
        columns[member.name] = (ticks[there], rows[there, n], stamps_s[there])
    return columns


def check_values(
    board: SimulatedBoard, sink: Recorder, stream: str, *, worst_s: float, n_misplaced: int = 0
) -> dict[str, int]:
    """Check that all that was delivered is what the sketch took, at the time at which it did.

    Parameters
    ----------
    board, sink, stream
        What was to be delivered, and where to.
    worst_s : float
        How far a stamp may be from the truth.
    n_misplaced : int
        How many values may have ticks that are not theirs.

    Returns
    -------
    dict of str to int
        Number of values of each variable.
    """
    counts = {}
    for name, (ticks, values, stamps_s) in columns_of(sink, stream).items():
        wrong = np.flatnonzero(values != ticks)
        assert wrong.size <= n_misplaced, f"{name}: {values[wrong[:4]]} at ticks {ticks[wrong[:4]]}"
        boots = np.flatnonzero(np.diff(ticks) <= 0)
        assert boots.size <= len(board.written_before(name)), f"{name}: ticks ran backwards"
        assert np.all(np.diff(stamps_s) >= 0), f"{name}: stamps ran backwards"
        since = int(boots[-1]) + 1 if boots.size else 0
        if boots.size == len(board.written_before(name)):
            error_s = np.abs(stamps_s[since:] - board.true_time_s(ticks[since:]))
            assert error_s.max() <= worst_s, f"{name}: {error_s.max()} s beside the truth"
        counts[name] = ticks.size
    return counts
