"""Rates against limits: what comes singly, what in blocks, and when that changes."""

from __future__ import annotations

import math
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bela_module.session.delivery.transport_chooser import (
    BOARD_LIMIT_HZ,
    LIMIT_HZ,
    Changes,
    Observed,
    TransportChooser,
    choose_first,
)
from tests.support.amount import examples

LOOK_S = 0.1
BLOCK_VALUES = 512


class Scene:
    """Streams of known rates, and what the chooser makes of them."""

    def __init__(self, rates_hz: dict[str, float], single: set[str] | None = None) -> None:
        self.rates_hz = rates_hz
        self.single = set(rates_hz) if single is None else single
        self.allowed = True
        self.now_s = 1000.0
        self.came = dict.fromkeys(rates_hz, 0.0)
        self.filled = dict.fromkeys(rates_hz, 0.0)
        self.last_block_s = dict.fromkeys(rates_hz, -math.inf)
        self.n_single_values = 0.0
        self.made = TransportChooser()
        self.made.begin(rates_hz, self.now_s)

    def look(self) -> Changes:
        self.now_s += LOOK_S
        for name, rate_hz in self.rates_hz.items():
            if name in self.single:
                self.came[name] += rate_hz * LOOK_S
                self.n_single_values += rate_hz * LOOK_S
            self.filled[name] += rate_hz * LOOK_S
            if self.filled[name] >= BLOCK_VALUES:
                self.filled[name] %= BLOCK_VALUES
                self.last_block_s[name] = self.now_s
        observed = {
            name: Observed(
                int(self.came[name]),
                BLOCK_VALUES,
                self.last_block_s[name],
                name in self.single,
                self.allowed,
            )
            for name in self.rates_hz
        }
        changes = self.made.look(observed, self.now_s)
        self.single -= set(changes.to_blocks)
        self.single |= set(changes.to_singles)
        return changes

    def run(self, seconds: float) -> list[Changes]:
        looks = [self.look() for _ in range(round(seconds / LOOK_S))]
        return [changes for changes in looks if changes.to_blocks or changes.to_singles]


def test_what_is_slow_or_not_known_begins_singly() -> None:
    rates: dict[str, float | None] = {"touch": None, "slow": 100.0, "audio": 44100.0}
    assert choose_first(rates) == {"touch", "slow"}


def test_the_slowest_begin_singly_up_to_the_limit_of_the_board() -> None:
    rates: dict[str, float | None] = {f"v{k:02}": 100.0 + k for k in range(30)}
    chosen = choose_first(rates)
    assert chosen == {f"v{k:02}" for k in range(len(chosen))}
    assert BOARD_LIMIT_HZ - 130 < sum(rates[name] or 0 for name in chosen) <= BOARD_LIMIT_HZ


def test_steady_rates_below_the_limits_stay() -> None:
    scene = Scene({f"v{k}": 100.0 for k in range(10)})
    assert scene.run(60) == []
    assert len(scene.single) == 10


def test_a_fast_stream_goes_to_blocks_at_once_and_stays_there() -> None:
    scene = Scene({"fast": 5000.0, "slow": 3.0})
    [changes] = scene.run(60)
    assert set(changes.to_blocks) == {"fast"}
    assert scene.n_single_values < 0.3 * 5000 + 61 * 3
    assert scene.single == {"slow"}


def test_the_fastest_go_when_all_are_too_many() -> None:
    scene = Scene({f"v{k:02}": 60.0 + 3 * k for k in range(20)})
    scene.run(5)
    rates = sorted(scene.rates_hz[name] for name in scene.single)
    left = [rate for name, rate in scene.rates_hz.items() if name not in scene.single]
    assert sum(rates) <= BOARD_LIMIT_HZ
    assert left
    assert min(left) > max(rates)


def test_a_stream_that_becomes_slow_comes_singly_again() -> None:
    scene = Scene({"x": 5000.0})
    scene.run(2)
    assert scene.single == set()
    scene.rates_hz["x"] = 10.0
    scene.run(12)
    assert scene.single == {"x"}


def test_a_stream_between_the_limits_does_not_go_to_and_fro() -> None:
    scene = Scene({"x": 0.8 * LIMIT_HZ}, single=set())
    assert scene.run(60) == []


def test_bursts_of_a_fast_stream_cost_ever_less() -> None:
    scene = Scene({"x": 5000.0})
    n_changes = 0
    for k in range(400):
        scene.rates_hz["x"] = 5000.0 if k % 2 else 0.1
        n_changes += sum(len(changes.to_blocks) for changes in scene.run(5))
    assert n_changes < 15


def test_nothing_comes_singly_where_it_may_not() -> None:
    scene = Scene({"x": 3.0})
    scene.run(1)
    scene.allowed = False
    assert set(scene.look().to_blocks) == {"x"}
    assert scene.run(30) == []
    scene.allowed = True
    scene.run(2)
    assert scene.single == {"x"}


@settings(max_examples=examples(30))
@given(seed=st.integers(0, 2**32 - 1))
def test_any_rates_keep_to_the_limits(seed: int) -> None:
    """Whatever the rates do, single values stay within the limits but for the time to notice."""
    rng = Random(seed)
    rates = {f"v{k}": 10 ** rng.uniform(-0.7, 3.7) for k in range(rng.randint(1, 40))}
    scene = Scene(rates)
    for _ in range(10):
        for name in rates:
            if rng.random() < 0.1:
                rates[name] = 10 ** rng.uniform(-0.7, 3.7)
        scene.run(3)
        before, total = scene.n_single_values, sum(rates[name] for name in scene.single)
        assert all(rates[name] <= 1.05 * LIMIT_HZ for name in scene.single)
        assert total <= 1.05 * BOARD_LIMIT_HZ
        scene.look()
        assert scene.n_single_values - before <= 1.1 * BOARD_LIMIT_HZ * LOOK_S + 1
