"""From 0.2 to 5000 values a second over real sockets and LSL: all values, own ticks, exact counts.

Sparse and dense, regular, random and changing, over a disconnect and a restart of the board. A
value is its own tick, so that an inlet's samples prove all of it.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from bela_module.protocol.variables import Ticks, ValueType
from bela_module.simulator.sketches.assignments import (
    AssignmentPattern,
    Assignments,
    UnevenAssignments,
)
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from tests.support.repeated_ticks import RepeatedTicks
from tests.support.session_helpers import (
    RATE_HZ,
    Listener,
    Running,
    WaitUntil,
    board_of,
    listening,
    lose,
    published_on,
    variable,
)

PATTERNS: dict[str, AssignmentPattern] = {
    "fifth": Assignments(220_500, 30_000),  # 0.2 a second
    "one": Assignments(44_100),
    "ten": Assignments(4410),
    "hundred": Assignments(441),
    "random": Assignments(1500, 0, scattered=True),  # two may be close to one another
    "uneven": UnevenAssignments(529, 310),
    "near_limit": Assignments(92),  # 479 a second
    "beyond_limit": Assignments(84),  # 525 a second
    "thousand": Assignments(44),
    "five_thousand": Assignments(9),
    "changing": RepeatedTicks.of_rates((40_000, 441), (40_000, 20)),
    "pausing": RepeatedTicks.of_rates((30_000, 100), (60_000, 30_000)),
}
SLOW = ("fifth", "one", "ten", "hundred", "random", "uneven")
FAST = ("thousand", "five_thousand", "pausing")
BETWEEN = ("near_limit", "beyond_limit", "changing")  # apart: single values cost time
# In blocks their times are not known, which is told; too fast to come singly all the time.
WITHOUT_TIMES = ("dense_changing", "dense_pausing")
# Uneven, or too slow for their step to be known by then.
WITHOUT_STEP = ("dense_uneven", "dense_fifth", "dense_one")


def sketch_of(names: tuple[str, ...]) -> list[SketchVariable]:
    made = [
        SketchVariable(f"{kind}_{name}", ValueType.DOUBLE, ramp, kind == "sparse", PATTERNS[name])
        for kind in ("sparse", "dense")
        for name in names
        if not (kind == "dense" and name == "random")
    ]
    return [*made, variable("fast")]


def assigned(pattern: AssignmentPattern, first: int, last: int) -> Ticks:
    numbers = np.arange(pattern.first_at_or_after(first), pattern.first_at_or_after(last + 1))
    return pattern.ticks(numbers)


def boots_of(ticks: Ticks) -> list[Ticks]:
    """Divide ticks where they begin again."""
    return np.split(ticks, np.flatnonzero(np.diff(ticks) < 0) + 1)


def missing_of(each: SketchVariable, ticks: Ticks) -> Ticks:
    """Give the ticks of assignments between the first and the last of some that are not there."""
    expected = assigned(each.assignments, int(ticks[0]), int(ticks[-1]))
    assert np.isin(ticks, expected).all(), each.name
    assert np.unique(ticks).size == ticks.size, each.name
    return expected[~np.isin(expected, ticks)]


@pytest.mark.parametrize(
    ("names", "first_s"),
    [(SLOW, 6.0), (BETWEEN, 2.5), (FAST, 2.5)],
    ids=["slow", "between", "fast"],
)
def test_all_values(
    names: tuple[str, ...], first_s: float, unique: str, wait_until: WaitUntil
) -> None:
    variables = sketch_of(names)
    with (
        board_of(*variables) as board,
        published_on(board, unique, streaming={"group": "none"}) as one,
    ):
        one.prepare()
        with listening(unique, len(variables) + 1) as listeners:
            run = Run(one, unique, listeners, wait_until)
            one.start()
            run.flow(first_s)
            before = board.tick_now()
            lose(board, one, wait_until)
            time.sleep(0.3)
            board.refuse_connections(False)
            wait_until(lambda: one.state == "streaming", "streaming again")
            after = board.tick_now()
            run.flow(2.5)
            for each in variables:
                if each.name not in WITHOUT_TIMES:
                    run.check_disconnect(each, before, after)
            board.restart()
            wait_until(lambda: "board_restarted" in one.sink.events, "the restart")
            run.flow(2.5)
            status = one.session.status()
            one.stop()
            run.pull()
            for each in variables:
                if each.name in WITHOUT_TIMES:
                    run.check_order(each)
                    told = " ".join([*status["problems"], *status["notices"]])
                    assert each.name in told
                else:
                    run.check_all(each)


class Run:
    """What a session delivered, and what listeners in LSL have of it."""

    def __init__(
        self,
        one: Running,
        prefix: str,
        listeners: dict[str, Listener],
        wait_until: WaitUntil,
    ) -> None:
        self.one = one
        self.prefix = prefix
        self.listeners = listeners
        self.wait_until = wait_until

    def flow(self, seconds: float) -> None:
        """Wait for as many values of a variable that is assigned at every tick."""
        name = f"{self.prefix}fast"
        until = self.one.samples(name) + seconds * RATE_HZ
        while self.one.samples(name) < until:
            more = min(until, self.one.samples(name) + RATE_HZ)
            self.wait_until(lambda n=more: self.one.samples(name) >= n, "values")
            self.pull()

    def pull(self) -> None:
        """Receive what was pushed so far."""
        for name, listener in self.listeners.items():
            kept = self.one.sink.kept.get(name)
            if kept is not None and kept.n_samples:
                listener.pull(kept.last_stamp_s)

    def received(self, each: SketchVariable) -> Ticks:
        """Give what an inlet received of a variable, whose values are their ticks."""
        parts = self.listeners[self.prefix + each.name]._rows
        return np.concatenate([np.empty((0, 1)), *parts])[:, 0].astype(np.int64)

    def check_disconnect(self, each: SketchVariable, before: int, after: int) -> None:
        """Check: nothing is missing but what was assigned about a disconnect; it is counted."""
        received = self.received(each)
        if not received.size:
            return
        missing = missing_of(each, received)
        # One hole, from what was on its way, or in a block that was being filled, to our watch.
        numbers = [each.assignments.first_at_or_after(int(tick)) for tick in missing]
        assert np.all(np.diff(numbers) == 1), each.name
        if numbers:
            assert each.assignments.tick(numbers[-1] + 1) > before, each.name
            assert missing[0] < after, each.name
            assert missing[-1] < after + 2 * RATE_HZ, each.name
        lost = self.one.streams[self.prefix + each.name]["lost"]
        if each.sparse or each.name in WITHOUT_STEP:  # nobody can tell what was not seen
            assert lost <= missing.size, each.name
        else:
            assert lost == missing.size, each.name

    def check_order(self, each: SketchVariable) -> None:
        """Check: received is what was given; no stamp goes back and no value comes twice."""
        kept = self.one.sink[self.prefix + each.name]
        received = self.received(each)
        np.testing.assert_array_equal(received, kept.values, each.name)
        assert np.all(np.diff(self.listeners[self.prefix + each.name].stamps_s) > 0), each.name
        boots = boots_of(received)
        assert len(boots) <= 2, each.name
        for ticks in boots:
            assert np.isin(ticks, assigned(each.assignments, ticks[0], ticks[-1])).all()
            assert np.all(np.diff(ticks) > 0), each.name

    def check_all(self, each: SketchVariable) -> None:
        """Check the order, and own ticks, and that nothing is missing since the restart."""
        self.check_order(each)
        kept = self.one.sink[self.prefix + each.name]
        np.testing.assert_array_equal(kept.values, kept.ticks, each.name)
        boots = boots_of(kept.ticks)
        if len(boots) == 2:
            assert missing_of(each, boots[1]).size == 0, each.name
