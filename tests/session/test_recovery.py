"""A board that comes back, changed or not, in time or late, and what was left on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from bela_module.errors import RequestError, StreamError
from bela_module.protocol.variables import Array, Ticks, ValueType
from bela_module.requests import StartRequest
from bela_module.simulator.faults.message_faults import DropPair
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.sketch import Sketch
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Stamps
from bela_module.streams.stream_plans import StreamPlan
from tests.support.fault_cases import NAMES, RATE_HZ, SKETCH, check_values, taken
from tests.support.paths import ROOT
from tests.support.session_helpers import (
    Recorder,
    Running,
    WaitUntil,
    flow,
    listening,
    published_on,
    running,
    session_at,
    settings_for,
    stream_and_lose,
    variable,
    written_ticks,
)
from tests.support.stopwatch import Stopwatch

STOPPED_S = 5.0

ANOTHER = Sketch(
    "rebuilt",
    "one is gone, one has another type, one another number",
    (variable("new"), variable("b", ValueType.FLOAT), variable("c"), variable("d")),
    tick_rate_hz=RATE_HZ,
)
SLOWER = Sketch(
    "slower",
    "the same variable, assigned less often",
    (variable("a", step=4),),
    tick_rate_hz=RATE_HZ,
)
FOUR = Sketch(
    "faulty",
    "made for a test",
    (variable("a"), variable("b"), variable("c"), variable("d")),
    tick_rate_hz=RATE_HZ,
)


def problems_of(one: Running) -> str:
    return " / ".join(one.session.status()["problems"])


def events_of(one: Running, name: str) -> list[str]:
    return [text for text in one.sink.events if text.startswith(name)]


# ---- another board than before ---------------------------------------------------------------


def test_what_the_board_no_longer_has_is_reported_and_the_rest_goes_on(
    wait_until: WaitUntil,
) -> None:
    groups = {"pair": {"variables": ["a", "c"]}}
    with (
        SimulatedBoard(FOUR, clock=local_clock) as board,
        session_at(board.port, streams=groups) as one,
    ):
        one.start("a", "b", "c", "d")
        wait_until(lambda: one.samples("bela_pair") > 2 * RATE_HZ, "rows")
        board.restart(ANOTHER)
        wait_until(lambda: board.watched_names() == ["c", "d"], "what is left is watched")
        wait_until(lambda: "a: not on the board any more" in problems_of(one), "a report")
        assert "b: of another type on the board now" in problems_of(one)
        assert events_of(one, "board_restarted")
        flow(one, wait_until, 8)
        one.stop()
        assert check_values(board, one.sink, "bela_d", worst_s=0.05)["d"] > 512
        rows, ticks = one.sink["bela_pair"].rows, one.sink["bela_pair"].ticks
        since = int(np.flatnonzero(np.diff(ticks) < 0)[-1]) + 1
        assert np.isnan(rows[since:, 0]).all()
        np.testing.assert_array_equal(rows[since:, 1], ticks[since:])


def test_a_restart_is_seen_though_the_ticks_are_beyond_those_known(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    tick = board.tick_now()
    board.refuse_connections(True)
    board.restart(first_tick=tick + 100)  # while nobody looks, it counts past what was seen
    time.sleep(1.5)
    board.restart(first_tick=tick + 100)
    board.refuse_connections(False)
    wait_until(lambda: events_of(one, "board_restarted"), "the restart")
    flow(one, wait_until)
    one.stop()
    assert one.session.status()["clock"]["generation"] == 2


def test_what_a_restart_certainly_lost_is_counted(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    board.inject(DropPair())
    time.sleep(1.0)
    board.restart()
    wait_until(lambda: events_of(one, "reconnected"), "reconnect")
    board.end_faults()
    flow(one, wait_until)
    one.stop()
    lost = one.streams["bela_a"]["lost"]
    missing = taken(board, "a") - one.samples("bela_a") - lost
    n_before_watch = board.written("a")[0].first_tick  # values of the new boot, lost as well
    assert missing >= -n_before_watch
    assert lost > 0.4 * RATE_HZ  # a reply comes at least every 0.3 s, and proves its tick


def test_a_variable_that_is_assigned_less_often_after_a_restart_has_its_own_ticks(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    # Later than the ticks of the new boot, so that these are told from the old ones.
    wait_until(lambda: one.samples("bela_a") > 2 * RATE_HZ, "samples")
    board.restart(SLOWER)
    wait_until(lambda: events_of(one, "reconnected"), "reconnect")
    flow(one, wait_until)
    one.stop()
    ticks, values = one.sink["bela_a"].ticks, one.sink["bela_a"].values
    since = int(np.flatnonzero(np.diff(ticks) < 0)[-1]) + 1
    np.testing.assert_array_equal(values, ticks)
    np.testing.assert_array_equal(ticks[since:], written_ticks(board, "a", 4))
    # What the restart cost: before it, when a reply came after the last block, and since.
    assert len(events_of(one, "gap")) <= 2


def test_a_schedule_is_void_after_a_restart(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.schedule(variables="a", start_in_s=0.1, duration_s=30.0)
    wait_until(board.watched_names, "the schedule")
    board.restart()
    wait_until(lambda: events_of(one, "error the schedule is void"), "the report")
    wait_until(lambda: events_of(one, "stopped"), "the end")
    assert not events_of(one, "schedule_finished")
    wait_until(lambda: one.state == "idle", "idle")
    assert one.start("a") == "streaming bela_a"


def test_control_that_a_restart_ended_is_reported(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.set(b=3)
    board.restart()
    wait_until(lambda: events_of(one, "error b: no longer controlled"), "the report")
    assert one.session.status()["controlled"] == []


def test_the_same_outlets_go_on_after_a_reconnect_and_a_restart(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    with published_on(board, unique) as one:
        one.start("a")
        wait_until(lambda: one.samples(f"{unique}a") > 0, "samples", 20.0)
        with listening(f"{unique}a", 1) as listeners:
            listener = listeners[f"{unique}a"]
            for trouble in (board.disconnect, board.restart):
                before = len(events_of(one, "reconnected"))
                trouble()
                wait_until(lambda n=before: len(events_of(one, "reconnected")) > n, "reconnect")
                samples = one.samples(f"{unique}a")
                wait_until(lambda n=samples: one.samples(f"{unique}a") > n, "more samples")
                listener.pull(float(one.sink[f"{unique}a"].stamps_s[-1]))
            assert len(listener.stamps_s) > 1000
            assert np.all(np.diff(listener.stamps_s) >= 0)
        one.stop()


def test_a_group_of_integers_counts_the_rows_that_it_must_leave_out(wait_until: WaitUntil) -> None:
    members = (variable("i", ValueType.INT), variable("k", ValueType.INT))
    sketch = Sketch("whole", "made for a test", members, tick_rate_hz=RATE_HZ)
    groups = {"pair": {"variables": ["i", "k"]}}
    with (
        SimulatedBoard(sketch, clock=local_clock) as board,
        session_at(board.port, streams=groups) as one,
    ):
        one.start()
        wait_until(lambda: one.samples("bela_pair") > 0, "rows")
        board.inject(DropPair(n=2, variable="i"))
        wait_until(lambda: len(board.losses) == 2, "losses")
        flow(one, wait_until, 8)
        one.stop()
        total = taken(board, "i") + taken(board, "k")
        lost = one.streams["bela_pair"]["lost"]
        assert lost == 2 * sum(loss.n_values for loss in board.losses)
        assert 2 * one.samples("bela_pair") + lost == total


# ---- a board that is away --------------------------------------------------------------------


def test_attempts_become_rarer_but_never_end(wait_until: WaitUntil) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with session_at(nobody.getsockname()[1]) as one:
            begun_s = time.monotonic()
            used_s = time.process_time()
            future = one.session.start(StartRequest())
            assert future.result(20).startswith("waiting for the board")
            time.sleep(0.5)
            assert time.process_time() - used_s < 0.5 * (time.monotonic() - begun_s) + 0.2
            assert one.state == "waiting"
            assert one.stop() == "stopped waiting"


def test_a_board_that_gives_data_each_time_is_reached_again_at_once(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.start("a")
    flow(one, wait_until)
    away_s = []
    for _ in range(7):
        watch = Stopwatch()
        board.disconnect()
        wait_until(lambda: one.state == "reconnecting", "disconnected")
        flow(one, wait_until, 1)
        away_s.append(watch.passed_s)
    one.stop()
    # Were each pause twice the one before, as for a board that gives nothing: 1.6, 3.2, 5 s.
    assert min(away_s[-3:]) < 1.0


def test_what_is_known_already_is_answered_while_the_board_is_away(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    stream_and_lose(board, one, wait_until)
    assert one.start("a") == "already streaming"
    for refused in (lambda: one.start("b"), lambda: one.schedule(start_in_s=1, duration_s=1)):
        with pytest.raises(RequestError, match="a streaming already; STOP first"):
            refused()
    with pytest.raises(RequestError, match="no variable 'nothing'"):
        one.start("nothing")
    board.refuse_connections(False)
    wait_until(lambda: one.state == "streaming", "streaming")
    one.stop()


@pytest.mark.parametrize("connected", [True, False], ids=["streaming", "connecting"])
def test_a_board_that_says_nothing_is_noticed(
    board: SimulatedBoard, connected: bool, wait_until: WaitUntil
) -> None:
    with session_at(board.port, board={"reply_timeout_s": 2.0}) as one:
        if connected:
            one.start("a")
            flow(one, wait_until)
        board.go_silent(True)
        watch = Stopwatch()
        future = None if connected else one.session.start(StartRequest(variables=("a",)))
        expected = "reconnecting" if connected else "waiting"
        wait_until(lambda: one.state == expected, expected)
        assert watch.passed_s < 3.0
        assert one.session.status()["last_error"]
        board.go_silent(False)
        wait_until(lambda: one.state == "streaming", "streaming")
        if future is not None:
            assert future.result(20).startswith("waiting for the board")
        one.stop()


# ---- sinks and listeners ---------------------------------------------------------------------


class Refusing(Recorder):
    """A sink that refuses some samples of one stream, and has a defect in another."""

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        if plan.name == "bela_a" and self.samples_of(plan.name) > 0 and not self.refused:
            self.refused = ticks.size
            raise StreamError("not these")
        if plan.name == "bela_b":
            raise ZeroDivisionError("a defect")
        super().push(plan, ticks, values, stamps_s)

    refused = 0

    def samples_of(self, name: str) -> int:
        return self.kept[name].n_samples


def test_an_error_of_one_stream_ends_no_other(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    sink = Refusing()
    with running(settings_for(board.port), sink) as one:
        one.start(*NAMES)
        wait_until(lambda: sink.refused, "a refusal")
        there = one.samples("bela_a")
        wait_until(lambda: one.samples("bela_a") > there, "more samples")
        one.stop()
        streams = one.streams
        assert streams["bela_a"]["lost"] == sink.refused
        assert taken(board, "a") == one.samples("bela_a") + sink.refused
        assert taken(board, "b") == streams["bela_b"]["lost"]
        errors = [text for text in events_of(one, "error") if "stood still" not in text]
        assert sorted(errors) == [
            "error bela_a: not these",
            "error bela_b: a defect",
        ]


class Slow(Recorder):
    """A sink that takes its time once."""

    slept = False

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        if not self.slept:
            self.slept = True
            time.sleep(1.0)
        super().push(plan, ticks, values, stamps_s)


def test_a_slow_sink_loses_nothing(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    with running(settings_for(board.port), Slow()) as one:
        one.start(*NAMES)
        wait_until(lambda: one.samples("bela_b") > RATE_HZ, "a second of samples")
        one.stop()
        for name in NAMES:
            counts = check_values(board, one.sink, f"bela_{name}", worst_s=0.05)
            assert counts[name] == taken(board, name)
        assert not events_of(one, "disconnected")


def test_a_listener_that_never_reads_holds_nothing_up(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    with published_on(board, unique) as one:
        one.start("a")
        wait_until(lambda: one.samples(f"{unique}a") > 0, "samples")
        with listening(f"{unique}a", 1):
            there = one.samples(f"{unique}a")
            wait_until(lambda: one.samples(f"{unique}a") > there + RATE_HZ, "a second more")
        one.stop()
        assert one.samples(f"{unique}a") == taken(board, "a")


STREAMING = """
import json, sys, time
import numpy as np
from bela_module.config import parse_settings
from bela_module.streams.lsl_clock import local_clock
from bela_module.requests import StartRequest
from bela_module.session.session import Session

class Sink:
    n, first, last = 0, None, None
    def identify(self, origin): pass
    def open(self, plan, facts): pass
    def is_open(self, plan): return True
    def keep(self, variables): pass
    def search_identities(self): pass
    def push(self, plan, ticks, values, stamps_s):
        assert (values[:, 0] == ticks).all()
        self.n += ticks.size
    def gap(self, plan, variable, gap): pass
    def late(self, plan, variable, ticks, values, stamps_s): pass
    def mark(self, text, lsl_s): print(text, flush=True)
    def close(self): pass

sink = Sink()
board = {"host": "127.0.0.1", "port": int(sys.argv[1])}
settings = {"board": board, "streaming": {"clock_stream": ""}}
with Session(parse_settings(settings, "test"), sink=lambda: sink, now=local_clock) as s:
    s.start(StartRequest(variables=("a",))).result(20)
    sys.stdin.readline()
    s.stop().result(20)
    print(json.dumps([sink.n, s.status()["streams"][0]["lost"]]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_a_process_that_stands_still_for_five_seconds_loses_nothing(board: SimulatedBoard) -> None:
    command = [sys.executable, "-c", STREAMING, str(board.port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        process.send_signal(signal.SIGCONT)
        time.sleep(1.5)
        written, _ = process.communicate("stop\n", timeout=20)
    *events, figures = written.splitlines()
    delivered, lost = json.loads(figures)
    *told, end = events
    assert end == "stopped"
    assert len(told) == 1
    assert told[0].startswith("error this computer or process stood still for ")
    assert lost == 0
    assert delivered == taken(board, "a")
    assert SKETCH.tick_rate_hz * STOPPED_S < delivered
