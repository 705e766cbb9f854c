"""One stream, from blocks to samples: what waits, for what, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bela_module.config import parse_settings
from bela_module.errors import StreamError
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Array, Ticks, ValueType, Variable
from bela_module.streams.echo_tap import EchoTap
from bela_module.streams.live_stream import MAX_HELD_BYTES, LiveStream
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.sink_tee import SinkTee
from bela_module.streams.states import StreamState
from bela_module.streams.stream_plans import StreamPlan, plan_streams
from bela_module.tracking.runs import Gap
from tests.support.session_helpers import Recorder

RATE_HZ = 1000.0
ORIGIN = Origin("test", "project", RATE_HZ, RATE_HZ, 0.001, 0.0)
FACTS = StreamFacts(ORIGIN, RATE_HZ)
COUNT = 512  # doubles in a block
FIRST = 10_000


def doubles(*names: str, sparse: bool = False) -> tuple[Variable, ...]:
    return tuple(Variable(k, name, ValueType.DOUBLE, sparse) for k, name in enumerate(names))


def plan_of(variables: Sequence[Variable], *, monitor: bool = False) -> StreamPlan:
    sections: dict[str, Any] = {}
    if len(variables) > 1:
        sections["streams"] = {"group": {"variables": [v.name for v in variables]}}
    (plan,) = plan_streams(variables, parse_settings(sections, "test"), monitor=monitor)
    return plan


class Scene:
    """A stream, its sink, and a clock that stands still unless it is told otherwise."""

    def __init__(
        self,
        plan: StreamPlan,
        sink: Recorder | None = None,
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        self.sink = sink or Recorder()
        self.now_s = 100.0
        self.told: list[tuple[str, Gap]] = []
        self.errors: list[tuple[str, str]] = []
        self.stream = LiveStream(
            plan,
            self.sink,
            lambda ticks: ticks / RATE_HZ,
            lambda: self.now_s,
            lambda variable, gap: self.told.append((variable.name, gap)),
            lambda plan, error: self.errors.append((plan.name, str(error))),
            max_held_bytes,
        )
        for tracker in self.stream.trackers:
            tracker.begin(first_tick=FIRST, step_ticks=1)

    def block(self, number: int, member: int = 0, *, arrived_s: float = 0.0) -> None:
        """Send block number 0, 1, ... of a ramp."""
        variable = self.stream.plan.variables[member]
        tick = FIRST + number * COUNT
        values = np.arange(tick, tick + COUNT, dtype=np.float64)
        self.stream.add(Block(variable, tick, values), tick + COUNT, arrived_s)

    def end(self, last_tick: int) -> None:
        for variable in self.stream.plan.variables:
            self.stream.end_at(variable, last_tick)
        self.stream.settle()
        self.stream.flush()

    @property
    def name(self) -> str:
        return self.stream.plan.name


@pytest.fixture
def scene() -> Scene:
    return Scene(plan_of(doubles("ramp")))


def block_ticks(*numbers: int) -> Ticks:
    return np.concatenate([FIRST + n * COUNT + np.arange(COUNT) for n in numbers])


# ---- what waits --------------------------------------------------------------------------------


def test_samples_wait_until_the_stream_is_open(scene: Scene) -> None:
    for number in range(3):
        scene.block(number)
    assert scene.stream.is_waiting
    assert scene.sink.kept == {}
    scene.stream.open(FACTS)
    assert not scene.stream.is_waiting
    scene.block(3)
    kept = scene.sink[scene.name]
    np.testing.assert_array_equal(kept.ticks, block_ticks(0, 1, 2, 3))
    np.testing.assert_array_equal(kept.values, kept.ticks)
    np.testing.assert_array_equal(kept.stamps_s, kept.ticks / RATE_HZ)
    assert scene.sink.facts[scene.name] == FACTS


def test_what_can_never_be_delivered_does_not_fill_the_memory() -> None:
    a_block_bytes = 2 * 8 * COUNT  # ticks and values
    scene = Scene(plan_of(doubles("ramp")), max_held_bytes=4 * a_block_bytes)
    for number in range(10):
        scene.block(number)
    assert scene.stream.lost == 6 * COUNT
    scene.stream.open(FACTS)
    np.testing.assert_array_equal(scene.sink[scene.name].ticks, block_ticks(6, 7, 8, 9))
    assert scene.stream.samples + scene.stream.lost == 10 * COUNT


# ---- gaps and groups ---------------------------------------------------------------------------


def test_a_gap_is_told_counted_and_leaves_the_other_times_alone(scene: Scene) -> None:
    scene.stream.open(FACTS)
    for number in (0, 1, 4):
        scene.block(number)
    scene.end(FIRST + 5 * COUNT - 1)
    kept = scene.sink[scene.name]
    np.testing.assert_array_equal(kept.ticks, block_ticks(0, 1, 4))
    np.testing.assert_array_equal(kept.values, kept.ticks)
    np.testing.assert_array_equal(kept.stamps_s, kept.ticks / RATE_HZ)
    assert scene.told == scene.sink.gaps
    ((name, gap),) = scene.told
    assert (name, gap.n_values) == ("ramp", 2 * COUNT)
    assert (gap.first_tick, gap.last_tick) == (FIRST + 2 * COUNT, FIRST + 4 * COUNT - 1)
    status = scene.stream.status()
    assert (status["samples"], status["lost"], status["gaps"]) == (3 * COUNT, 2 * COUNT, 1)


def test_values_that_became_known_late_are_given_with_their_stamps() -> None:
    scene = Scene(plan_of(doubles("event", sparse=True)))
    (variable,) = scene.stream.plan.variables
    scene.stream.tracker_of(variable).take_singles(from_start=True)
    scene.stream.open(StreamFacts(ORIGIN, 0.0))
    ticks = FIRST + np.arange(341) * 10 // 2 * 2
    ticks[1::2] = ticks[::2][: ticks[1::2].size] + 1
    for tick in ticks[::2]:
        values = np.array([tick], np.float64)
        scene.stream.add(Block(variable, int(tick), values, monitor=True), tick, 0.0)
    block = Block(variable, FIRST, ticks.astype(np.float64), (ticks - FIRST).astype(np.uint32))
    scene.stream.add(block, int(ticks[-1]), 0.0)
    ((name, late, values, stamps_s),) = scene.sink.late_values
    assert name == "event"
    np.testing.assert_array_equal(late, ticks[1::2])
    np.testing.assert_array_equal(values, late)
    np.testing.assert_array_equal(stamps_s, late / RATE_HZ)
    assert scene.stream.lost == late.size
    assert scene.stream.samples == ticks[::2].size


def test_rows_of_a_group_wait_for_all_members() -> None:
    scene = Scene(plan_of(doubles("a", "b")))
    scene.stream.open(FACTS)
    scene.block(0, member=0)
    scene.block(1, member=0)
    assert scene.stream.samples == 0
    scene.block(0, member=1)
    kept = scene.sink[scene.name]
    np.testing.assert_array_equal(kept.ticks, block_ticks(0))
    np.testing.assert_array_equal(kept.rows, np.column_stack([kept.ticks] * 2))


def test_what_a_member_lost_is_nan_in_its_rows() -> None:
    scene = Scene(plan_of(doubles("a", "b")))
    scene.stream.open(FACTS)
    for number in range(3):
        scene.block(number, member=0)
    for number in (0, 2):
        scene.block(number, member=1)
    scene.end(FIRST + 3 * COUNT - 1)
    kept = scene.sink[scene.name]
    np.testing.assert_array_equal(kept.ticks, block_ticks(0, 1, 2))
    np.testing.assert_array_equal(kept.rows[:, 0], kept.ticks)
    lost = np.isin(kept.ticks, block_ticks(1))
    assert np.isnan(kept.rows[lost, 1]).all()
    np.testing.assert_array_equal(kept.rows[~lost, 1], kept.ticks[~lost])
    assert scene.stream.lost == COUNT
    assert [name for name, _ in scene.told] == ["b"]


def test_bytes_above_127_keep_their_bits() -> None:
    scene = Scene(plan_of((Variable(0, "byte", ValueType.CHAR),)))
    scene.stream.open(FACTS)
    values = np.arange(256, dtype=np.uint8).astype(ValueType.CHAR.dtype).repeat(16)
    scene.stream.add(Block(scene.stream.plan.variables[0], FIRST, values), FIRST + 4096, 0.0)
    kept = scene.sink[scene.name].values
    assert kept.dtype == np.int8
    np.testing.assert_array_equal(kept.view(np.uint8), np.arange(256).repeat(16))


def test_monitored_values_come_singly() -> None:
    scene = Scene(plan_of(doubles("slow"), monitor=True))
    scene.stream.open(StreamFacts(ORIGIN, 0.0))
    (slow,) = scene.stream.plan.variables
    for tick in (FIRST, FIRST + 100, FIRST + 200):
        block = Block(slow, tick, np.array([float(tick)]), monitor=True)
        scene.stream.add(block, tick, 0.0)
    np.testing.assert_array_equal(scene.sink[scene.name].ticks, FIRST + np.array([0, 100, 200]))
    assert scene.stream.step_ticks is None


# ---- a sink that refuses -----------------------------------------------------------------------


class RefusingRecorder(Recorder):
    """Refuses what it is told to."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method: str | None = method

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        if self.method == "open":
            raise StreamError("no outlet")
        super().open(plan, facts)

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        if self.method == "push":
            raise StreamError("no room")
        super().push(plan, ticks, values, stamps_s)


@pytest.mark.parametrize(("method", "words"), [("open", "no outlet"), ("push", "no room")])
def test_what_a_sink_refuses_is_lost_and_told_once(method: str, words: str) -> None:
    scene = Scene(plan_of(doubles("ramp")), RefusingRecorder(method))
    scene.block(0)
    scene.stream.open(FACTS)
    scene.block(1)
    assert scene.errors == [("bela_ramp", words)]
    assert (scene.stream.samples, scene.stream.lost) == (0, 2 * COUNT)


@pytest.mark.parametrize("method", ["open", "gap", "push"])
def test_a_defect_of_the_sink_ends_the_stream_and_all_that_comes_is_lost(method: str) -> None:
    sink = Recorder()
    scene = Scene(plan_of(doubles("ramp")), sink)

    def fail(*_arguments: Any) -> None:
        raise RuntimeError("a defect")

    setattr(sink, method, fail)
    for number in (0, 2):  # with a gap
        scene.block(number)
    scene.stream.open(FACTS)
    assert scene.stream.state is StreamState.FAILED
    assert scene.errors == [("bela_ramp", "a defect")]
    scene.stream.on_board_restart()
    assert scene.stream.state is StreamState.FAILED
    assert scene.stream.samples + scene.stream.lost == 3 * COUNT


def test_the_states_from_unopened_over_a_restart_to_delivering(scene: Scene) -> None:
    states = [scene.stream.state]
    scene.block(0)
    scene.stream.open(FACTS)
    states.append(scene.stream.state)
    scene.stream.on_board_restart()
    states.append(scene.stream.state)
    scene.stream.open(FACTS)
    states.append(scene.stream.state)
    assert states == [
        StreamState.UNOPENED,
        StreamState.DELIVERING,
        StreamState.UNOPENED,
        StreamState.DELIVERING,
    ]


@pytest.mark.parametrize(
    ("before_hz", "after_hz", "announced_hz"),
    [
        (RATE_HZ, 1.0005 * RATE_HZ, RATE_HZ),
        (RATE_HZ, RATE_HZ / 2, RATE_HZ / 2),
        (0.0, RATE_HZ, 0.0),
    ],
    ids=["same", "another", "irregular"],
)
def test_rate_that_a_stream_announces_after_a_restart(
    before_hz: float, after_hz: float, announced_hz: float, scene: Scene
) -> None:
    scene.stream.open(replace(FACTS, nominal_rate_hz=before_hz))
    scene.stream.on_board_restart()
    scene.stream.open(replace(FACTS, nominal_rate_hz=after_hz))
    assert scene.sink.facts[scene.name].nominal_rate_hz == announced_hz


class SlowRecorder(Recorder):
    """Takes its time to open streams, and may fail to."""

    def __init__(self) -> None:
        super().__init__()
        self.result: bool | StreamError = False

    def is_open(self, plan: StreamPlan) -> bool:
        if isinstance(self.result, StreamError):
            raise self.result
        return self.result


def test_a_stream_is_visible_when_the_sink_has_opened_it() -> None:
    sink = SlowRecorder()
    scene = Scene(plan_of(doubles("ramp")), sink)
    assert not scene.stream.is_visible
    scene.stream.open(FACTS)
    assert not scene.stream.is_visible
    sink.result = True
    assert scene.stream.is_visible


def test_a_sink_that_fails_to_open_a_stream_in_the_end_fails_it() -> None:
    sink = SlowRecorder()
    scene = Scene(plan_of(doubles("ramp")), sink)
    scene.stream.open(FACTS)
    scene.block(0)
    sink.result = StreamError("too many open files")
    scene.stream.check_sink()
    scene.block(1)
    assert scene.stream.state is StreamState.FAILED
    assert scene.stream.error == "too many open files"
    assert scene.errors == [("bela_ramp", "too many open files")]
    assert scene.stream.is_visible  # nobody waits for it any more
    assert (scene.stream.samples, scene.stream.lost) == (COUNT, COUNT)


def test_it_goes_on_when_the_sink_does() -> None:
    sink = RefusingRecorder("push")
    scene = Scene(plan_of(doubles("ramp")), sink)
    scene.stream.open(FACTS)
    scene.block(0)
    sink.method = None
    scene.block(1)
    np.testing.assert_array_equal(sink["bela_ramp"].ticks, block_ticks(1))
    assert (scene.stream.samples, scene.stream.lost) == (COUNT, COUNT)


# ---- figures -----------------------------------------------------------------------------------


def test_status(scene: Scene) -> None:
    assert scene.stream.status() == {
        "name": "bela_ramp",
        "variables": ["ramp"],
        "mode": "dense",
        "delivery": "block",
        "format": "double64",
        "nominal_rate_hz": None,
        "effective_rate_hz": None,
        "samples": 0,
        "assigned": True,
        "lost": 0,
        "gaps": 0,
        "last_lsl_s": None,
        "delay_s": None,
    }
    scene.stream.open(FACTS)
    for number in range(4):
        end_s = (FIRST + (number + 1) * COUNT - 1) / RATE_HZ
        scene.block(number, arrived_s=end_s + 0.25)
    status = scene.stream.status()
    assert status["nominal_rate_hz"] == RATE_HZ
    assert status["effective_rate_hz"] == pytest.approx(RATE_HZ)
    assert status["samples"] == 4 * COUNT
    assert status["last_lsl_s"] == end_s
    assert status["delay_s"] == 0.25


def test_the_measured_rate_forgets_what_is_long_ago(scene: Scene) -> None:
    scene.stream.open(FACTS)
    scene.block(0)
    for number in range(100, 120):
        scene.block(number)
    rate_hz = scene.stream.effective_rate_hz
    assert rate_hz == pytest.approx(RATE_HZ)


def test_a_board_that_counts_anew_can_be_followed(scene: Scene) -> None:
    scene.stream.open(FACTS)
    scene.block(5)
    lost = scene.stream.lost
    scene.stream.on_board_restart()
    for tracker in scene.stream.trackers:
        tracker.begin(first_tick=FIRST, step_ticks=1)
    scene.block(0)
    assert scene.stream.is_waiting  # for the new clock
    scene.stream.open(FACTS)
    np.testing.assert_array_equal(scene.sink[scene.name].ticks, block_ticks(5, 0))
    assert scene.stream.lost == lost


def test_values_that_nobody_can_stamp_go_to_sinks_that_take_such() -> None:
    class Unstamped(Recorder):
        def push_unstamped(self, variable: Variable, ticks: Ticks, values: Array) -> bool:
            given.append((variable.name, ticks.tolist(), values.tolist()))
            return True

    given: list[tuple[str, list[int], list[float]]] = []
    (variable,) = doubles("a")
    block = Block(variable, 7, np.array([1.0, 0.0]))
    for sink in (Recorder(), EchoTap(Recorder()), SinkTee(Recorder(), Recorder())):
        stream = Scene(plan_of([variable]), sink).stream
        assert stream.give_unstamped(block, is_last=False) == 2
        assert (stream.samples, given) == (0, [])
    for sink in (Unstamped(), EchoTap(Unstamped()), SinkTee(Recorder(), EchoTap(Unstamped()))):
        stream = Scene(plan_of([variable]), sink).stream
        assert stream.give_unstamped(block, is_last=False) == 0
        assert stream.samples == 2
    assert given == [("a", [7, 7], [1.0, 0.0])] * 3
