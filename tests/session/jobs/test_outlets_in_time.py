"""Outlets beside a session: late recorders, many streams, identities that others have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pylsl
import pytest

from bela_module.errors import RequestError
from bela_module.session.jobs import preparing
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    assert_received,
    board_of,
    listening,
    published_on,
    variable,
    written_ticks,
)


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with board_of(variable("a"), variable("b", step=2)) as board:
        yield board


def test_a_recorder_that_comes_after_the_end_of_a_short_run_has_all_of_it(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    with published_on(board, unique) as one:
        one.start()
        wait_until(lambda: one.samples(f"{unique}b") > 1024, "samples")
        one.stop()
        with listening(unique, 3) as inlets:
            for name, step in (("a", 1), ("b", 2)):
                kept, inlet = one.sink[unique + name], inlets[unique + name]
                inlet.pull(float(kept.stamps_s[-1]))
                np.testing.assert_array_equal(
                    assert_received(inlet, kept), written_ticks(board, name, step)
                )
            markers = inlets[f"{unique}events"]
            markers.pull(one.sink.time_of("stopped"))
            assert markers.rows[:, 0].tolist() == ["started", "stopped"]


def test_a_recorder_that_comes_late_has_the_first_rows_of_a_group(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    name = f"{unique}pair"
    with (
        board_of(variable("x"), variable("y")) as board,
        published_on(board, unique, streams={"pair": {"variables": ["x", "y"]}}) as one,
    ):
        one.start()
        wait_until(lambda: one.samples(name) > 20_000, "rows")
        with listening(unique, 2) as inlets:
            one.stop()
            kept, inlet = one.sink[name], inlets[name]
            inlet.pull(float(kept.stamps_s[-1]))
            assert assert_received(inlet, kept).size == kept.n_samples


def test_a_monitor_before_a_start_gives_no_second_outlet(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    with published_on(board, unique) as one:
        one.monitor(variables=("a",))
        one.start("a")
        wait_until(lambda: one.samples(f"{unique}a") > 1024, "samples")
        identities: list[str] = []

        def settled() -> bool:
            found = pylsl.resolve_bypred(f"starts-with(name, '{unique}')", 9, 1.0)
            identities[:] = [info.source_id() for info in found]
            return len(identities) == 3

        wait_until(settled, "a stream, its monitor, and the events")
        assert len(set(identities)) == 3


def test_an_identity_that_another_process_has_is_refused(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    with published_on(board, unique) as one:
        wait_until(lambda: one.session.status()["board"]["project"], "the project")
        project = one.session.status()["board"]["project"]
        identity = f"bela:bela:{project}:{unique}a"
        other = pylsl.StreamOutlet(
            pylsl.StreamInfo(f"{unique}a", "Bela", 1, 44100.0, pylsl.cf_double64, identity)
        )
        assert pylsl.resolve_byprop("source_id", identity, 1, 20.0)
        with pytest.raises(RequestError, match="board.name"):
            one.prepare("a")
        assert one.state == "idle"
        one.prepare("b")
        one.stop()
        del other
        one.prepare("a")  # it is gone
        one.start()
        wait_until(lambda: one.samples(f"{unique}a") > 0, "samples")


def test_a_stream_that_cannot_be_opened_stands_in_problems_and_the_others_stream(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = pylsl.StreamOutlet

    def refuse(info: pylsl.StreamInfo, *arguments: Any) -> pylsl.StreamOutlet:
        if info.name() == f"{unique}b":
            raise RuntimeError("too many open files")
        return create(info, *arguments)

    monkeypatch.setattr(pylsl, "StreamOutlet", refuse)
    with published_on(board, unique) as one:
        one.prepare()
        (problem,) = one.session.status()["problems"]
        assert f"{unique}b" in problem
        assert "too many open files" in problem
        one.start()
        wait_until(lambda: one.samples(f"{unique}a") > 1024, "samples of the other")
        assert any("too many open files" in text for text in one.session.status()["problems"])
        one.stop()
        assert one.streams[f"{unique}a"]["lost"] == 0
        assert one.streams[f"{unique}b"]["samples"] == 0
        assert one.streams[f"{unique}b"]["lost"] > 0


def test_an_outlet_that_is_not_there_in_time_stands_in_problems(
    board: SimulatedBoard, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "OUTLETS_VISIBLE_S", 0.2)
    with published_on(board, unique) as one:
        monkeypatch.setattr(one.sink, "is_open", lambda plan: False)
        one.prepare("a")
        (problem,) = one.session.status()["problems"]
        assert f"{unique}a: LSL did not open the stream in 0.2 s" == problem


def test_slow_outlets_do_not_stop_the_loop(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = pylsl.StreamOutlet

    def take_time(info: pylsl.StreamInfo, *arguments: Any) -> pylsl.StreamOutlet:
        time.sleep(0.5)
        return create(info, *arguments)

    monkeypatch.setattr(pylsl, "StreamOutlet", take_time)
    with published_on(board, unique) as one, longest_standstill(one) as standstill_s:
        one.start()
        wait_until(lambda: one.samples(f"{unique}b") > 1024, "samples")
        one.stop()
        assert one.streams[f"{unique}a"]["lost"] == 0
        # Three outlets of half a second each; a busy computer may stand still for some of that.
        assert standstill_s() < 0.45


@contextmanager
def longest_standstill(one: Running) -> Iterator[Callable[[], float]]:
    """Measure how long the session's loop ever stood still."""
    loop = one.session._loop
    assert loop is not None
    longest_s = 0.0

    async def measure() -> None:
        nonlocal longest_s
        while True:
            before_s = local_clock()
            await asyncio.sleep(0.01)
            longest_s = max(longest_s, local_clock() - before_s - 0.01)

    measuring = asyncio.run_coroutine_threadsafe(measure(), loop)
    try:
        yield lambda: longest_s
    finally:
        measuring.cancel()


def test_more_samples_than_may_wait_are_counted_as_lost(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    with published_on(board, unique) as one:
        one.prepare("a")
        assert one.sink._outlets is not None
        monkeypatch.setattr(one.sink._outlets._budget, "_total_bytes", 0)
        one.start()
        wait_until(lambda: one.streams[f"{unique}a"]["lost"] > 2048, "a loss that is counted")
        assert "wait for LSL already" in str(one.session.status()["last_error"])
