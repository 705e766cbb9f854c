"""Faults to meet a session with, and the account that must be right after each of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bela_module.protocol.variables import Ticks
from bela_module.simulator.faults.fault_list import Fault
from bela_module.simulator.faults.message_faults import (
    CorruptHeader,
    CorruptPayload,
    DropHeader,
    DropPair,
    DropPayload,
    OversizedPayload,
    RepeatPair,
    WrongReply,
)
from bela_module.simulator.faults.timed_faults import (
    Disconnect,
    NoData,
    OtherClient,
    Pause,
    Refuse,
    Slow,
    Stall,
    StepClock,
    Unassigned,
)
from bela_module.simulator.network.board_server import ChannelChoice
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.signals import Times
from bela_module.simulator.sketches.sketch import Sketch
from bela_module.streams.sink import Stamps
from tests.support.observed_board import ObservedBoard
from tests.support.session_helpers import Recorder, variable

RATE_HZ = 44100.0
LOOK_S = 0.01
"""How often a board that is silent looks whether it was given up."""
NAMES = ("a", "b")


def falling(ticks: Ticks, _times_s: Times) -> np.ndarray:
    """Give values that no other variable has."""
    return -ticks


SKETCH = Sketch("faulty", "made for a test", (variable("a"), variable("b")), tick_rate_hz=RATE_HZ)
RENUMBERED = Sketch(
    "rebuilt",
    "the same variables, and others before them",
    (variable("new", signal=falling), variable("b"), variable("a")),
    tick_rate_hz=RATE_HZ,
)

Strike = Callable[[SimulatedBoard], None]


@dataclass(frozen=True)
class Case:
    """A fault, and what can be known after it.

    Parameters
    ----------
    name : str
        What it is called in reports.
    strike : callable
        Lets it happen to a board, at once.
    loses : bool or None
        Whether values must be lost, or none may be; ``None`` when it depends.
    lasts_s : float
        How long it takes.
    disconnects : bool
        Whether it ends the connection.
    restarts : bool
        Whether the board forgets everything, so that nobody knows how many values it had taken
        since its last reply.
    unwatches : bool
        Whether the board stops to write values that are still wanted.
    hole_s : float
        How long the sketch takes no values. Those of one block, which has one tick, then come with
        ticks that are not theirs, and stamps near the hole are off by up to as much.
    assigns : bool
        Whether the sketch goes on to assign the variables while it counts ticks. Otherwise nobody
        can tell values that were not taken from some that were lost.
    skips : bool
        Whether ticks are left out. A block with values from before and after that looks like one
        in which the variable was not assigned for a while; then the ticks are nobody's loss.
    """

    name: str
    strike: Strike
    loses: bool | None = None
    lasts_s: float = 0.0
    disconnects: bool = False
    restarts: bool = False
    unwatches: bool = False
    hole_s: float = 0.0
    assigns: bool = True
    skips: bool = False

    @property
    def keeps_writing(self) -> bool:
        """Whether the board writes all that the sketch takes, whatever becomes of it then."""
        return not (self.disconnects or self.restarts or self.unwatches or self.hole_s)


def _inject(*faults: Fault) -> Strike:
    return lambda board: board.inject(*faults)


def _restart(sketch: Sketch | None, *, watched: bool = False) -> Strike:
    def happen(board: SimulatedBoard) -> None:
        board.restart(sketch)
        if watched:  # by somebody who was quicker
            OtherClient(cmd="watch").apply(board)

    return lambda board: board.call_later(0.0, lambda: happen(board))


def silence_until_given_up(socket: ChannelChoice = "both") -> Strike:
    """Let a board say nothing until a client gives its connection up, however slow that is.

    Others may stay for good: who asks nothing does not mind.
    """

    def happen(board: SimulatedBoard) -> None:
        connected = set(board.connections)
        board.go_silent(True, socket=socket)

        def look() -> None:
            if connected and connected <= board.connections:
                board.call_later(LOOK_S, look)
            else:
                board.go_silent(False, socket=socket)

        board.call_later(LOOK_S, look)

    return happen


def case_of(fault: Fault, name: str = "", **facts: Any) -> Case:
    return Case(name or fault.name, _inject(fault), **facts)


CASES = (
    case_of(DropHeader(n=2, variable="a"), loses=True),
    case_of(DropPayload(n=2, variable="a"), loses=True),
    case_of(DropPair(n=3), loses=True),
    case_of(CorruptHeader(n=2), loses=True),
    case_of(CorruptPayload(n=4), loses=True),
    case_of(OversizedPayload(n=1), loses=True, disconnects=True),
    case_of(RepeatPair(n=4), loses=False),
    Case(
        "wrong-reply",
        _inject(WrongReply(n=1, how="cut"), WrongReply(n=1, how="number")),
        loses=False,
    ),
    case_of(Disconnect(), loses=True, disconnects=True),
    case_of(Disconnect(clean=True), "disconnect-clean", loses=True, disconnects=True),
    case_of(Disconnect(socket="control"), "disconnect-control", loses=True, disconnects=True),
    case_of(Disconnect(socket="data"), "disconnect-data", loses=True, disconnects=True),
    case_of(Refuse(for_s=0.3), loses=True, disconnects=True),
    Case("silence", silence_until_given_up(), loses=True, disconnects=True),
    case_of(Stall(for_s=0.4), lasts_s=0.4),
    case_of(Slow(to_client_s=0.02, jitter_s=0.003), "slow-asymmetric", loses=False),
    Case("restart", _restart(None), disconnects=True, restarts=True),
    Case("restart-renumbered", _restart(RENUMBERED), disconnects=True, restarts=True),
    Case(
        "restart-renumbered-watched",
        _restart(RENUMBERED, watched=True),
        disconnects=True,
        restarts=True,
    ),
    case_of(Pause(for_s=0.3), lasts_s=0.3, hole_s=0.3),
    case_of(Unassigned(for_s=0.3, variable="a"), lasts_s=0.3, hole_s=0.3, assigns=False),
    case_of(NoData(for_s=0.3), lasts_s=0.3, hole_s=0.3),
    case_of(OtherClient(cmd="watch"), "other-watch"),
    case_of(OtherClient(cmd="unwatch"), "other-unwatch", unwatches=True),
    case_of(OtherClient(cmd="log"), "other-log"),
    case_of(OtherClient(cmd="unlog"), "other-unlog"),
    case_of(StepClock(step_s=0.1), "step-forward", lasts_s=0.25, hole_s=0.1, skips=True),
    case_of(StepClock(step_s=-0.1), "step-back", lasts_s=0.25, hole_s=0.1),
)


def make_board(sketch: Sketch = SKETCH, first_tick: int = 0) -> ObservedBoard:
    return ObservedBoard(sketch, first_tick=first_tick)


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
    for text in tuple(board.control_messages):  # the board goes on to write it
        for entry in json.loads(text).get("watcher", []):
            if name not in entry.get("watchers", []) or "timestamps" not in entry:
                continue
            n = entry["watchers"].index(name)
            tick = entry["timestamps"][n]
            if tick == 0 and "durations" in entry:
                continue  # the survey counts values: that is no stream
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


Clock = Callable[[Ticks], Times]


def _clocks_of(board: SimulatedBoard, name: str) -> list[Clock | None]:
    """Give the clock of each boot, as far as it is still known."""
    if isinstance(board, ObservedBoard):
        return [clock.times_of for clock in board.clocks]
    return [None] * len(board.written_before(name)) + [board.true_time_s]


def _n_right(clock: Clock | None, ticks: Ticks, stamps_s: Stamps, worst_s: float) -> int:
    """Count how many samples, from the first on, may come of one boot with this clock."""
    wrong = np.diff(ticks, prepend=-1) <= 0
    if clock is not None:
        wrong |= np.abs(stamps_s - clock(ticks)) > worst_s
    return int(np.argmax(wrong)) if wrong.any() else ticks.size


def _errors_s(board: SimulatedBoard, name: str, tick: int, stamp_s: float) -> list[float]:
    """Tell how far a stamp is from the truth of each boot."""
    clocks = [clock for clock in _clocks_of(board, name) if clock is not None]
    return [float(stamp_s - clock(np.array([tick]))[0]) for clock in clocks]


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
        assert np.all(np.diff(stamps_s) >= 0), f"{name}: stamps ran backwards"
        n_right = 0
        for clock in _clocks_of(board, name):  # nothing may have come of some boots
            n_right += _n_right(clock, ticks[n_right:], stamps_s[n_right:], worst_s)
        assert n_right == ticks.size, (
            f"{name}: tick {ticks[n_right]}, which came as number {n_right} of {ticks.size} after "
            f"{ticks[n_right - 1]}, is stamped {stamps_s[n_right]}, "
            f"{_errors_s(board, name, ticks[n_right], stamps_s[n_right])} s beside the truth"
        )
        counts[name] = ticks.size
    return counts
