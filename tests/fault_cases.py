"""Faults to meet a session with, and the account that must be right after each of them."""

from __future__ import annotations

import dataclasses
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
from bela_module.outlets import local_clock
from bela_module.protocol import Ticks
from bela_module.simulated_variable import WrittenRun
from bela_module.simulator import SimulatedBoard
from bela_module.sketches import Sketch
from tests.session_helpers import Recorder, variable

RATE_HZ = 88200.0
NAMES = ("a", "b")

SKETCH = Sketch(
    "faulty", "made for a test", (variable("a"), variable("b")), tick_rate_hz=RATE_HZ
)
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
class Account:
    """What became of the values that the sketch took while they were to be streamed."""

    name: str
    taken: int
    delivered: int
    lost: int
    unknown: int
    """Of those taken, how many nobody but the simulation can know of."""

    @property
    def missing(self) -> int:
        return self.taken - self.delivered - self.lost


def _span(runs: tuple[WrittenRun, ...], since_tick: int) -> int:
    own = [run for run in runs if run.last_tick >= since_tick]
    return own[-1].last_tick - max(own[0].first_tick, since_tick) + 1 if own else 0


def taken(board: SimulatedBoard, name: str, since_tick: int) -> int:
    """Count the values that the sketch took from our start on to our end, holes included.

    The board writes no value while nobody listens; for who wanted them they are lost all the same.
    """
    boots = [*board.written_before(name), board.written(name)]
    return sum(_span(runs, since_tick if n == 0 else 0) for n, runs in enumerate(boots))


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
    board: SimulatedBoard, sink: Recorder, stream: str, *, worst_s: float
) -> dict[str, int]:
    """Check that all that was delivered is what the sketch took, at the time at which it did.

    Returns
    -------
    dict of str to int
        Number of values of each variable.
    """
    counts = {}
    for name, (ticks, values, stamps_s) in columns_of(sink, stream).items():
        np.testing.assert_array_equal(values, ticks, f"{name}: not the values of these ticks")
        boots = np.flatnonzero(np.diff(ticks) <= 0)
        assert boots.size <= len(board.written_before(name)), f"{name}: ticks ran backwards"
        assert np.all(np.diff(stamps_s) >= 0), f"{name}: stamps ran backwards"
        since = int(boots[-1]) + 1 if boots.size else 0
        if boots.size == len(board.written_before(name)):
            error_s = np.abs(stamps_s[since:] - board.true_time_s(ticks[since:]))
            assert error_s.max() <= worst_s, f"{name}: {error_s.max()} s beside the truth"
        counts[name] = ticks.size
    return counts
