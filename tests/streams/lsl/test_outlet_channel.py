"""One channel: what it holds, for how long, and what becomes of it, with a made-up outlet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bela_module.errors import StreamError
from bela_module.protocol.variables import Array
from bela_module.streams.lsl.held_samples import HeldMarker, HeldSamples, MemoryBudget
from bela_module.streams.lsl.outlet_channel import ChannelState, OutletChannel
from bela_module.streams.sink import Stamps
from bela_module.streams.time_limits import FIRST_LISTENER_S, UNHEARD_OUTLET_S


class FakeOutlet:
    uid = "uid"

    def __init__(self) -> None:
        self.consumers = False
        self.pushed: list[Any] = []
        self.ended = 0
        self.error: Exception | None = None

    def has_consumers(self) -> bool:
        return self.consumers

    def push(self, values: Array, stamps_s: Stamps) -> None:
        if self.error is not None:
            raise self.error
        self.pushed += values[:, 0].tolist()

    def push_text(self, text: str, stamp_s: float) -> None:
        self.pushed.append(text)

    def end(self) -> None:
        self.ended += 1


class Scene:
    """A channel, its outlet, and a clock that stands still unless it is told otherwise."""

    def __init__(self, *, held_bytes: int = 1 << 20, **options: Any) -> None:
        self.now_s = 100.0
        self.outlet = FakeOutlet()
        self.budget = MemoryBudget(held_bytes, 2 << 20)
        create: Callable[[], Any] = options.pop("create", lambda: self.outlet)
        self.channel = OutletChannel("bela_x", create, self.budget, lambda: self.now_s, **options)

    def take(self, number: float) -> None:
        item = HeldSamples(np.full((100, 1), number), np.full(100, number + 1.0))
        assert self.budget.take(item.n_bytes)
        self.channel.take(item)

    def mark(self, text: str) -> None:
        item = HeldMarker(text, 1.0)
        assert self.budget.take(item.n_bytes)
        self.channel.take(item)

    @property
    def pushed(self) -> list[Any]:
        """What was pushed, a number for each chunk."""
        return list(dict.fromkeys(self.outlet.pushed))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_comes_before_the_outlet_and_before_a_listener_waits_in_order(scene: Scene) -> None:
    assert scene.channel.state is ChannelState.OPENING
    assert scene.channel.uid is None
    scene.take(0)
    scene.channel.open()
    scene.take(1)
    assert scene.channel.state is ChannelState.HOLDING
    assert scene.channel.uid == "uid"
    assert scene.pushed == []
    scene.outlet.consumers = True
    scene.channel.check()
    scene.take(2)
    assert scene.pushed == [0, 1, 2]
    assert scene.outlet.pushed == [0] * 100 + [1] * 100 + [2] * 100
    assert scene.budget.used_bytes == 0


def test_first_samples_wait_for_so_long_and_no_longer(scene: Scene) -> None:
    scene.channel.open()
    scene.now_s += 1000.0  # a stream that was prepared long ago has not begun to wait
    scene.take(0)
    scene.now_s += FIRST_LISTENER_S - 0.1
    scene.channel.check()
    assert scene.pushed == []
    assert scene.channel.needs_checks
    scene.now_s += 0.2
    scene.channel.check()
    assert scene.pushed == [0]
    assert scene.channel.state is ChannelState.DELIVERING
    assert not scene.channel.needs_checks
    scene.take(1)  # only the first ones wait
    assert scene.pushed == [0, 1]


def test_each_run_begins_to_wait_anew_if_nobody_listens(scene: Scene) -> None:
    scene.channel.open()
    scene.outlet.consumers = True
    scene.take(0)
    scene.channel.begin_run()
    assert scene.channel.state is ChannelState.DELIVERING
    scene.outlet.consumers = False
    scene.channel.begin_run()
    scene.take(1)
    assert scene.pushed == [0]
    scene.outlet.consumers = True
    scene.take(2)
    assert scene.pushed == [0, 1, 2]


def test_each_marker_waits_while_nobody_listens() -> None:
    scene = Scene(holds_each=True)
    scene.channel.open()
    scene.mark("started")
    scene.now_s += FIRST_LISTENER_S + 1
    scene.channel.check()
    assert scene.pushed == ["started"]
    scene.mark("set x=1")
    scene.mark("stopped")
    assert scene.pushed == ["started"]
    scene.outlet.consumers = True
    scene.channel.check()
    assert scene.pushed == ["started", "set x=1", "stopped"]


def test_beyond_the_budget_the_oldest_go_without_a_listener() -> None:
    scene = Scene(held_bytes=3000)  # of about 1200 each
    scene.channel.open()
    for number in range(5):
        scene.take(number)
    assert scene.pushed == [0, 1, 2]
    scene.outlet.consumers = True
    scene.channel.check()
    assert scene.pushed == [0, 1, 2, 3, 4]
    assert scene.budget.used_bytes == 0


def test_an_outlet_that_cannot_be_created_fails_the_channel() -> None:
    def refuse() -> Any:
        raise StreamError("no room")

    scene = Scene(create=refuse)
    scene.take(0)
    scene.channel.open()
    scene.take(1)
    assert scene.channel.state is ChannelState.FAILED
    assert str(scene.channel.error) == "no room"
    assert scene.budget.used_bytes == 0
    scene.channel.end()
    assert scene.channel.state is ChannelState.ENDED


def test_an_outlet_that_takes_no_more_fails_the_channel(scene: Scene) -> None:
    scene.channel.open()
    scene.outlet.consumers = True
    scene.take(0)
    scene.outlet.error = RuntimeError("a defect")
    scene.take(1)
    scene.take(2)
    assert scene.channel.state is ChannelState.FAILED
    assert "a defect" in str(scene.channel.error)
    assert scene.outlet.ended == 1
    assert scene.budget.used_bytes == 0


def test_the_end_pushes_what_is_held(scene: Scene) -> None:
    scene.channel.open()
    scene.take(0)
    scene.channel.end()
    scene.channel.end()
    assert scene.pushed == [0]
    assert scene.outlet.ended == 1
    assert scene.channel.uid is None
    scene.take(1)
    scene.channel.open()  # asked for before, done after
    assert scene.budget.used_bytes == 0
    assert scene.channel.state is ChannelState.ENDED


def test_an_outlet_of_no_more_use_ends_when_nobody_has_listened_for_a_while(scene: Scene) -> None:
    scene.channel.open()
    scene.channel.may_end()
    scene.outlet.consumers = True
    scene.now_s += UNHEARD_OUTLET_S + 1
    scene.channel.check()
    assert scene.channel.state is ChannelState.DELIVERING
    scene.outlet.consumers = False
    scene.now_s += UNHEARD_OUTLET_S - 1
    scene.channel.check()
    scene.channel.may_end()  # said again, it does not begin again
    assert scene.outlet.ended == 0
    scene.now_s += 2
    scene.channel.check()
    assert scene.channel.state is ChannelState.ENDED
    assert scene.outlet.ended == 1


@pytest.mark.parametrize("back", ["must_stay", "begin_run"])
def test_an_outlet_that_is_of_use_again_stays(scene: Scene, back: str) -> None:
    scene.channel.open()
    scene.channel.may_end()
    getattr(scene.channel, back)()
    scene.now_s += UNHEARD_OUTLET_S + 1
    scene.channel.check()
    assert scene.outlet.ended == 0
    assert not scene.channel.needs_checks


# ---- samples that go straight into the outlet ---------------------------------------------------


def samples(number: float) -> HeldSamples:
    return HeldSamples(np.full((100, 1), number), np.full(100, number + 1.0))


def test_samples_go_straight_in_once_the_channel_delivers(scene: Scene) -> None:
    assert not scene.channel.push_now(samples(0))
    scene.outlet.consumers = True
    scene.channel.open()
    assert scene.channel.state is ChannelState.DELIVERING
    assert scene.channel.push_now(samples(1))
    assert scene.pushed == [1]
    assert scene.budget.used_bytes == 0


def test_samples_go_behind_jobs_that_wait(scene: Scene) -> None:
    scene.outlet.consumers = True
    scene.channel.open()
    job = scene.channel.job(lambda: scene.take(1))
    assert not scene.channel.push_now(samples(2))
    job()
    assert scene.channel.push_now(samples(2))
    assert scene.pushed == [1, 2]


def test_a_job_that_fails_is_done_too(scene: Scene) -> None:
    scene.outlet.consumers = True
    scene.channel.open()

    def fail() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        scene.channel.job(fail)()
    assert scene.channel.push_now(samples(1))


def test_samples_wait_while_nobody_listens_and_markers_always_go_through_the_worker() -> None:
    scene = Scene()
    scene.channel.open()
    assert scene.channel.state is ChannelState.HOLDING
    assert not scene.channel.push_now(samples(1))
    markers = Scene(holds_each=True)
    markers.outlet.consumers = True
    markers.channel.open()
    assert not markers.channel.push_now(HeldMarker("started", 1.0))


def test_nothing_goes_into_an_outlet_that_has_ended(scene: Scene) -> None:
    scene.outlet.consumers = True
    scene.channel.open()
    scene.channel.end()
    assert not scene.channel.push_now(samples(1))
    scene.channel.fail(RuntimeError("late"))
    assert scene.channel.state is ChannelState.ENDED


def test_samples_do_not_overtake_what_was_held(scene: Scene) -> None:
    """The session's thread may push while the worker's is in the middle of what was held."""
    scene.channel.open()
    numbers = list(range(100))  # two pushes
    for number in numbers:
        scene.take(number)
    overtaken: list[bool] = []
    push = scene.outlet.push

    def push_slowly(values: Array, stamps_s: Stamps) -> None:
        overtaken.append(scene.channel.push_now(samples(100)))
        push(values, stamps_s)

    scene.outlet.push = push_slowly  # type: ignore[method-assign]
    scene.outlet.consumers = True
    scene.channel.check()
    assert overtaken == [False, False]
    assert scene.pushed == numbers
    scene.outlet.push = push  # type: ignore[method-assign]
    assert scene.channel.push_now(samples(100))
    assert scene.pushed == [*numbers, 100]


def leave(scene: Scene, *numbers: float) -> list[Callable[[], None] | None]:
    jobs: list[Callable[[], None] | None] = []
    for number in numbers:
        item = samples(number)
        assert scene.budget.take(item.n_bytes)
        jobs.append(scene.channel.leave(item))
    return jobs


def test_what_waits_for_the_worker_is_pushed_with_one_call(scene: Scene) -> None:
    scene.outlet.consumers = True
    scene.channel.open()
    first, *others = leave(scene, 1, 2, 3)
    assert others == [None, None]
    assert not scene.channel.push_now(samples(4))  # it is their turn
    sizes: list[int] = []
    push = scene.outlet.push

    def note_size(values: Array, stamps_s: Stamps) -> None:
        sizes.append(stamps_s.size)
        push(values, stamps_s)

    scene.outlet.push = note_size  # type: ignore[method-assign]
    assert first is not None
    first()
    assert len(sizes) == 1
    assert scene.pushed == [1, 2, 3]
    assert scene.budget.used_bytes == 0
    assert scene.channel.push_now(samples(4))
    again, *others = leave(scene, 5)
    assert again is not None
    assert others == []


def test_what_is_left_after_another_job_goes_behind_it(scene: Scene) -> None:
    """A run that begins holds its first samples, and not those of the one before."""
    scene.outlet.consumers = True
    scene.channel.open()
    before, *_ = leave(scene, 1, 2)
    begin = scene.channel.job(scene.channel.begin_run)
    after, *_ = leave(scene, 3, 4)
    assert before is not None
    assert after is not None
    before()
    assert scene.pushed == [1, 2]
    scene.outlet.consumers = False
    begin()
    after()
    assert scene.pushed == [1, 2]
    assert scene.channel.state is ChannelState.HOLDING
    scene.channel.end()
    assert scene.pushed == [1, 2, 3, 4]
    assert scene.budget.used_bytes == 0
