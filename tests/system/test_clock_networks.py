"""The clock in synthetic time: on slow, uneven and lossy networks, and on boards that miss blocks.

Each case is played with one of the boards or seeds, or with all (`tests/support/amount.py`).
Tolerances are those of synthetic time: what is drawn decides, no computer does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bela_module.clock.device_clock import DeviceClock
from tests.support.amount import one_or_all
from tests.support.shared_link import SharedLink
from tests.support.synthetic_clock import Record, SyntheticLink, record

DRIFTS_PPM = (-100.0, 100.0, 0.0)
WIFI = {"jitter_s": 0.001, "hold_s": 0.02, "hold_every_s": 0.1, "spike_share": 0.01, "spike_s": 0.1}


def runs(seconds: float, **settings: float) -> list[Record]:
    """Play boards with crystals of their own."""
    return [
        record(SyntheticLink(seed=seed, drift_ppm=drift_ppm, **settings), seconds)
        for seed, drift_ppm in one_or_all(list(enumerate(DRIFTS_PPM)), f"{settings}")
    ]


def both_ways(delay_s: float) -> dict[str, float]:
    return {"base_there_s": delay_s, "base_back_s": delay_s}


@pytest.mark.parametrize("delay_ms", [0.1, 0.2, 5.0, 12.0, 50.0, 200.0])
def test_a_symmetric_delay_of_any_size_is_no_error(delay_ms: float) -> None:
    for run in runs(20.0, **both_ways(delay_ms / 1e3)):
        assert run.share_inside == 1.0
        assert run.late(10.0).max() <= max(25e-6, 0.001 * delay_ms / 1e3)
        assert np.abs(run.error_s).max() <= 0.0004  # from the first sample on


@pytest.mark.parametrize(
    ("delay_ms", "jitter_ms", "median_ms"),
    [(5.0, 0.3, 0.1), (12.0, 5.0, 0.5), (100.0, 100.0, 12.0), (200.0, 20.0, 6.0)],
)
def test_what_jitter_adds_is_a_part_of_it(
    delay_ms: float, jitter_ms: float, median_ms: float
) -> None:
    found = runs(30.0, jitter_s=jitter_ms / 1e3, **both_ways(delay_ms / 1e3))
    assert np.median(np.concatenate([run.late(10.0) for run in found])) <= median_ms / 1e3
    assert all(run.share_inside == 1.0 for run in found)


@pytest.mark.parametrize(("there_ms", "back_ms"), [(5.1, 0.1), (0.1, 5.1), (10.0, 50.0)])
def test_half_the_difference_of_both_ways_is_the_error(there_ms: float, back_ms: float) -> None:
    expected_s = 0.0005 * (back_ms - there_ms)
    for run in runs(20.0, base_there_s=there_ms / 1e3, base_back_s=back_ms / 1e3):
        assert run.share_inside == 1.0
        late = run.error_s[run.since_s > 10.0]
        np.testing.assert_allclose(late, expected_s, rtol=0, atol=max(0.03 * abs(expected_s), 5e-5))


@pytest.mark.parametrize(
    ("delay_ms", "ready_s", "stated_ms"),
    [
        (0.1, 0.15, 1.0),
        (5.0, 0.5, 10.0),
        (12.0, 0.7, 16.0),
        (25.0, 0.75, 45.0),
        (250.0, 2.2, 460.0),
    ],
)
def test_ready_as_soon_as_little_more_can_be_known(
    delay_ms: float, ready_s: float, stated_ms: float
) -> None:
    for run in runs(5.0, **both_ways(delay_ms / 1e3)):
        assert run.ready_s <= ready_s
        assert run.ready_uncertainty_s <= stated_ms / 1e3
        assert run.clock.uncertainty_s <= 1.3 * delay_ms / 1e3 + 0.0005
        assert run.share_inside == 1.0


@pytest.mark.parametrize(
    ("settings", "median_us", "ready_s"),
    [
        ({"hold_s": 0.03, "jitter_s": 0.0003, **both_ways(0.0003)}, 60, 0.5),
        ({**WIFI, **both_ways(0.001)}, 120, 1.0),
        ({**WIFI, **both_ways(0.001), "loss_share": 0.1}, 150, 5.0),
        ({"heavy_s": 0.0125, **both_ways(0.0005)}, 600, 1.0),
    ],
    ids=["bursts of 30 ms", "Wi-Fi", "Wi-Fi with loss", "loaded"],
)
def test_uneven_networks(settings: dict[str, float], median_us: float, ready_s: float) -> None:
    found = runs(30.0, **settings)
    assert np.median(np.concatenate([run.late(5.0) for run in found])) <= median_us / 1e6
    for run in found:
        assert run.share_inside == 1.0
        assert run.ready_s <= ready_s
        assert run.clock.discontinuities == 0


@pytest.mark.parametrize("jitter_ms", [0.0, 0.3])
def test_bursts_that_are_rendered_late_are_no_underruns(jitter_ms: float) -> None:
    for run in runs(30.0, late_s=0.03, jitter_s=jitter_ms / 1e3):
        assert run.share_inside == 1.0
        assert np.median(run.late(5.0)) <= 50e-6
        assert run.ready_s <= 0.5
        assert run.clock.discontinuities == 0
        assert not run.clock.uneven


@pytest.mark.parametrize("jitter_ms", [0.0, 0.3])
@pytest.mark.parametrize("underrun_ms", [0.36, 1.5, 3.6, 36.0])
def test_underruns_are_inside_announced_and_right_again(
    underrun_ms: float, jitter_ms: float
) -> None:
    """The largest error that may remain after 2 s is what the network hides, 0.3 ms."""
    every_s, underrun_s = 5.0, underrun_ms / 1e3
    found = runs(31.0, underrun_s=underrun_s, underrun_every_s=every_s, jitter_s=jitter_ms / 1e3)
    for run in found:
        assert run.share_inside == 1.0
        assert run.clock.generation == 1
        assert not run.clock.uneven
        since_underrun_s = run.since_s % every_s
        assert np.abs(run.error_s[since_underrun_s > 2.0]).max() <= 0.0003
        if underrun_ms > 1.0:
            assert run.clock.discontinuities == 6
            assert run.clock.last_jump_s == pytest.approx(underrun_s, abs=0.0005)
        elif jitter_ms == 0.0:
            assert run.clock.discontinuities >= 4  # as long as a faster clock explains them, too


def test_a_single_underrun_of_a_block_is_seen_once_the_rate_is_known() -> None:
    link = SyntheticLink(underrun_s=0.00036, underrun_every_s=100.0, underrun_from_s=-80.0, seed=3)
    run = record(link, 40.0)
    assert run.clock.discontinuities == 1
    assert run.clock.last_jump_s == pytest.approx(0.00036, abs=0.00015)
    assert np.abs(run.error_s[run.since_s > 22.0]).max() <= 0.0001
    assert run.share_inside == 1.0


FOREIGN = {
    "a second module": lambda rng: np.cumsum(rng.uniform(0.16, 0.3, 200)),
    "a busy client": lambda rng: np.cumsum(rng.exponential(0.02, 2000)),
    "200 at once": lambda _: 10.0 + np.linspace(0.0, 0.3, 200),
    "200 at the start": lambda _: np.linspace(0.0, 0.3, 200),
}


def shared(
    requests: Callable[[np.random.Generator], np.ndarray],
    seed: int,
    quickly: bool,
    seconds: float = 20.0,
    **settings: Any,
) -> Record:
    """Play a board that another client asks, too, as a session does."""
    link = SharedLink(
        seed=seed,
        drift_ppm=50.0,
        foreign_s=requests(np.random.default_rng(seed)).tolist(),
        acknowledges_quickly=quickly,
        **settings,
    )
    clock = DeviceClock(44100.0)
    held_s = 0.0 if quickly else 0.05
    link.confirm = clock.confirm_unproven
    link.on_others = lambda: clock.doubt_unproven(held_s)
    return record(link, seconds, clock=clock, held_s=held_s)


@pytest.mark.parametrize("quickly", [True, False], ids=["quick ACK", "delayed ACK"])
@pytest.mark.parametrize("jitter_ms", [0.0, 0.3])
@pytest.mark.parametrize("name", FOREIGN)
def test_other_clients_do_no_harm(name: str, jitter_ms: float, quickly: bool) -> None:
    for seed in one_or_all(range(5), f"{name} {jitter_ms} {quickly}"):
        run = shared(FOREIGN[name], seed, quickly, jitter_s=jitter_ms / 1e3)
        assert run.share_inside == 1.0
        if quickly:
            assert run.late(8.0 if "start" in name else 2.0).max() <= 0.0003
        # without quick acknowledgements stamps may have far to go, and say so
        assert np.abs(run.clock_error_s[run.since_s > 8.0]).max() <= 0.0003
        assert run.clock.discontinuities <= (1 if "start" in name else 0)
        assert abs(run.clock.last_jump_s) < 0.001
        assert run.clock.generation == 1
        assert not run.clock.uneven
        assert run.clock.snapped_rate_hz == 44100.0


def at_the_same_moment(rng: np.random.Generator) -> np.ndarray:
    """Another module that is started with this one: twenty quick probes, then one in 0.23 s."""
    pauses_s = np.concatenate([np.full(20, 0.015), np.full(100, 0.23)])
    return rng.uniform(0.0, 0.03) + np.cumsum(0.01 + pauses_s * rng.uniform(0.7, 1.3, 120))


@pytest.mark.parametrize("block_ticks", [0, 512], ids=["idle", "with data"])
@pytest.mark.parametrize(("delay_ms", "error_ms"), [(5.0, 1.0), (25.0, 12.0)])
def test_two_modules_that_start_at_the_same_moment(
    delay_ms: float, error_ms: float, block_ticks: int
) -> None:
    """Replies to one are under way while the other asks, and nothing else tells them apart."""
    for seed in one_or_all(range(4), f"{delay_ms} {block_ticks}"):
        settings = {"block_ticks": block_ticks, "jitter_s": 0.0003, **both_ways(delay_ms / 1e3)}
        run = shared(at_the_same_moment, seed, True, 8.0, **settings)
        assert run.share_inside == 1.0
        assert np.abs(run.error_s).max() <= error_ms / 1e3
        assert run.clock.discontinuities == 0
        assert run.clock.snapped_rate_hz == 44100.0


def all_the_time(rng: np.random.Generator) -> np.ndarray:
    """A Controller that reads a value every 30 ms."""
    return np.cumsum(0.03 + rng.exponential(0.001, 700))


@pytest.mark.parametrize("n_lists", [1, 3, 4, 7])
@pytest.mark.parametrize("delay_ms", [0.1, 3.0, 5.0, 12.0, 50.0])
def test_whatever_a_busy_client_asks_all_is_inside_and_right(delay_ms: float, n_lists: int) -> None:
    """Its replies are under way all the time, and several of them have one tick, as ours may."""
    for seed in one_or_all(range(8), f"{delay_ms} {n_lists}"):
        settings = {"jitter_s": 0.0003, "block_ticks": 512, **both_ways(delay_ms / 1e3)}
        lists = {"foreign_lists": lambda number: n_lists - number % 2 * (n_lists > 3)}
        run = shared(all_the_time, seed, True, 8.0, **settings, **lists)
        assert run.share_inside == 1.0
        assert run.late(2.0).max() <= 0.0003
        assert run.ready_s <= 1.05
        assert run.clock.discontinuities == 0


@pytest.mark.parametrize("n_lists", [1, 4])
def test_the_first_samples_beside_a_busy_client_are_inside_what_is_stated(n_lists: int) -> None:
    """With these seeds a reply to the other client was on its way as the first stamps were made."""
    settings = {"jitter_s": 0.001, "block_ticks": 512, "foreign_lists": lambda _: n_lists}
    for seed in (3, 17, 45, 91, 110, 1007, 1057, 1069, 1075, 1101):
        run = shared(all_the_time, seed, True, 2.0, **settings)
        assert run.share_inside == 1.0
        assert run.ready_s < 0.5


@pytest.mark.parametrize("delay_ms", [5.0, 50.0])
@pytest.mark.parametrize("name", FOREIGN)
def test_other_clients_on_a_slow_network_are_inside_what_is_stated(
    name: str, delay_ms: float
) -> None:
    run = shared(FOREIGN[name], 1, True, jitter_s=0.0003, **both_ways(delay_ms / 1e3))
    assert run.share_inside == 1.0
    assert run.late(2.0).max() <= 0.0003
