"""The session end to end: a board's values through real sockets to a real inlet, and its life."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from dareplane_utils.stream_watcher.lsl_stream_watcher import StreamWatcher

from bela_module.errors import BelaError
from bela_module.protocol.variables import Array, Ticks, ValueType
from bela_module.requests import StartRequest
from bela_module.session.session import Session
from bela_module.simulator.replay.replayed_board import ReplayedBoard
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.built_in import SKETCHES
from bela_module.streams.lsl import outlet_channel
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Stamps
from bela_module.streams.stream_plans import StreamPlan
from tests.support.alltypes import formula
from tests.support.session_helpers import (
    RATE_HZ,
    Recorder,
    WaitUntil,
    answer,
    assert_received,
    assert_times_are_true,
    board_of,
    left_on,
    listening,
    published_on,
    running,
    session_at,
    session_on,
    settings_for,
    variable,
    written_ticks,
)
from tests.support.stopwatch import Stopwatch

CapturePath = Callable[[str], Path]

RAMPS = {v.name: v for v in SKETCHES["ramps"].variables}


def ramp_of(name: str, ticks: Ticks) -> Array:
    """Give what a ramp of ``ramps`` holds at some ticks, as its stream carries it."""
    match name.removeprefix("ramp_"):
        case "c":
            return ticks.astype(np.int8)  # wraps around, as a byte above 127 does
        case "f":
            return (ticks % 2**24).astype(np.float32)
        case _:
            return ticks


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard("ramps", drift_ppm=60.0, clock=local_clock) as board:
        yield board


# ---- to LSL and back ---------------------------------------------------------------------------


def test_each_value_of_a_ramp_arrives_with_its_own_tick_and_time(
    board: SimulatedBoard, unique: str
) -> None:
    with published_on(board, unique) as one:
        one.start()
        with listening(unique, len(RAMPS) + 1) as inlets:
            for name in RAMPS:
                inlets[unique + name].pull(local_clock())
            assert one.stop() == "stopped"
            for name, spec in RAMPS.items():
                kept, inlet = one.sink[unique + name], inlets[unique + name]
                inlet.pull(float(kept.stamps_s[-1]))
                ticks = assert_received(inlet, kept)
                np.testing.assert_array_equal(inlet.rows[:, 0], ramp_of(name, ticks))
                written = written_ticks(board, name, spec.assignments.step_ticks)
                if spec.sparse:  # its last value ends the stream, and may lie beyond the stop
                    written = written[: kept.n_samples]
                np.testing.assert_array_equal(kept.ticks, written)
                assert_times_are_true(board, one.sink, unique + name)
                assert inlet.info.nominal_srate() == (0.0 if spec.sparse else RATE_HZ)
                assert one.streams[unique + name]["lost"] == 0
            markers = inlets[f"{unique}events"]
            one.session.note_error("at the end")
            markers.pull(one.sink.time_of("stopped") + 1e-6)
            assert markers.rows[-2:, 0].tolist() == ["stopped", "error at the end"]
    assert left_on(board) == ([], {}, {})


def test_every_sample_of_the_capture_of_all_types_is_its_formula(
    capture_path: CapturePath, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is: the last inlet to be opened still gets the first sample.
    monkeypatch.setattr(outlet_channel, "FIRST_LISTENER_S", 60.0)
    names = [variable.name for variable in SKETCHES["alltypes"].variables]
    with (
        ReplayedBoard(capture_path("alltypes"), clock=local_clock) as board,
        published_on(board, unique) as one,
    ):
        one.start()
        with listening(unique, len(names) + 1) as inlets:
            assert board.finished.wait(20)
            one.stop()
            for name in names:
                kept, inlet = one.sink[unique + name], inlets[unique + name]
                inlet.pull(float(kept.stamps_s[-1]))
                assert assert_received(inlet, kept).size == kept.n_samples
                expected = formula(name, kept.ticks)
                if name.endswith("c"):
                    expected = expected.astype(np.int8)
                np.testing.assert_array_equal(kept.values, expected)
    assert one.sink[f"{unique}dj"].values.min() >= 2**31
    assert one.sink[f"{unique}dc"].values.min() < 0  # bytes above 127 keep their bits
    formats = {name: one.streams[unique + name]["format"] for name in names}
    assert formats == {
        kind + code: name
        for kind in "ds"
        for code, name in zip(
            "cjifd", ("int8", "double64", "int32", "float32", "double64"), strict=True
        )
    }


def test_a_stream_watcher_reads_a_running_stream(unique: str, wait_until: WaitUntil) -> None:
    name = f"{unique}pots"
    groups = {"pots": {"variables": ["pot1", "pot2"]}}
    with (
        SimulatedBoard("potentiometers") as board,
        published_on(board, unique, streams=groups) as one,
    ):
        one.start()
        wait_until(lambda: name in one.sink.kept, "the stream to be open")
        watcher = StreamWatcher(name=name, buffer_size_s=0.5)
        watcher.connect_to_stream()
        try:
            assert watcher.channel_names == ["pot1", "pot2"]
            assert watcher.inlet.info().nominal_srate() == 22050.0

            def filled() -> bool:
                watcher.update()
                return bool(np.all(watcher.unfold_buffer_t() > 0))

            wait_until(filled, "a full buffer")
            stamps_s = watcher.unfold_buffer_t()
            values = watcher.unfold_buffer()
        finally:
            watcher.disconnect()
        one.stop()
        at = np.searchsorted(one.sink[name].stamps_s, stamps_s)
        np.testing.assert_array_equal(values, one.sink[name].rows[at])
        np.testing.assert_array_equal(stamps_s, one.sink[name].stamps_s[at])


# ---- rates, groups, formats --------------------------------------------------------------------


def test_nominal_rates_are_values_per_second(wait_until: WaitUntil) -> None:
    sketch = (
        variable("every", ValueType.FLOAT, RAMPS["ramp_f"].signal),
        variable("second", step=2),
        variable("sixteenth", step=16),
    )
    # It declares 44100 and ticks at half of it, as the tutorial's potentiometers do.
    with board_of(*sketch, rate_hz=22050.0) as board, session_on(board) as one:
        one.start()
        assert len(one.sink.facts) == 3
        wait_until(lambda: all(one.samples(name) > 2048 for name in one.sink.facts), "samples")
        one.stop()
        rates = {name: facts.nominal_rate_hz for name, facts in one.sink.facts.items()}
        assert rates == {
            "bela_every": 22050.0,
            "bela_second": 22050.0 / 2,
            "bela_sixteenth": 22050.0 / 16,
        }
        for name, step in (("every", 1), ("second", 2), ("sixteenth", 16)):
            kept = one.sink[f"bela_{name}"]
            # The stop may lie between two values: then the last one that is written is after it.
            written = written_ticks(board, name, step)
            assert written.size - kept.n_samples <= (step > 1)
            np.testing.assert_array_equal(kept.ticks, written[: kept.n_samples])
            np.testing.assert_array_equal(kept.values, kept.ticks)
            measured_hz = one.streams[f"bela_{name}"]["effective_rate_hz"]
            assert measured_hz == pytest.approx(22050.0 / step, rel=0.02)


def test_rows_of_a_group_are_of_one_tick(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    groups = {
        "mixed": {"variables": ["ramp_d", "ramp_c", "ramp_f"]},
        "whole": {"variables": ["ramp_i", "ramp_j"]},
    }
    with session_on(board, streams=groups) as one:
        one.start(*(name for group in groups.values() for name in group["variables"]))
        wait_until(lambda: one.samples("bela_mixed") and one.samples("bela_whole"), "rows")
        one.stop()
        for name, group in groups.items():
            kept, stream = one.sink[f"bela_{name}"], one.streams[f"bela_{name}"]
            assert stream["variables"] == group["variables"]
            assert stream["format"] == "double64"
            assert stream["lost"] == 0
            np.testing.assert_array_equal(kept.ticks, written_ticks(board, group["variables"][0]))
            for column, member in enumerate(group["variables"]):
                # With others in one stream, a byte is not bent into an int8.
                expected = kept.ticks % 256 if member == "ramp_c" else ramp_of(member, kept.ticks)
                np.testing.assert_array_equal(kept.rows[:, column], expected)


def test_a_group_whose_members_are_not_all_asked_for_streams_singly(
    board: SimulatedBoard,
) -> None:
    groups = {"both": {"variables": ["ramp_d", "ramp_c"]}}
    with session_on(board, streams=groups) as one:
        assert one.start("ramp_d", "ramp_i") == "streaming bela_ramp_d, bela_ramp_i"


def test_a_known_delay_of_the_converters_is_subtracted(
    board: SimulatedBoard, wait_until: WaitUntil
) -> None:
    with session_on(board, board={"input_delay_s": 0.25}) as one:
        one.start("ramp_d")
        wait_until(lambda: board.account("ramp_d").sent, "blocks")
        one.stop()
        kept = one.sink["bela_ramp_d"]
        early_s = board.true_time_s(kept.ticks) - kept.stamps_s
        uncertainty_s = max(s for s in one.sink.uncertainties_s if np.isfinite(s))
        assert np.all(np.abs(early_s - 0.25) <= uncertainty_s + 1e-4)


# ---- its life ----------------------------------------------------------------------------------


def refused(one: Callable[[], object], words: str) -> None:
    with pytest.raises(BelaError, match=words):
        one()


def new_session(port: int) -> Session:
    return Session(settings_for(port), sink=Recorder().make, now=local_clock)


def test_before_open_and_after_close_commands_are_refused(board: SimulatedBoard) -> None:
    session = new_session(board.port)
    refused(lambda: answer(session.stop()), "the session is not open")
    refused(session.status, "not open yet")
    session.close()  # nothing to do
    session.note_error("heard by nobody")
    session.open()
    refused(session.open, "open already")
    session.close()
    session.close()
    refused(lambda: answer(session.start(StartRequest())), "the session has ended")
    refused(session.open, "make a new one")
    session.note_error("too late")
    assert session.status()["last_error"] is None
    assert session.status()["state"] == "idle"


def test_closing_leaves_nothing_on_the_board(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    with session_at(board.port) as one:
        one.start("ramp_d", "ramp_i")
        one.monitor(variables="ramp_c", periods=100)
        one.set(ramp_f=0.5)
        wait_until(lambda: len(board.watched_names()) == 2, "watched")
        assert left_on(board) == (["ramp_d", "ramp_i"], {"ramp_c": 100}, {"ramp_f": 0.5})
        before = set(threading.enumerate())
        watch = Stopwatch()
        one.session.close()
        took_s = watch.passed_s
        # The board itself says so at once, and nothing of the session lives on.
        assert left_on(board) == ([], {}, {})
        assert [t for t in before if t.name == "bela-session" and t.is_alive()] == []
        assert took_s < 3.0  # within 1 s, but for a machine that stalls
    wait_until(lambda: board.n_clients == 0, "closed connections")
    assert one.sink.events[-1] == "stopped"
    for name in ("ramp_d", "ramp_i"):
        np.testing.assert_array_equal(one.sink[f"bela_{name}"].ticks, written_ticks(board, name))


def test_it_can_be_closed_from_its_own_thread(board: SimulatedBoard, wait_until: WaitUntil) -> None:
    with session_on(board) as one:
        one.session.subscribe(lambda name, _text: one.session.close() if name == "set" else None)
        one.set(ramp_f=1.0)
        wait_until(lambda: one.sink.closed, "the end of the session")


def test_events_are_told_to_whoever_subscribed(
    board: SimulatedBoard, wait_until: WaitUntil
) -> None:
    told: list[tuple[str, str]] = []
    with session_on(board) as one:
        one.session.subscribe(lambda name, text: told.append((name, text)))
        one.start("ramp_d")
        wait_until(lambda: board.account("ramp_d").sent, "a block")
        one.stop()
        one.session.note_error("a message of several words")
        one.list()
        assert told == [
            ("started", "started"),
            ("stopped", "stopped"),
            ("error", "error a message of several words"),
        ]
        assert one.session.status()["last_error"] == "a message of several words"
        assert one.sink.events == [text for _, text in told]


class FailingRecorder(Recorder):
    """A sink with a defect: it cannot take what is pushed to one stream."""

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        if plan.name == "bela_ramp_d":
            raise ZeroDivisionError("no room")
        super().push(plan, ticks, values, stamps_s)


def test_a_failing_stream_is_told_and_counted_and_the_others_go_on(
    board: SimulatedBoard, wait_until: WaitUntil
) -> None:
    with running(settings_for(board.port), FailingRecorder()) as one:
        one.start("ramp_d", "ramp_i")
        wait_until(lambda: one.session.status()["last_error"], "an error")
        one.stop()
        assert one.session.status()["last_error"] == "bela_ramp_d: no room"
        assert one.sink.events == ["started", "error bela_ramp_d: no room", "stopped"]
        assert one.streams["bela_ramp_d"]["lost"] == board.account("ramp_d").sent > 0
        assert one.streams["bela_ramp_i"]["lost"] == 0
        np.testing.assert_array_equal(one.sink["bela_ramp_i"].ticks, written_ticks(board, "ramp_i"))
        assert left_on(board) == ([], {}, {})


def test_a_sink_that_cannot_be_made_ends_the_session(board: SimulatedBoard) -> None:
    def make() -> Recorder:
        raise BelaError("no LSL here")

    session = Session(settings_for(board.port), sink=make, now=local_clock)
    refused(session.open, "the session could not begin: no LSL here")
    assert isinstance(session.failure, BelaError)
    refused(lambda: answer(session.stop()), "the session has ended.*no LSL here")
    session.close()


@pytest.mark.parametrize("command", ["start", "stop", "list_variables"])
def test_commands_return_at_once(command: str) -> None:
    """Nothing listens at the discard port, and nobody waits for that."""
    with session_at(9) as one:
        commands: dict[str, Callable[[], object]] = {
            "start": partial(one.session.start, StartRequest()),
            "stop": one.session.stop,
            "list_variables": one.session.list_variables,
        }
        watch = Stopwatch()
        commands[command]()
        assert watch.passed_s < 0.5
