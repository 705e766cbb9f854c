"""One run: what is kept, what is counted, who is told."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType, Variable
from bela_module.recording.buffers import BufferData
from bela_module.scripting.callback_dispatcher import BufferCallback, Dispatcher
from bela_module.scripting.streaming_run import RunSink, StreamingRun
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.sink import Origin, StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.tracking.runs import Gap, GapReason

POT = Variable(0, "pot", ValueType.FLOAT)
COUNT = Variable(1, "count", ValueType.UNSIGNED_INT)


class Notes:
    """An output that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []
        self.missing = ""

    def take(self, name: str, buffer: BufferData) -> None:
        self.told.append(("take", name, buffer["ref_timestamp"]))

    def take_late(self, name: str, buffer: BufferData) -> None:
        self.told.append(("take_late", name, buffer["ref_timestamp"]))

    def lose(self, name: str, last_tick: int) -> None:
        self.told.append(("lose", name, last_tick))

    def close(self, *, hurried: bool = False) -> None:
        self.told.append(("close", "hurried" if hurried else "", 0))

    def describe_missing(self, name: str) -> str:
        return self.missing


def give(run: StreamingRun, variable: Variable, first_tick: int, n_values: int = 4) -> None:
    ticks = np.arange(first_tick, first_tick + n_values)
    run.take(variable, ticks, ticks.astype(np.float64), ticks / 10)


def test_buffers_are_kept_up_to_the_length_of_the_queue() -> None:
    run = StreamingRun([POT, COUNT], queue_length=2)
    for first_tick in (0, 4, 8):
        give(run, POT, first_tick)
    assert [buffer["ref_timestamp"] for buffer in run.queues()["pot"]] == [4, 8]
    assert run.queues()["count"] == []
    assert list(run.newest()) == ["pot"]
    run.resize(1)
    assert [buffer["ref_timestamp"] for buffer in run.queues()["pot"]] == [8]
    run.flush()
    assert run.queues() == {"pot": [], "count": []}
    assert run.counts == {"pot": 12, "count": 0}


def test_values_have_their_own_type() -> None:
    run = StreamingRun([COUNT], None)
    run.take(COUNT, np.array([5]), np.array([2.0**32 - 1]), np.array([0.5]))
    (buffer,) = run.queues()["count"]
    assert buffer["data"].dtype == np.uint32
    assert buffer["data"][0] == 2**32 - 1


def test_no_more_is_taken_than_whole_buffers_up_to_the_number_asked_for() -> None:
    notes = Notes()
    run = StreamingRun([POT, COUNT], None, n_values=6, outputs=[notes])
    for first_tick in (0, 4, 8):
        give(run, POT, first_tick)
    assert not run.complete
    assert run.fraction == 0.0
    give(run, COUNT, 0, 6)
    assert run.complete
    assert run.fraction == 1.0
    assert run.counts == {"pot": 8, "count": 6}
    assert notes.told == [("take", "pot", 0), ("take", "pot", 4), ("take", "count", 0)]
    assert run.describe() == (
        "pot: 8 values, 2 more than the 6 asked for, since the board sends them 1024 at a time, "
        "none lost\n"
        "count: 6 values, none lost"
    )


@pytest.mark.parametrize("in_blocks", [False, True])
def test_of_a_stopped_run_callbacks_may_be_given_whole_blocks_only(in_blocks: bool) -> None:
    calls: list[Any] = []
    dispatcher = Dispatcher(calls.append, (), calls.append, 10)
    notes = Notes()
    outputs = [BufferCallback(dispatcher), notes]
    run = StreamingRun([POT], None, outputs=outputs, in_blocks=in_blocks)
    give(run, POT, 0, 1024)
    give(run, POT, 1024, 5)  # a loss has cut it
    give(run, POT, 2000, 1024)
    run.expect_end()
    give(run, POT, 3024, 7)
    run.mark("stopped")
    run.close()
    sizes = [call["buffer"]["data"].size for call in calls]
    assert sizes == [1024, 5, 1024] + [7] * (not in_blocks)
    assert [told[0] for told in notes.told] == ["take"] * 4 + ["close"]
    assert run.counts == {"pot": 2060}


def test_what_comes_of_a_block_in_parts_is_one_buffer() -> None:
    notes = Notes()
    run = StreamingRun([POT], None, outputs=[notes], in_blocks=True)
    give(run, POT, 0, 1000)
    assert run.counts == {"pot": 0}
    give(run, POT, 1000, 24)  # the zeros at its end
    give(run, POT, 1024, 1024)
    give(run, POT, 2048, 100)
    run.lose(POT, Gap(2148, 2157, 10, GapReason.LOST))
    give(run, POT, 2158, 500)
    run.mark("stopped")
    queue = run.queues()["pot"]
    assert [buffer["data"].size for buffer in queue] == [1024, 1024, 100, 500]
    assert [buffer["lost"] for buffer in queue] == [0, 0, 0, 10]
    assert run.counts == {"pot": 2648}


def test_a_loss_is_counted_and_told_with_the_next_buffer() -> None:
    notes = Notes()
    run = StreamingRun([POT], None, outputs=[notes])
    give(run, POT, 0)
    run.lose(POT, Gap(4, 9, 6, GapReason.LOST))
    run.lose(POT, Gap(10, 11, 2, GapReason.CUT))
    run.lose(POT, Gap(12, 15, 4, GapReason.UNKNOWN_END))
    give(run, POT, 16)
    give(run, POT, 20)
    assert [buffer["lost"] for buffer in run.queues()["pot"]] == [0, 8, 0]
    assert run.lost == {"pot": 8}
    assert ("lose", "pot", 9) in notes.told
    assert ("lose", "pot", 15) not in notes.told
    assert run.describe() == "pot: 12 values, and 8 lost"


def test_waiting_ends_with_the_condition_the_time_or_the_run() -> None:
    run = StreamingRun([POT], None, n_values=4)
    assert not run.wait(lambda: run.complete, 0.01)
    feeder = threading.Timer(0.02, give, (run, POT, 0))
    feeder.start()
    assert run.wait(lambda: run.complete, 20.0)
    feeder.join()
    closer = threading.Timer(0.02, run.mark, ("stopped",))
    closer.start()
    assert run.wait(lambda: False, 20.0)
    closer.join()
    assert run.ended


def test_after_its_end_nothing_is_taken_and_outputs_are_closed_once() -> None:
    notes = Notes()
    run = StreamingRun([POT], None, outputs=[notes])
    run.close()
    run.close()
    give(run, POT, 0)
    run.lose(POT, Gap(4, 9, 6, GapReason.LOST))
    assert notes.told == [("close", "", 0)]
    assert run.counts == run.lost == {"pot": 0}


def test_all_outputs_are_closed_even_if_ctrl_c_interrupts_one() -> None:
    class Hanging(Notes):
        def close(self, *, hurried: bool = False) -> None:
            raise KeyboardInterrupt

    before, after = Notes(), Notes()
    run = StreamingRun([POT], None, outputs=[before, Hanging(), after])
    with pytest.raises(KeyboardInterrupt):
        run.close(hurried=True)
    assert before.told == after.told == [("close", "hurried", 0)]


def test_outputs_are_closed_even_if_ctrl_c_comes_before_any_of_them() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    notes = Notes()
    run = StreamingRun([POT], None, outputs=[notes])
    run._changed.notify_all = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.close(hurried=True)
    assert notes.told == [("close", "hurried", 0)]


def test_the_report_says_what_an_output_lacks() -> None:
    notes = Notes()
    run = StreamingRun([POT], None, outputs=[notes])
    give(run, POT, 0)
    notes.missing = "; its file lacks 3 of them"
    assert run.describe() == "pot: 4 values, none lost; its file lacks 3 of them"


def test_the_longest_time_is_no_error_and_a_wait_can_be_woken() -> None:
    run = StreamingRun([POT], None)
    given_up = threading.Event()
    waker = threading.Timer(0.02, lambda: (given_up.set(), run.wake()))
    waker.start()
    assert run.wait(given_up.is_set, math.inf)
    waker.join()


@pytest.mark.parametrize(
    ("text", "ends"),
    [("stopped", True), ("schedule_finished", True), ("started", False), ("gap pot 5", False)],
)
def test_only_the_end_ends_it(text: str, ends: bool) -> None:
    run = StreamingRun([POT], None)
    assert run.stopped
    run.stopped = False
    run.mark(text)
    assert run.ended is run.stopped is ends


def test_the_sink_feeds_the_run_of_the_moment() -> None:
    sink = RunSink()
    plan = StreamPlan("bela_pot", (POT,), StreamMode.DENSE, SampleFormat.FLOAT32)
    origin = Origin("bela", "test", 44100.0, 44100.0, 0.001, 0.0)
    rows, ticks = np.array([[1.5], [2.5]], np.float32), np.array([7, 8])

    def feed() -> None:
        sink.identify(origin)
        sink.open(plan, StreamFacts(origin, 44100.0))
        sink.push(plan, ticks, rows, ticks / 10)
        sink.gap(plan, POT, Gap(9, 9, 1, GapReason.LOST))
        sink.mark("stopped", 1.0)
        sink.close()

    feed()
    assert sink.is_open(plan)
    run = sink.run = StreamingRun([POT], None)
    feed()
    assert run.queues()["pot"][0]["data"].tolist() == [1.5, 2.5]
    assert run.lost == {"pot": 1}
    assert run.ended


def test_values_that_became_known_late_take_their_place_and_are_not_lost() -> None:
    notes = Notes()
    run = StreamingRun([POT], queue_length=3, outputs=[notes])
    for tick in (10, 20, 30):
        give(run, POT, tick, 1)
    sink = RunSink()
    plan = StreamPlan("bela_pot", (POT,), StreamMode.SPARSE, SampleFormat.FLOAT32)
    late = np.array([21, 31])
    arguments = plan, POT, late, late.astype(np.float32), late / 10
    sink.late(*arguments)  # to nobody
    sink.run = run
    sink.gap(plan, POT, Gap(21, 31, 2, GapReason.TOO_CLOSE))
    sink.late(*arguments)
    give(run, POT, 40, 1)
    queue = run.queues()["pot"]
    assert [buffer["data"].tolist() for buffer in queue] == [[20], [21, 30, 31], [40]]
    assert [buffer["lost"] for buffer in queue] == [0, 0, 0]
    assert (run.counts, run.lost) == ({"pot": 6}, {"pot": 0})
    assert ("take_late", "pot", 21) in notes.told


def test_late_values_older_than_a_full_queue_leave_it_as_it_is() -> None:
    run = StreamingRun([POT], queue_length=2)
    for tick in (10, 20, 30):
        give(run, POT, tick, 1)
    late = np.array([11])
    run.take_late(POT, late, late.astype(np.float64), late / 10)
    assert [buffer["ref_timestamp"] for buffer in run.queues()["pot"]] == [20, 30]
