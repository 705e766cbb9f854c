"""PREPARE opens outlets before there are data, and START goes on with the very same ones."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pylsl
import pytest

from bela_module.errors import RequestError, UnknownVariableError
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    assert_received,
    board_of,
    left_on,
    listening,
    published_on,
    session_at,
    session_on,
    variable,
    written_ticks,
)

MANY = tuple(variable(f"v{index}") for index in range(17))
START_IN_S = 1.5
DOUBT_S = 0.05  # of the clock


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with board_of(variable("a"), variable("b", step=2), variable("touch", sparse=True)) as board:
        yield board


@pytest.fixture
def one(board: SimulatedBoard) -> Iterator[Running]:
    with session_on(board) as one:
        yield one


def streams_of(one: Running) -> list[str]:
    return [stream["name"] for stream in one.session.status()["streams"]]


# ---- launched and idle -------------------------------------------------------------------------


def test_it_connects_when_it_is_launched_and_changes_nothing(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    wait_until(lambda: one.session.status()["board"]["connected"], "a connection")
    assert one.state == "idle"
    assert board.n_clients == 1  # the control websocket alone
    assert left_on(board) == ([], {}, {})
    assert one.sink.events == []


def test_a_board_that_is_absent_while_idle_is_no_event(wait_until: WaitUntil) -> None:
    with board_of(variable("a")) as board, session_at(board.port) as one:
        wait_until(lambda: one.session.status()["board"]["connected"], "a connection")
        board.refuse_connections(True)
        board.disconnect()
        wait_until(lambda: not one.session.status()["board"]["connected"], "the loss")
        time.sleep(0.5)
        assert one.state == "idle"
        assert one.session.status()["problems"] == []
        board.refuse_connections(False)
        wait_until(lambda: one.session.status()["board"]["connected"], "another connection")
        assert one.sink.events == []
        assert one.session.status()["counters"]["reconnects"] == 0


def test_what_others_use_is_reported_and_left_alone(wait_until: WaitUntil) -> None:
    with board_of(variable("a"), variable("b"), variable("c")) as board:
        board.inject_command(
            '{"watcher":[{"cmd":"watch","watchers":["a"]},'
            '{"cmd":"monitor","watchers":["b"],"periods":[4410]},'
            '{"cmd":"control","watchers":["c"]}]}'
        )
        wait_until(lambda: board.watched_names() == ["a"], "a watch")
        before = left_on(board)
        with session_at(board.port) as one:
            wait_until(lambda: one.session.status()["others"]["watched"] == ["a"], "the report")
            others = one.session.status()["others"]
            assert others == {"watched": ["a"], "monitored": ["b"], "controlled": ["c"]}
            one.prepare("c")
            assert left_on(board) == before
        assert left_on(board) == before


def test_exclusive_ends_what_others_have_left(wait_until: WaitUntil) -> None:
    with board_of(variable("a"), variable("b")) as board:
        board.inject_command('{"watcher":[{"cmd":"watch","watchers":["a","b"]}]}')
        wait_until(lambda: len(board.watched_names()) == 2, "two watches")
        with session_on(board) as one:
            one.start("a", exclusive=True)
            wait_until(lambda: one.samples("bela_a") > 0, "samples")
            assert board.watched_names() == ["a"]


# ---- prepared ----------------------------------------------------------------------------------


def test_outlets_are_open_before_any_data(board: SimulatedBoard, one: Running) -> None:
    assert one.prepare() == "prepared bela_a, bela_b, bela_touch"
    assert one.state == "prepared"
    rates = {name: facts.nominal_rate_hz for name, facts in one.sink.facts.items()}
    assert rates == {"bela_a": 44100.0, "bela_b": 22050.0, "bela_touch": 0.0}
    assert streams_of(one) == ["bela_a", "bela_b", "bela_touch"]
    assert board.watched_names() == []
    assert one.prepare() == "already prepared"
    assert one.sink.events == []


def test_start_without_arguments_uses_what_is_prepared(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.prepare("b")
    opened = dict(one.sink.facts)
    assert one.start() == "streaming bela_b"
    wait_until(lambda: one.samples("bela_b") > 0, "samples")
    assert one.sink.facts == opened
    assert one.prepare("b") == "already streaming"
    with pytest.raises(RequestError, match="STOP first"):
        one.prepare("a")
    assert one.stop() == "stopped"
    assert one.state == "idle"
    np.testing.assert_array_equal(one.sink["bela_b"].ticks, written_ticks(board, "b", 2))


def test_a_schedule_uses_what_is_prepared(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.prepare("a")
    one.schedule(duration_s=0.05)
    wait_until(lambda: "schedule_finished" in one.sink.events, "the end")
    assert one.sink["bela_a"].n_samples == 2206
    assert list(one.sink.kept) == ["bela_a"]
    wait_until(lambda: one.state == "prepared", "state prepared")
    assert one.streams["bela_a"]["samples"] == 2206  # until the next PREPARE or START
    one.prepare("a", "b")
    assert {name: s["samples"] for name, s in one.streams.items()} == {"bela_a": 0, "bela_b": 0}


def test_stop_leads_back_to_idle(board: SimulatedBoard, one: Running) -> None:
    one.prepare("a")
    assert one.stop() == "stopped"
    assert one.state == "idle"
    assert one.stop() == "nothing was running"
    assert one.start() == "streaming bela_a, bela_b, bela_touch"


def test_an_unknown_variable_changes_nothing(one: Running) -> None:
    one.prepare("a")
    with pytest.raises(UnknownVariableError, match="no variable 'x'"):
        one.prepare("x")
    assert one.state == "prepared"
    assert streams_of(one) == ["bela_a"]


def test_it_outlives_a_reconnect(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.prepare("a")
    board.disconnect()
    wait_until(lambda: "reconnected" in one.sink.events, "reconnected")
    wait_until(lambda: one.state == "prepared", "state prepared")
    assert one.start() == "streaming bela_a"
    wait_until(lambda: one.samples("bela_a") > 0, "samples")


def test_start_can_be_told_when_to_begin(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.prepare("a")
    asked_s = local_clock()
    one.start(start_in_s=START_IN_S)
    answered_s = local_clock()
    wait_until(lambda: one.samples("bela_a") > 0, "samples")
    for begun_s in (one.sink["bela_a"].stamps_s[0], one.sink.time_of("started")):
        assert answered_s < begun_s  # it does not wait for that
        assert asked_s - DOUBT_S < begun_s - START_IN_S < answered_s + DOUBT_S
    one.stop()
    assert one.streams["bela_a"]["lost"] == 0


def test_an_inlet_that_listens_before_has_every_sample(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    with published_on(board, unique) as one:
        one.prepare("a", "b")
        with listening(unique, 3) as inlets:
            one.start()
            wait_until(lambda: one.samples(f"{unique}a") > 10_000, "samples")
            one.stop()
            for name in ("a", "b"):
                kept, inlet = one.sink[unique + name], inlets[unique + name]
                inlet.pull(float(kept.stamps_s[-1]))
                assert assert_received(inlet, kept).size == kept.n_samples


def test_streams_can_be_found_when_start_is_answered(board: SimulatedBoard, unique: str) -> None:
    with published_on(board, unique) as one:
        one.start()
        found = pylsl.resolve_bypred(f"starts-with(name, '{unique}')", 4, 5.0)
        assert {info.name() for info in found} == {
            unique + name for name in ("a", "b", "touch", "events")
        }


# ---- many variables ----------------------------------------------------------------------------


def many(*more: SketchVariable) -> SimulatedBoard:
    return board_of(*MANY, *more)


def test_more_than_sixteen_variables_share_a_stream(wait_until: WaitUntil) -> None:
    with many(variable("touch", sparse=True)) as board, session_on(board) as one:
        one.start()
        assert list(one.sink.facts) == ["bela_double64", "bela_touch"]
        wait_until(lambda: one.samples("bela_double64") > 2048, "rows")
        one.stop()
        kept = one.sink["bela_double64"]
        assert kept.rows.shape[1] == len(MANY)
        lost = np.isnan(kept.rows)
        expected = np.where(lost, np.nan, kept.ticks[:, np.newaxis])
        np.testing.assert_array_equal(kept.rows, expected)
        assert one.streams["bela_double64"]["variables"] == [v.name for v in MANY]
        assert one.streams["bela_double64"]["lost"] == np.count_nonzero(lost)


@pytest.mark.parametrize(("group", "count"), [("none", 17), ("all", 1), ("auto", 1)])
def test_the_group_is_chosen(group: str, count: int) -> None:
    with many() as board, session_on(board) as one:
        one.prepare(group=group)
        assert len(streams_of(one)) == count


def test_two_variables_share_a_stream_only_when_asked(board: SimulatedBoard, one: Running) -> None:
    one.prepare(group="all")
    assert streams_of(one) == ["bela_double64_step1", "bela_double64_step2", "bela_touch"]
