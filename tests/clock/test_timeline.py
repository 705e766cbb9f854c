"""Stamps last: same tick, same stamp; never backwards; never faster than the slew allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.clock.timeline import Timeline
from bela_module.errors import StreamError
from tests.support.synthetic_clock import SyntheticLink, record


@dataclass
class FakeClock:
    """A clock that says what a test wants."""

    offset_s: float = 100.0
    tick_rate_hz: float = 1000.0
    generation: int = 1
    discontinuities: int = 0
    rate_uncertainty_ppm: float = 0.0
    uncertainty_s: float = 0.1

    def time_at(self, ticks: int) -> float:
        return self.offset_s + ticks / self.tick_rate_hz


def stamp(timeline: Timeline, tick: int) -> float:
    return float(timeline.stamps_s(np.array([tick]))[0])


def test_the_first_estimate_is_taken_as_it_is() -> None:
    timeline = Timeline()
    assert not timeline.started
    timeline.steer(FakeClock(), 50)
    assert timeline.started
    np.testing.assert_allclose(timeline.stamps_s(np.array([0, 50, 1000])), [100.0, 100.05, 101.0])
    assert timeline.stamps_s(np.array([], dtype=np.int64)).shape == (0,)


def test_an_estimate_that_nobody_has_used_may_change_freely() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    timeline.steer(FakeClock(offset_s=200.0), 0)
    assert stamp(timeline, 0) == 200.0


def test_a_correction_is_slewed_and_ends_at_the_estimate() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    before = stamp(timeline, 1000)
    timeline.steer(FakeClock(offset_s=100.002), 1000)
    assert timeline.correction_s == pytest.approx(0.002)
    assert stamp(timeline, 1000) == before
    assert stamp(timeline, 3000) - before == pytest.approx(2.0 * 1.0005)
    assert stamp(timeline, 5001) == pytest.approx(100.002 + 5.001, abs=1e-5)
    assert stamp(timeline, 9000) == pytest.approx(100.002 + 9.0, abs=1e-5)


def test_what_the_rate_may_be_off_counts_as_slew() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    before = stamp(timeline, 1000)
    timeline.steer(FakeClock(offset_s=100.001, rate_uncertainty_ppm=300.0), 1000)
    assert stamp(timeline, 2000) - before == pytest.approx(1.0002)
    timeline.steer(FakeClock(offset_s=100.001, rate_uncertainty_ppm=math.inf), 2000)
    assert stamp(timeline, 3000) - stamp(timeline, 2000) == pytest.approx(1.0001)


def test_a_large_correction_takes_some_ten_seconds_not_minutes() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    stamp(timeline, 1000)
    clock = FakeClock(offset_s=100.08)
    for second in range(1, 40):
        timeline.steer(clock, 1000 * second)
        behind_s = clock.time_at(1000 * second) - stamp(timeline, 1000 * second)
        assert 0.0 <= behind_s <= max(0.08 * 0.9 ** (second - 1), 0.005) + 1e-9
    assert behind_s == pytest.approx(0.0, abs=1e-6)


def test_stamps_that_the_bounds_exclude_are_right_after_a_second() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    stamp(timeline, 1000)
    for tick in (1000, 1300, 1600):
        timeline.steer(FakeClock(offset_s=99.96, uncertainty_s=0.005), tick)
        stamp(timeline, tick)
    assert stamp(timeline, 4000) == pytest.approx(99.96 + 4.0, abs=0.005)
    ticks = np.arange(1000, 4000)
    assert np.all(np.diff(timeline.stamps_s(ticks)) > 0.0)


def test_ticks_long_past_keep_the_stamps_that_others_got() -> None:
    timeline, stamps = Timeline(), {}
    for second in range(300):
        timeline.steer(FakeClock(offset_s=100.0 + 0.0003 * math.sin(second)), 1000 * second)
        ticks = np.arange(1000 * second, 1000 * (second + 1), 100)
        stamps.update(zip(ticks.tolist(), timeline.stamps_s(ticks).tolist(), strict=True))
    ticks = np.array(list(stamps), dtype=np.uint64)
    np.testing.assert_array_equal(timeline.stamps_s(ticks), list(stamps.values()))


def test_the_history_is_bounded() -> None:
    timeline = Timeline(max_pieces=16)
    for second in range(100):
        timeline.steer(FakeClock(offset_s=100.0 + 0.0001 * (second % 2)), 1000 * second)
        stamp(timeline, 1000 * second)
    recent = [stamp(timeline, 1000 * second) for second in range(95, 100)]
    np.testing.assert_allclose(recent, 100.0 + np.arange(95, 100), atol=0.0002)
    assert stamp(timeline, 0) == pytest.approx(100.0, abs=0.05)


def test_a_new_generation_begins_anew() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    stamp(timeline, 5000)
    timeline.steer(FakeClock(offset_s=500.0, tick_rate_hz=2000.0, generation=2), 10)
    assert stamp(timeline, 10) == 500.005


def test_a_pause_of_the_ticks_is_a_jump_between_two_ticks() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    before = stamp(timeline, 1000)
    for _ in range(2):  # also when nothing was stamped in between
        timeline.steer(FakeClock(offset_s=103.0, discontinuities=1), 1010)
    assert stamp(timeline, 1000) == before
    assert stamp(timeline, 1001) == pytest.approx(104.001)
    assert stamp(timeline, 2000) == pytest.approx(105.0)


def test_how_far_a_jump_may_be_misplaced_is_told_until_blocks_around_it_have_come() -> None:
    """The ticks paused after tick 1005, and that is discovered at 1010: 1001 to 1005 are late."""
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    assert stamp(timeline, 1000) == pytest.approx(101.0)
    assert timeline.unplaced_s == 0.0
    timeline.steer(FakeClock(offset_s=100.0015, discontinuities=1), 1010)
    assert timeline.unplaced_s == pytest.approx(0.0015)
    assert stamp(timeline, 1005) - 101.005 == pytest.approx(timeline.unplaced_s)
    later = FakeClock(offset_s=100.0015, discontinuities=1)
    for tick in (1100, 1200, 1260):  # 0.25 s are 250 ticks here
        timeline.steer(later, tick)
        assert timeline.unplaced_s == pytest.approx(0.0015)
    timeline.steer(later, 1261)
    assert timeline.unplaced_s == 0.0


def test_after_skipped_ticks_stamps_wait_but_never_run_backwards() -> None:
    timeline = Timeline()
    timeline.steer(FakeClock(), 0)
    before = stamp(timeline, 5000)
    timeline.steer(FakeClock(offset_s=99.0, discontinuities=1), 5000)
    stamps = timeline.stamps_s(np.arange(5000, 8000))
    assert stamps[0] == before
    assert np.all(np.diff(stamps) >= 0.0)
    assert stamp(timeline, 7000) == pytest.approx(106.0)


def test_without_a_clock_there_are_no_stamps() -> None:
    with pytest.raises(StreamError, match="steer first"):
        Timeline().stamps_s(np.array([1]))


@pytest.mark.parametrize("origin", [2**53 + 1, 2**63 - 10**6])
def test_huge_ticks_are_exact(origin: int) -> None:
    @dataclass
    class HugeClock(FakeClock):
        def time_at(self, ticks: int) -> float:
            return super().time_at(ticks - origin)

    timeline = Timeline()
    timeline.steer(HugeClock(), origin)
    ticks = np.uint64(origin) + np.arange(5, dtype=np.uint64)
    np.testing.assert_allclose(timeline.stamps_s(ticks), 100.0 + np.arange(5) / 1000.0, rtol=1e-15)


def test_true_stamps_never_leave_the_slew_limit() -> None:
    for seed in range(3):
        link = SyntheticLink(jitter_s=0.001, spike_share=0.05, drift_ppm=100.0, seed=seed)
        run = record(link, 15.0)
        ticks = link.tick_by(link.start_s + 1.5) + np.arange(0, 44100 * 14, 441)
        errors_s = run.timeline.stamps_s(ticks) - link.true_time_s(ticks)
        assert np.abs(np.diff(errors_s)).max() <= 510e-6 * 0.01


@given(
    steps=st.lists(
        st.tuples(st.floats(-0.002, 0.002), st.floats(-100.0, 100.0), st.integers(0, 5000)),
        min_size=1,
        max_size=30,
    )
)
def test_stamps_are_monotone_lasting_and_within_the_slew(
    steps: list[tuple[float, float, int]],
) -> None:
    timeline, newest, given_s, most = Timeline(), 0, {}, 500e-6
    for offset_s, drift_ppm, advance in steps:
        rate_hz = 1000.0 * (1.0 + drift_ppm * 1e-6)
        timeline.steer(FakeClock(offset_s=100.0 + offset_s, tick_rate_hz=rate_hz), newest)
        most = max(most, timeline.correction_s / 10.0)
        ticks = np.unique(np.linspace(newest, newest + advance, 7).astype(np.int64))
        given_s.update(zip(ticks.tolist(), timeline.stamps_s(ticks).tolist(), strict=True))
        newest += advance
    ticks = np.array(sorted(given_s))
    stamps = timeline.stamps_s(ticks)
    np.testing.assert_array_equal(stamps, [given_s[tick] for tick in ticks.tolist()])
    slopes = np.diff(stamps) / np.diff(ticks) * 1000.0
    assert np.all(np.abs(slopes - 1.0) <= most + 101e-6)


def test_shared_ticks_are_stamped_once_and_again_after_each_correction() -> None:
    timeline, clock = Timeline(), FakeClock()
    timeline.steer(clock, 50)
    ticks = np.arange(60, 70)
    own = timeline.stamps_s(ticks)
    assert timeline.stamps_s(ticks) is not own  # somebody may have changed the ticks
    ticks.flags.writeable = False
    shared = timeline.stamps_s(ticks)
    assert timeline.stamps_s(ticks) is shared
    np.testing.assert_array_equal(shared, own)
    with pytest.raises(ValueError, match="read-only"):
        shared[0] = 0.0
    clock.offset_s += 0.01
    timeline.steer(clock, 70)
    later = np.arange(80, 90)
    later.flags.writeable = False
    before = timeline.stamps_s(later).copy()
    clock.offset_s += 0.01
    timeline.steer(clock, 90)
    again = timeline.stamps_s(later)
    np.testing.assert_array_equal(again, before)  # settled, but found again and not remembered
    np.testing.assert_array_equal(timeline.stamps_s(ticks), own)


def test_ticks_around_a_bend_get_the_stamps_of_single_ticks() -> None:
    timeline, clock = Timeline(), FakeClock()
    timeline.steer(clock, 50)
    timeline.stamps_s(np.array([100]))
    clock.offset_s += 0.0001
    timeline.steer(clock, 100)  # it bends at 100, and again where it meets the estimate
    ticks = np.arange(40, 1400)
    np.testing.assert_array_equal(timeline.stamps_s(ticks), [stamp(timeline, t) for t in ticks])


@given(seed=st.integers(0, 10**6), origin=st.sampled_from([0, 10**6, 2**53 + 7]))
def test_a_tick_has_the_same_stamp_alone_and_among_others(seed: int, origin: int) -> None:
    rng = np.random.default_rng(seed)
    timeline, clock = Timeline(), FakeClock(offset_s=100.0 - origin / 1000.0)
    for probe in range(5):  # corrections leave pieces behind, the last of which begins later
        clock.offset_s += rng.normal(scale=1e-4)
        timeline.steer(clock, origin + 300 * probe)
        timeline.stamps_s(np.array([origin + 300 * probe]))
    ticks = origin + np.sort(rng.integers(-500, 4000, 40))
    together_s = timeline.stamps_s(ticks)
    assert [stamp(timeline, int(tick)) for tick in ticks] == together_s.tolist()
    for n in range(1, 40, 7):
        assert timeline.stamps_s(ticks[-n:]).tolist() == together_s[-n:].tolist()
