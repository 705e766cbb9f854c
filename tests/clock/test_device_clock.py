"""The clock against synthetic boards: how good it is, and that it says truly how good it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.clock.device_clock import DeviceClock
from bela_module.clock.misfits import ProbeVerdict
from tests.support.synthetic_clock import Event, SyntheticLink, record

JITTERS = {
    # name: (link, median, 99th percentile in microseconds after 5 s)
    "none": ({}, 30, 60),
    "0.3 ms": ({"jitter_s": 0.0003}, 35, 120),
    "1 ms and spikes": ({"jitter_s": 0.001, "spike_share": 0.05}, 50, 250),
}


@pytest.mark.parametrize("drift_ppm", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("jitter", JITTERS)
def test_stamps_are_near_the_truth_and_inside_what_is_stated(jitter: str, drift_ppm: float) -> None:
    settings, median_us, p99_us = JITTERS[jitter]
    runs = [
        record(SyntheticLink(drift_ppm=drift_ppm, seed=seed, **settings), 20.0) for seed in (11, 12)
    ]
    late_us = np.concatenate([run.late() for run in runs]) * 1e6
    assert np.median(late_us) <= median_us
    assert np.percentile(late_us, 99) <= p99_us
    assert all(run.share_inside == 1.0 for run in runs)
    for run in runs:
        assert run.clock.snapped_rate_hz == 44100.0
        assert run.clock.drift_ppm == pytest.approx(drift_ppm, abs=20.0)


@pytest.mark.parametrize(
    ("rate_hz", "declared_hz", "burst", "p99_us"),
    [
        (22050.0, 44100.0, 8, 250),
        (2756.25, 44100.0, 1, 350),  # few blocks: see the decision on what arrivals may say
        (96000.0, 96000.0, 32, 250),
        (96000.0, 44100.0, 32, 400),
        (43000.0, 44100.0, 16, 400),
        (200000.0, 44100.0, 128, 400),
        (44100.0, 44100.0, 1024, 1500),
    ],
)
def test_any_rate_is_found(rate_hz: float, declared_hz: float, burst: int, p99_us: float) -> None:
    link = SyntheticLink(rate_hz=rate_hz, burst=burst, drift_ppm=-40.0, jitter_s=0.001, seed=3)
    run = record(link, 20.0, declared_hz)
    assert run.clock.snapped_rate_hz == pytest.approx(rate_hz, rel=0.0005)
    assert run.settled_s <= 6.0
    assert np.percentile(run.late(), 99) * 1e6 <= p99_us
    assert run.share_inside >= 0.999


@pytest.mark.parametrize("rate_hz", [1.0, 10.0])
def test_slow_ticks_are_known_less_well_and_it_says_so(rate_hz: float) -> None:
    link = SyntheticLink(rate_hz=rate_hz, burst=1, block_ticks=1, jitter_s=0.001, seed=3)
    run = record(link, 60.0)
    assert not run.clock.uneven
    assert run.clock.snapped_rate_hz == pytest.approx(rate_hz, rel=0.002)
    assert run.share_inside == 1.0
    assert run.late().max() < 0.05


def test_the_rate_is_settled_within_a_second_of_the_first_probe() -> None:
    for seed in range(5):
        link = SyntheticLink(rate_hz=22050.0, burst=8, drift_ppm=50.0, jitter_s=0.0003, seed=seed)
        run = record(link, 2.0)
        assert run.settled_s <= 1.0
        assert run.clock.snapped_rate_hz == 22050.0


def test_asymmetric_delay_stays_inside_the_stated_uncertainty() -> None:
    run = record(SyntheticLink(base_back_s=0.003, jitter_s=0.001, seed=2), 20.0)
    assert run.share_inside == 1.0
    # half of the asymmetry can not be seen; it is in the uncertainty
    assert 0.001 < np.median(run.late()) < 0.0018
    assert run.clock.uncertainty_s > np.median(run.late())


def test_a_minute_without_probes_is_survived() -> None:
    link = SyntheticLink(drift_ppm=60.0, jitter_s=0.001, silence=(20.0, 80.0), seed=5)
    run = record(link, 90.0)
    in_silence = (run.since_s > 21.0) & (run.since_s < 80.0)
    assert np.abs(run.error_s[in_silence]).max() < 0.0005
    assert run.share_inside >= 0.999
    assert run.clock.generation == 1


def test_a_crystal_that_warms_up_is_followed() -> None:
    link = SyntheticLink(thermal_ppm=2.5, thermal_period_s=150.0, jitter_s=0.001, seed=4)
    run = record(link, 75.0)  # half a period, from the least to the most
    assert np.percentile(run.late(), 99) < 0.00025
    assert run.share_inside >= 0.999


@pytest.mark.parametrize("first_tick", [2**53 + 1, 2**62 + 16])
def test_ticks_of_any_size_keep_their_precision(first_tick: int) -> None:
    small, large = (
        record(SyntheticLink(first_tick=first, jitter_s=0.0003, seed=6), 15.0)
        for first in (0, first_tick)
    )
    np.testing.assert_allclose(large.error_s, small.error_s, rtol=0, atol=5e-6)
    assert large.share_inside == 1.0


class RoundedLink(SyntheticLink):
    """A board whose replies have 15 significant digits, as the Watcher's have."""

    def probe(self, sent_s: float) -> Event:
        event = super().probe(sent_s)
        return event._replace(tick=int(float(f"{event.tick:.15g}")))


@pytest.mark.parametrize(("first_tick", "worst_s"), [(10**15, 0.0002), (10**16, 0.002)])
def test_rounded_ticks_widen_the_uncertainty(first_tick: int, worst_s: float) -> None:
    granularity = 10 ** (len(str(first_tick)) - 15)
    link = RoundedLink(first_tick=first_tick, jitter_s=0.0003, seed=7)
    run = record(link, 15.0, granularity=granularity)
    assert run.late().max() < worst_s
    assert run.share_inside == 1.0
    assert run.verdicts.keys() == {ProbeVerdict.ACCEPTED}


class IrregularLink(SyntheticLink):
    """A sketch that ticks when something happens, about once a second."""

    def __post_init__(self) -> None:
        super().__post_init__()
        gaps_s = np.random.default_rng(5).exponential(1.0, 1000)
        self._at_s = self.start_s + np.cumsum(gaps_s)

    def true_time_s(self, ticks: np.ndarray | int) -> np.ndarray:
        return self._at_s[np.asarray(ticks, dtype=np.int64)]

    def tick_by(self, at_s: float) -> int:
        return max(0, int(np.searchsorted(self._at_s, at_s)) - 1)


def test_uneven_ticks_are_called_uneven_and_the_uncertainty_is_large_and_true() -> None:
    run = record(IrregularLink(rate_hz=1.0, burst=1, block_ticks=1, jitter_s=0.001), 90.0)
    assert run.clock.uneven
    assert not run.clock.rate_settled
    assert run.clock.uncertainty_s > 0.5
    assert run.share_inside == 1.0
    assert run.clock.generation == 1


def probed(link: SyntheticLink, clock: DeviceClock, n_probes: int, start_s: float) -> float:
    """Probe a link some times and return when the last reply came."""
    for _ in range(n_probes):
        event = link.probe(start_s)
        clock.add_probe(event.sent_s, event.at_s, event.tick)
        start_s = event.at_s + clock.next_probe_in_s
    return start_s


def test_ticks_that_go_back_start_a_new_generation() -> None:
    clock = DeviceClock(44100.0)
    before = SyntheticLink(jitter_s=0.0003)
    now_s = probed(before, clock, 40, before.start_s + 100.0)
    assert clock.ready
    after = SyntheticLink(jitter_s=0.0003, rate_hz=22050.0, burst=8, start_s=now_s, seed=9)
    event = after.probe(now_s + 1.0)
    assert clock.add_probe(event.sent_s, event.at_s, event.tick) is ProbeVerdict.RESTARTED
    assert (clock.generation, clock.n_probes, clock.ready) == (2, 1, False)
    now_s = probed(after, clock, 40, event.at_s + 0.02)
    assert clock.ready
    assert clock.snapped_rate_hz == 22050.0
    tick = after.tick_by(now_s)
    assert abs(clock.time_at(tick) - float(after.true_time_s(tick))) < clock.uncertainty_s


class InterruptedLink(SyntheticLink):
    """A board that pauses (step_s > 0) or skips ticks (step_s < 0) after 10 s."""

    step_s = 0.0

    def true_time_s(self, ticks: np.ndarray | int) -> np.ndarray:
        ticks = np.asarray(ticks)
        plain_s = super().true_time_s(ticks)
        return np.where(plain_s > self.start_s + 10.0, plain_s + self.step_s, plain_s)

    def tick_by(self, at_s: float) -> int:
        step_at_s = self.start_s + 10.0
        paused_s = min(max(0.0, at_s - step_at_s), self.step_s) if self.step_s > 0 else 0.0
        skipped_s = self.step_s if self.step_s < 0 and at_s > step_at_s else 0.0
        return super().tick_by(at_s - paused_s - skipped_s)


@pytest.mark.parametrize("step_s", [0.3, 0.02, -0.02, -0.3])
def test_ticks_that_pause_or_skip_are_relearned_without_a_new_generation(step_s: float) -> None:
    link = InterruptedLink(jitter_s=0.0005, drift_ppm=30.0, seed=8)
    link.step_s = step_s
    run = record(link, 25.0)
    assert run.clock.generation == 1
    assert run.clock.discontinuities >= 1
    assert not run.clock.uneven
    soon_after_s = 9.0 + max(step_s, 0.0) + 1.0
    relearned = run.since_s > soon_after_s
    assert np.abs(run.error_s[relearned]).max() < 0.001
    assert np.all(np.abs(run.error_s[relearned]) <= run.uncertainty_s[relearned])


def test_a_step_within_the_bounds_is_slewed() -> None:
    link = InterruptedLink(jitter_s=0.0003, seed=8)
    link.step_s = 0.00015
    run = record(link, 25.0)
    assert run.clock.discontinuities == 0
    assert np.abs(np.diff(run.error_s[run.since_s > 9.1])).max() < 520e-6 * 0.024
    assert run.late(15.0).max() < 0.0002
    assert run.share_inside == 1.0


def steady(seed: int = 1, n_probes: int = 60) -> tuple[SyntheticLink, DeviceClock, float]:
    """Return a link, a clock that knows it well, and the time."""
    link, clock = SyntheticLink(jitter_s=0.0003, seed=seed), DeviceClock(44100.0)
    return link, clock, probed(link, clock, n_probes, link.start_s + 1.0)


def unproven(n_probes: int) -> tuple[SyntheticLink, DeviceClock, float]:
    """Return a link of 50 ms each way, a clock that was told some replies, and the time."""
    link, clock = SyntheticLink(base_there_s=0.05, base_back_s=0.05), DeviceClock(44100.0)
    return link, clock, probed(link, clock, n_probes, link.start_s + 1.0)


def test_before_stamps_have_begun_replies_that_may_be_to_others_prove_their_arrival() -> None:
    link, clock, now_s = unproven(3)
    assert not clock.ready
    clock.doubt_unproven()
    assert (clock.n_probes, clock.generation) == (0, 1)
    now_s = probed(link, clock, 6, now_s)
    assert clock.ready
    tick = link.tick_by(now_s)
    assert abs(clock.time_at(tick) - float(link.true_time_s(tick))) < 0.0005


def test_once_stamps_have_begun_replies_that_may_be_to_others_prove_less() -> None:
    link, clock, now_s = unproven(10)
    assert clock.ready
    sure_s, n_probes = clock.uncertainty_s, clock.n_probes
    clock.doubt_unproven()
    assert (clock.n_probes, clock.ready) == (n_probes, True)
    assert clock.uncertainty_s > 2.0 * sure_s
    stated_s = clock.uncertainty_s
    clock.doubt_unproven()  # what remains is proven
    assert clock.uncertainty_s == stated_s


def test_replies_are_to_be_proven_but_for_some_of_the_first_ones_on_slow_networks() -> None:
    link, clock, now_s = unproven(0)
    asked = []
    for _ in range(8):
        asked.append(clock.should_prove())
        now_s = probed(link, clock, 1, now_s)
    assert asked == [False, False, True, False, False, False, True, True]
    assert clock.ready
    assert steady(n_probes=1)[1].should_prove()
    assert not steady(n_probes=1)[1].should_prove(held_s=0.2)


def test_what_is_confirmed_is_not_doubted_later() -> None:
    link, clock, now_s = unproven(3)
    clock.confirm_unproven()
    clock.doubt_unproven()
    assert clock.n_probes == 3


def test_a_first_block_that_tells_much_is_used_at_once() -> None:
    """Replies that waited on the board left most of the times possible."""
    link, clock, now_s = SyntheticLink(base_back_s=0.03), DeviceClock(44100.0), 1001.0
    now_s = probed(link, clock, 30, now_s)
    tick = link.tick_by(now_s)
    at_s = float(link.true_time_s(tick))
    before_s = clock.time_at(tick) - at_s
    assert before_s > 0.01
    assert clock.add_arrival(tick, at_s + 0.0001)
    assert clock.time_at(tick) - at_s < 0.001
    tick = link.tick_by(now_s + 0.01)
    assert not clock.add_arrival(tick, float(link.true_time_s(tick)) + 0.0001)


def test_a_reply_that_came_too_fast_is_refused() -> None:
    link, clock, now_s = steady()
    before = clock.time_at(10**6)
    tick = link.tick_by(now_s)
    assert clock.add_probe(now_s, now_s + 1e-6, tick) is ProbeVerdict.TOO_FAST
    assert clock.add_probe(now_s, now_s - 1.0, tick) is ProbeVerdict.TOO_FAST
    assert clock.add_probe(now_s, math.nan, tick) is ProbeVerdict.TOO_FAST
    assert (clock.time_at(10**6), clock.n_refused, clock.generation) == (before, 3, 1)


def test_a_way_that_became_faster_is_believed() -> None:
    link, clock, now_s = steady()
    link.base_there_s, link.base_back_s, link.jitter_s = 2e-6, 2e-6, 0.0
    verdicts = []
    for _ in range(5):
        event = link.probe(now_s)
        verdicts.append(clock.add_probe(event.sent_s, event.at_s, event.tick))
        now_s = event.at_s + 0.1
    assert verdicts[:3] == [ProbeVerdict.TOO_FAST, ProbeVerdict.TOO_FAST, ProbeVerdict.ACCEPTED]


def test_a_tick_that_does_not_fit_is_refused_and_doubted() -> None:
    link, clock, now_s = steady()
    sure_s, estimate_s = clock.uncertainty_s, clock.time_at(10**6)
    verdict = clock.add_probe(now_s, now_s + 0.001, link.tick_by(now_s) + 44100)
    assert verdict is ProbeVerdict.MISFIT
    assert clock.time_at(10**6) == estimate_s
    assert clock.uncertainty_s > sure_s + 0.9
    probed(link, clock, 10, now_s + 0.1)
    assert clock.uncertainty_s < 2 * sure_s


def test_a_block_from_the_future_is_no_news() -> None:
    link, clock, now_s = steady()
    clock.add_arrival(link.tick_by(now_s) + 441000, now_s)
    now_s = probed(link, clock, 3, now_s + 0.1)
    tick = link.tick_by(now_s)
    assert abs(clock.time_at(tick) - float(link.true_time_s(tick))) < 0.0002


def test_before_any_probe_nothing_is_claimed() -> None:
    clock = DeviceClock(44100.0)
    assert not clock.ready
    assert not clock.rate_settled
    assert math.isnan(clock.time_at(5))
    assert np.isnan(clock.time_at(np.arange(3))).all()
    assert math.isnan(clock.tick_at(5.0))
    assert math.isnan(clock.tick_rate_hz)
    assert math.isnan(clock.snapped_rate_hz)
    assert math.isnan(clock.rtt_s)
    assert clock.uncertainty_s == clock.rate_uncertainty_ppm == math.inf
    assert clock.latest_possible_tick(5.0) == math.inf
    clock.add_arrival(5, 5.0)
    clock.doubt_unproven()
    assert clock.n_probes == 0


def test_time_and_tick_are_each_others_inverse() -> None:
    link, clock, now_s = steady()
    assert clock.tick_at(clock.time_at(123456)) == pytest.approx(123456, abs=1e-3)
    ticks = np.array([0, 10, 10**6], dtype=np.uint64)
    np.testing.assert_allclose(clock.time_at(ticks), [clock.time_at(int(t)) for t in ticks])
    assert clock.rtt_s == pytest.approx(0.0008, rel=0.5)


def test_no_tick_can_have_happened_beyond_the_latest_possible_one() -> None:
    link, clock, now_s = steady()
    for ahead_s in (0.0, 0.5, 10.0):
        latest = clock.latest_possible_tick(now_s + ahead_s)
        true_tick = link.tick_by(now_s + ahead_s)
        assert true_tick <= latest <= true_tick + (0.002 + 0.0005 * ahead_s) * 44100


def test_probes_are_quick_first_and_never_evenly_spaced() -> None:
    link, clock = SyntheticLink(), DeviceClock(44100.0)
    now_s, spacings_s = 1001.0, []
    for _ in range(40):
        now_s = probed(link, clock, 1, now_s)
        spacings_s.append(clock.next_probe_in_s)
    assert max(spacings_s[:19]) < 0.03
    assert min(spacings_s[21:]) > 0.15
    assert len({round(spacing_s, 6) for spacing_s in spacings_s}) > 30


@given(
    rate_hz=st.sampled_from([1000.0, 2756.25, 22050.0, 44100.0, 96000.0]),
    burst=st.sampled_from([1, 8, 16, 64]),
    drift_ppm=st.floats(-150.0, 150.0),
    jitter_s=st.floats(0.0, 0.003),
    asymmetry_s=st.floats(-0.002, 0.002),
    seed=st.integers(0, 10**6),
)
def test_whatever_the_delays_the_truth_is_inside_the_bounds(
    rate_hz: float, burst: int, drift_ppm: float, jitter_s: float, asymmetry_s: float, seed: int
) -> None:
    link = SyntheticLink(
        rate_hz=rate_hz,
        burst=burst,
        drift_ppm=drift_ppm,
        jitter_s=jitter_s,
        base_there_s=0.0001 + max(0.0, asymmetry_s),
        base_back_s=0.0001 + max(0.0, -asymmetry_s),
        seed=seed,
    )
    clock = DeviceClock(44100.0)
    now_s = link.start_s + 1.0
    for _ in range(30):
        now_s = probed(link, clock, 1, now_s)
        if clock.ready:
            tick = link.tick_by(now_s)
            assert abs(clock.time_at(tick) - float(link.true_time_s(tick))) <= clock.uncertainty_s


@given(
    probes=st.lists(
        st.tuples(
            st.floats(-1e6, 1e6),
            st.floats(-1.0, 1.0),
            st.integers(0, 2**63 - 1) | st.integers(0, 10**6),
            st.sampled_from([1, 10, 100000]),
        ),
        max_size=25,
    )
)
def test_no_reply_whatever_it_says_can_break_the_clock(
    probes: list[tuple[float, float, int, int]],
) -> None:
    clock = DeviceClock(44100.0)
    for sent_s, took_s, tick, granularity in probes:
        clock.add_probe(sent_s, sent_s + took_s, tick, granularity)
        clock.add_arrival(tick, sent_s)
    assert clock.uncertainty_s >= 0.0
    assert clock.n_probes <= len(probes)
    assert not clock.ready or math.isfinite(clock.time_at(probes[-1][2]))
