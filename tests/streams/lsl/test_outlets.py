"""What is published, read back over LSL on this machine as a consumer would."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pylsl
import pytest
from dareplane_utils.stream_watcher.lsl_stream_watcher import StreamWatcher

from bela_module.errors import StreamError
from bela_module.protocol.variables import Array, ValueType
from bela_module.streams.lsl import outlet_channel
from bela_module.streams.lsl import outlets as outlets_module
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Stamps
from tests.support.outlet_helpers import (
    FACTS,
    IRREGULAR,
    ORIGIN,
    RESOLVE_S,
    WaitUntil,
    listening,
    metadata,
    opened,
    plan_of,
    pull,
    push,
    resolve,
    texts,
    wait_for_outlet,
)

# ---- samples -----------------------------------------------------------------------------------

VALUES = {
    ValueType.CHAR: (np.int8, [-128, -1, 0, 127], pylsl.cf_int8),
    ValueType.UNSIGNED_INT: (np.float64, [0.0, 1.0, 2.0**31, 2.0**32 - 1], pylsl.cf_double64),
    ValueType.INT: (np.int32, [-(2**31), -1, 0, 2**31 - 1], pylsl.cf_int32),
    ValueType.FLOAT: (np.float32, [-0.5, 0.0, 2.0**-126, 2.0**127], pylsl.cf_float32),
    ValueType.DOUBLE: (np.float64, [-0.1, 0.0, 5e-324, 1.7e308], pylsl.cf_double64),
}


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.label)
def test_values_and_stamps_arrive_as_they_were_pushed(kind: ValueType, unique: str) -> None:
    dtype, expected, lsl_format = VALUES[kind]
    plan = plan_of(unique, kind)
    # A week of uptime, and steps that no nominal rate would give.
    pushed_s = 604_800.123456789 + np.array([0.0, 45.351e-6, 1.0, 1.000045351])
    with opened(plan) as outlets, listening(plan.name) as inlet:
        assert inlet.info(RESOLVE_S).channel_format() == lsl_format
        push(outlets, plan, np.array(expected, dtype)[:, np.newaxis], pushed_s)
        samples, stamps_s = pull(inlet, 4)
    assert [sample[0] for sample in samples] == expected
    np.testing.assert_allclose(stamps_s, pushed_s, rtol=0, atol=1e-9)


def test_rows_of_a_group_keep_their_order_and_their_gaps(unique: str) -> None:
    plan = plan_of(unique, ValueType.FLOAT, ValueType.FLOAT, ValueType.FLOAT)
    rows = np.arange(3 * 1024, dtype=np.float32).reshape(1024, 3)
    rows[7, 1] = np.nan
    pushed_s = local_clock() + np.arange(1024) / 22050
    with opened(plan) as outlets, listening(plan.name) as inlet:
        push(outlets, plan, rows, pushed_s)
        samples, stamps_s = pull(inlet, 1024)
    np.testing.assert_array_equal(np.array(samples, dtype=np.float32), rows)
    np.testing.assert_allclose(stamps_s, pushed_s, rtol=0, atol=1e-9)


def test_arrays_that_are_not_contiguous_arrive_whole(unique: str) -> None:
    plan = plan_of(unique, ValueType.DOUBLE, ValueType.DOUBLE)
    rows = np.arange(40.0).reshape(2, 20).T[::2]
    stamps_s = (local_clock() + np.arange(20.0))[::2]
    assert not rows.flags.c_contiguous
    with opened(plan) as outlets, listening(plan.name) as inlet:
        push(outlets, plan, rows, stamps_s)
        samples, times_s = pull(inlet, 10)
    assert samples == rows.tolist()
    np.testing.assert_allclose(times_s, stamps_s, rtol=0, atol=1e-9)


def test_stamps_may_stand_still_also_from_chunk_to_chunk(unique: str) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    values, stamps_s = np.zeros((2, 1)), np.full(2, 5.0)
    with opened(plan, IRREGULAR) as outlets, listening(plan.name) as inlet:
        push(outlets, plan, values, stamps_s)
        push(outlets, plan, values, stamps_s)
        _, times_s = pull(inlet, 4)
    assert times_s == [5.0] * 4


GOOD = (np.zeros((4, 2), np.float32), np.arange(4.0))


@pytest.mark.parametrize(
    ("values", "stamps_s", "match"),
    [
        (np.zeros((4, 1), np.float32), GOOD[1], "shape"),
        (np.zeros((4, 3), np.float32), GOOD[1], "shape"),
        (np.zeros((2, 4), np.float32), GOOD[1], "shape"),
        (np.zeros(8, np.float32), GOOD[1], "shape"),
        (np.zeros((5, 2), np.float32), GOOD[1], "shape"),
        (np.zeros((0, 2), np.float32), np.zeros(0), "at least one sample"),
        (GOOD[0], GOOD[1][:3], "3 stamps"),
        (GOOD[0], GOOD[1].reshape(2, 2), "shape"),
        (np.zeros((4, 2), np.float64), GOOD[1], "float64"),
        (np.zeros((4, 2), ">f4"), GOOD[1], ">f4"),
        (GOOD[0], GOOD[1].astype(np.float32), "stamps of float32"),
        (GOOD[0], np.array([0.0, 1.0, np.nan, 3.0]), "not finite"),
        (GOOD[0], np.array([0.0, 1.0, 2.0, np.inf]), "not finite"),
        (GOOD[0], np.array([0.0, 2.0, 1.0, 3.0]), "backwards"),
    ],
)
def test_what_lsl_would_take_for_something_else_is_refused(
    values: Array, stamps_s: Stamps, match: str
) -> None:
    plan = plan_of(f"unheard_{uuid.uuid4().hex}_", ValueType.FLOAT, ValueType.FLOAT)
    with opened(plan) as outlets:
        with pytest.raises(StreamError, match=match):
            push(outlets, plan, values, stamps_s)
        push(outlets, plan, *GOOD)  # nothing of it counts


def test_stamps_never_run_backwards_from_chunk_to_chunk(unique: str) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    with opened(plan) as outlets:
        push(outlets, plan, np.zeros((2, 1)), np.array([5.0, 6.0]))
        with pytest.raises(StreamError, match=r"backwards after 6\.0"):
            push(outlets, plan, np.zeros((2, 1)), np.array([5.9, 7.0]))
        push(outlets, plan, np.zeros((1, 1)), np.array([6.0]))


def test_stamps_that_several_streams_share_are_checked_against_each_ones_own() -> None:
    prefix = f"unheard_{uuid.uuid4().hex}_"
    one, other = plan_of(f"{prefix}a", ValueType.DOUBLE), plan_of(f"{prefix}b", ValueType.DOUBLE)
    shared_s, writable_s = np.array([5.0, 6.0]), np.array([7.0, 8.0])
    shared_s.flags.writeable = False
    with opened(one) as outlets:
        outlets.open(other, FACTS)
        push(outlets, other, np.zeros((1, 1)), np.array([5.5]))
        push(outlets, one, np.zeros((2, 1)), shared_s)
        with pytest.raises(StreamError, match=r"backwards after 5\.5"):
            push(outlets, other, np.zeros((2, 1)), shared_s)
        push(outlets, one, np.zeros((2, 1)), writable_s)
        writable_s[:] = 9.0, 8.5
        with pytest.raises(StreamError, match="from one sample to the next"):
            push(outlets, other, np.zeros((2, 1)), writable_s)


def test_a_stream_that_is_not_open_takes_nothing(unique: str) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    outlets = LslOutlets()
    with pytest.raises(StreamError, match="is not open"):
        push(outlets, plan, np.zeros((1, 1)), np.zeros(1))


# ---- how long outlets live ---------------------------------------------------------------------


def test_the_outlet_stays_when_the_stream_is_opened_again(unique: str) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    later = replace(FACTS, origin=replace(ORIGIN, tick_rate_hz=22050.2, uncertainty_s=0.0002))
    with opened(plan) as outlets, listening(plan.name) as inlet:
        uid = resolve(plan.name).uid()
        push(outlets, plan, np.array([[1.0]]), np.array([1.0]))
        outlets.open(plan, later)
        push(outlets, plan, np.array([[2.0]]), np.array([2.0]))
        samples, _ = pull(inlet, 2)
        assert samples == [[1.0], [2.0]]
        assert resolve(plan.name).uid() == uid


def test_another_rate_takes_another_outlet_of_the_same_identity(
    unique: str, wait_until: WaitUntil
) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    with opened(plan) as outlets:
        before = resolve(plan.name)
        outlets.open(plan, replace(FACTS, nominal_rate_hz=44100.0))
        wait_until(lambda: _rates(plan.name) == [44100.0], "only the new outlet is there")
        after = resolve(plan.name)
        assert after.uid() != before.uid()
        assert after.source_id() == before.source_id()


def _rates(name: str) -> list[float]:
    return [info.nominal_srate() for info in pylsl.resolve_byprop("name", name, 1, 0.2)]


def test_an_inlet_goes_on_after_outlets_were_made_anew(unique: str) -> None:
    # As after a restart of this module: recorders must not need one as well.
    plan = plan_of(unique, ValueType.DOUBLE)
    first = LslOutlets()
    first.open(plan, IRREGULAR)
    with listening(plan.name) as inlet:
        push(first, plan, np.array([[1.0]]), np.array([1.0]))
        assert pull(inlet, 1)[0] == [[1.0]]
        first.close()
        with opened(plan, IRREGULAR) as second:
            push(second, plan, np.array([[2.0]]), np.array([2.0]))
            assert pull(inlet, 1)[0] == [[2.0]]


def test_close_ends_everything_and_does_no_harm_twice(unique: str, wait_until: WaitUntil) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    outlets = LslOutlets(f"{unique}events")
    outlets.open(plan, FACTS)
    outlets.identify(ORIGIN)
    resolve(plan.name)
    outlets.close()
    outlets.close()
    outlets.mark("nobody hears this", 1.0)
    wait_until(lambda: _rates(plan.name) == _rates(f"{unique}events") == [], "both are gone")


# ---- first samples, and outlets of no more use -------------------------------------------------


def test_first_samples_wait_for_a_listener_who_comes_within_five_seconds(unique: str) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    ramp = np.arange(2000.0)
    stamps_s = local_clock() + ramp / 1000
    with opened(plan) as outlets:
        for k in range(0, 2000, 500):
            push(outlets, plan, ramp[k : k + 500, np.newaxis], stamps_s[k : k + 500])
        with listening(plan.name) as inlet:
            samples, times_s = pull(inlet, 2000)
    assert [sample[0] for sample in samples] == ramp.tolist()
    np.testing.assert_array_equal(times_s, stamps_s)


def test_an_outlet_of_a_variable_that_is_gone_ends_when_nobody_listens(
    unique: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet_channel, "UNHEARD_OUTLET_S", 0.3)
    plan = plan_of(unique, ValueType.DOUBLE)
    with opened(plan) as outlets:
        with listening(plan.name):
            outlets.keep([])
            time.sleep(0.6)
            assert outlets.is_open(plan)
        wait_until(lambda: _rates(plan.name) == [], "it is gone")
        with pytest.raises(StreamError, match="is not open"):
            push(outlets, plan, np.zeros((1, 1)), np.ones(1))
        outlets.open(plan, FACTS)  # its variable is back
        wait_for_outlet(outlets, plan)
        outlets.keep(plan.variables)
        push(outlets, plan, np.zeros((1, 1)), np.ones(1))


def test_more_than_may_wait_in_all_is_refused(unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(unique, ValueType.DOUBLE)
    monkeypatch.setattr(outlets_module, "_WAITING_BYTES", 100_000)
    with opened(plan) as outlets, pytest.raises(StreamError, match="wait for LSL already"):
        push(outlets, plan, np.zeros((10_000, 1)), np.arange(10_000.0))


def test_a_stream_that_lsl_refuses_says_why(unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> None:
        raise RuntimeError("too many open files")

    monkeypatch.setattr(pylsl, "StreamOutlet", refuse)
    plan = plan_of(unique, ValueType.DOUBLE)
    outlets = LslOutlets(f"{unique}events")
    with closing(outlets):
        outlets.open(plan, FACTS)
        with pytest.raises(StreamError, match="too many open files"):
            wait_for_outlet(outlets, plan)
        with pytest.raises(StreamError, match="too many open files"):
            push(outlets, plan, np.zeros((1, 1)), np.ones(1))
        monkeypatch.undo()
        outlets.open(plan, FACTS)  # it is tried again
        wait_for_outlet(outlets, plan)


# ---- markers -----------------------------------------------------------------------------------


def test_markers_carry_the_time_at_which_it_happened(unique: str) -> None:
    name = f"{unique}events"
    outlets = LslOutlets(name)
    outlets.identify(ORIGIN)
    outlets.identify(ORIGIN)
    try:
        root = metadata(name)
        assert texts(root, "type") == ["Markers"]
        assert texts(root, "channel_format") == ["string"]
        assert texts(root, "source_id") == [f"bela:lab:potentiometers:{name}"]
        assert texts(root, "desc/channels/channel/label") == [name]
        assert texts(root, "desc/acquisition/manufacturer") == ["Bela"]
        with listening(name) as inlet:
            outlets.mark("gap pot1 1024", 12.5)
            outlets.mark("set v\u00e9=1", 11.25)
            samples, stamps_s = pull(inlet, 2)
    finally:
        outlets.close()
    assert samples == [["gap pot1 1024"], ["set v\u00e9=1"]]
    assert stamps_s == [12.5, 11.25]


# ---- Dareplane's consumer ----------------------------------------------------------------------


@contextmanager
def watching(name: str) -> Iterator[StreamWatcher]:
    watcher = StreamWatcher(name, buffer_size_s=1)
    watcher.connect_to_stream()
    try:
        yield watcher
    finally:
        watcher.disconnect()


def watched(
    watcher: StreamWatcher, count: int, wait_until: WaitUntil
) -> tuple[Sequence[Any], Sequence[float]]:
    def enough() -> bool:
        watcher.update()
        return bool(watcher.n_new >= count)

    wait_until(enough, f"{count} samples in the StreamWatcher")
    return watcher.unfold_buffer()[-count:], watcher.unfold_buffer_t()[-count:]


@pytest.mark.parametrize(
    "types", [(ValueType.FLOAT,), (ValueType.FLOAT, ValueType.DOUBLE)], ids=["single", "group"]
)
def test_stream_watcher_reads_our_streams(
    types: tuple[ValueType, ...], unique: str, wait_until: WaitUntil
) -> None:
    plan = plan_of(unique, *types)
    rows = np.arange(100 * len(types), dtype=plan.sample_format.dtype).reshape(100, -1)
    pushed_s = local_clock() + np.arange(100) / 22050
    with opened(plan) as outlets, watching(plan.name) as watcher:
        assert watcher.channel_names == list(plan.labels)
        push(outlets, plan, rows, pushed_s)
        values, stamps_s = watched(watcher, 100, wait_until)
    np.testing.assert_array_equal(values, rows)
    np.testing.assert_allclose(stamps_s, pushed_s, rtol=0, atol=1e-9)


def test_markers_wait_for_a_listener_in_order(unique: str) -> None:
    name = f"{unique}events"
    outlets = LslOutlets(name)
    outlets.identify(ORIGIN)
    with closing(outlets):
        for k in range(5):
            outlets.mark(f"set x={k}", k + 1.0)
        with listening(name) as inlet:
            assert pull(inlet, 5) == ([[f"set x={k}"] for k in range(5)], [1.0, 2.0, 3.0, 4.0, 5.0])


def test_stream_watcher_reads_our_markers(unique: str, wait_until: WaitUntil) -> None:
    name = f"{unique}events"
    outlets = LslOutlets(name)
    outlets.identify(ORIGIN)
    with closing(outlets), watching(name) as watcher:
        assert watcher.channel_names == [name]

        def marked() -> bool:
            outlets.mark("started", local_clock())
            watcher.update()
            return bool(watcher.n_new)

        wait_until(marked, "a marker in the StreamWatcher")
        assert watcher.unfold_buffer()[-1][0] == "started"
