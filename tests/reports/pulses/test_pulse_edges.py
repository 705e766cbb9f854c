"""Times of pulses, in channels of every sort, within a sample."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bela_module.errors import RecordingError
from bela_module.reports.pulses.pulse_edges import PulseEdges, begins_pulse, find_edges
from bela_module.reports.pulses.pulse_levels import EdgeDirection
from tests.support.pulse_signals import ENDS_S, ONSETS_S, Floats, channel, markers, pulses

RATES_HZ = [500.0, 8000.0]


def stamps(rate_hz: float) -> Floats:
    return np.arange(0, ENDS_S, 1 / rate_hz)


def noise(stamps_s: Floats, size: float) -> Floats:
    return np.random.default_rng(5).normal(0, size, stamps_s.size)


def edges(values: Floats, rate_hz: float, direction: str = "auto") -> PulseEdges:
    return find_edges(channel(stamps(rate_hz), values, rate_hz), EdgeDirection(direction))


def check(found: PulseEdges, rate_hz: float, late_s: float = 0.0, within: float = 0.7) -> None:
    assert found.times_s.size == ONSETS_S.size
    assert found.times_s == pytest.approx(ONSETS_S + late_s, abs=within / rate_hz)
    assert found.resolution_s == pytest.approx(1 / rate_hz)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("width", ["one sample", "20 ms", "half of the time"])
@pytest.mark.parametrize("noise_level", [0.0, 0.05])
@pytest.mark.parametrize("sign", [1.0, -4.0])
def test_pulses_of_any_width_and_sign(
    rate_hz: float, width: str, noise_level: float, sign: float
) -> None:
    width_s = {"one sample": 1.01 / rate_hz, "20 ms": 0.02, "half of the time": 0.45}[width]
    stamps_s = stamps(rate_hz)
    found = edges(sign * (pulses(stamps_s, width_s) + noise(stamps_s, noise_level)), rate_hz)
    check(found, rate_hz)
    assert found.direction == ("rising" if sign > 0 else "falling")
    assert found.n_bounces == 0


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_on_a_level_that_wanders(rate_hz: float, sign: float) -> None:
    stamps_s = stamps(rate_hz)
    wander = 5 * np.sin(stamps_s / 3) + noise(stamps_s, 0.02)
    check(edges(2 * sign * pulses(stamps_s, 0.05) + wander, rate_hz), rate_hz)


def test_a_slow_slope_is_interpolated() -> None:
    """A photodiode that comes up in 10 ms, sampled every 2 ms: to a tenth of a sample."""
    stamps_s = stamps(500.0)
    last = np.maximum(np.searchsorted(ONSETS_S, stamps_s, "right") - 1, 0)
    rise = np.clip((stamps_s - ONSETS_S[last]) / 0.01, 0, 1)
    found = edges(np.where(stamps_s - ONSETS_S[last] < 0.3, rise, 0.0), 500.0)
    check(found, 500.0, late_s=0.005, within=0.1)


def test_only_the_first_of_bouncing_edges_counts() -> None:
    stamps_s = stamps(22050.0)
    values = pulses(stamps_s)
    values -= pulses(stamps_s - 0.002, 0.001) + pulses(stamps_s - 0.005, 0.001)
    found = edges(values, 22050.0)
    check(found, 22050.0)
    assert found.n_bounces == 2 * ONSETS_S.size


@pytest.mark.parametrize("tone_hz", [100.0, 440.0, 1000.0, 5000.0])
def test_of_a_tone_the_onset_counts(tone_hz: float) -> None:
    stamps_s = stamps(22050.0)
    last = np.maximum(np.searchsorted(ONSETS_S, stamps_s, "right") - 1, 0)
    tone = np.sin(2 * math.pi * tone_hz * (stamps_s - ONSETS_S[last])) * pulses(stamps_s, 0.1)
    found = edges(tone + noise(stamps_s, 0.005), 22050.0)
    assert found.times_s == pytest.approx(ONSETS_S, abs=0.0001)
    assert found.n_bounces > 10 * ONSETS_S.size


def test_a_tone_that_swells_begins_long_before_it_is_half_as_loud() -> None:
    stamps_s = stamps(22050.0)
    last = np.maximum(np.searchsorted(ONSETS_S, stamps_s, "right") - 1, 0)
    since_s = stamps_s - ONSETS_S[last]
    tone = np.sin(2 * math.pi * 1000 * since_s) * np.clip(since_s / 0.03, 0, 1)
    found = edges(tone * pulses(stamps_s, 0.1) + noise(stamps_s, 0.002), 22050.0)
    assert found.times_s == pytest.approx(ONSETS_S, abs=0.003)


@pytest.mark.parametrize("held", [False, True])
def test_each_trigger_code_is_a_pulse(held: bool) -> None:
    stamps_s = stamps(500.0)
    of_each = np.append(0.0, np.resize([1.0, 2.0, 64.0, 255.0], ONSETS_S.size))
    values = of_each[np.searchsorted(ONSETS_S, stamps_s, "right")]
    check(edges(values if held else values * pulses(stamps_s), 500.0), 500.0)


def test_ends_of_trigger_codes() -> None:
    stamps_s = stamps(500.0)
    of_each = np.append(0.0, np.resize([1.0, 2.0, 64.0, 255.0], ONSETS_S.size))
    values = of_each[np.searchsorted(ONSETS_S, stamps_s, "right")] * pulses(stamps_s, 0.1)
    check(edges(values, 500.0, "falling"), 500.0, late_s=0.1)


def test_the_edge_can_be_chosen() -> None:
    values = pulses(stamps(1000.0), 0.1)
    check(edges(values, 1000.0, "falling"), 1000.0, late_s=0.1)
    check(edges(values, 1000.0, "rising"), 1000.0)
    wandering = values + 5 * np.sin(stamps(1000.0) / 3)
    check(edges(wandering, 1000.0, "falling"), 1000.0, late_s=0.1)


def test_an_edge_in_a_gap_is_unknown() -> None:
    stamps_s = stamps(1000.0)
    keep = np.abs(stamps_s - ONSETS_S[7]) > 0.01
    found = find_edges(channel(stamps_s[keep], pulses(stamps_s)[keep], 1000.0))
    assert found.times_s == pytest.approx(np.delete(ONSETS_S, 7), abs=0.0007)


def test_uneven_stamps_are_no_gaps() -> None:
    stamps_s = np.sort(stamps(500.0) + noise(stamps(500.0), 0.001))
    found = find_edges(channel(stamps_s, pulses(stamps(500.0)), 500.0))
    assert found.times_s == pytest.approx(ONSETS_S, abs=0.007)


def test_what_is_no_number_is_left_out() -> None:
    values = pulses(stamps(1000.0))
    values[::1003] = np.nan
    assert edges(values, 1000.0).times_s.size >= ONSETS_S.size - 2


# ---- streams in which each sample has a stamp of its own ---------------------------------------


def on_and_off() -> tuple[Floats, Floats]:
    stamps_s = np.sort(np.concatenate([[0.0], ONSETS_S, ONSETS_S + 0.02]))
    return stamps_s, pulses(stamps_s + 1e-9)


def test_a_sparse_variable_has_the_times_of_its_stamps() -> None:
    stamps_s, values = on_and_off()
    found = find_edges(channel(stamps_s, values, 0.0))
    assert found.times_s.tolist() == ONSETS_S.tolist()
    assert found.resolution_s == 0
    falling = find_edges(channel(stamps_s, values, 0.0), EdgeDirection.FALLING)
    assert falling.times_s.tolist() == (ONSETS_S + 0.02).tolist()


def test_codes_and_counters_without_zero_are_a_pulse_each() -> None:
    numbers = np.arange(1.0, ONSETS_S.size + 1)
    assert find_edges(channel(ONSETS_S, numbers, 0.0)).times_s.tolist() == ONSETS_S.tolist()
    ones = np.ones(ONSETS_S.size)
    assert find_edges(channel(ONSETS_S, ones, 0.0)).times_s.tolist() == ONSETS_S.tolist()


def test_a_value_that_is_repeated_while_it_holds_is_one_pulse() -> None:
    stamps_s = stamps(100.0)
    found = find_edges(channel(stamps_s, pulses(stamps_s, 0.2), 0.0))
    assert found.times_s.size == ONSETS_S.size


def test_only_some_values() -> None:
    codes = np.where(np.arange(ONSETS_S.size) % 2, 5.0, 9.0)
    found = find_edges(channel(ONSETS_S, codes, 0.0, only="9"))
    assert found.times_s.tolist() == ONSETS_S[::2].tolist()
    regular = find_edges(channel(stamps(1000.0), 9 * pulses(stamps(1000.0)), 1000.0, only="9.0"))
    check(regular, 1000.0)
    with pytest.raises(RecordingError, match="'flash' is no value"):
        find_edges(channel(ONSETS_S, codes, 0.0, only="flash"))


def test_markers() -> None:
    texts = ["flash", "", "tone"] * 20
    stamps_s = np.arange(60.0)
    assert find_edges(markers(stamps_s, texts)).times_s.size == 40
    found = find_edges(markers(stamps_s, texts, only="tone"))
    assert found.times_s.tolist() == stamps_s[2::3].tolist()


@pytest.mark.parametrize(
    "chosen",
    [
        channel(np.arange(100.0), np.zeros(100), 1.0),
        channel(np.arange(100.0), np.zeros(100), 0.0),
        channel(np.empty(0), np.empty(0), 0.0),
        channel(np.empty(0), np.empty(0), 100.0),
        markers(np.empty(0), []),
        markers(np.arange(3.0), ["a", "b", "c"], only="d"),
    ],
)
def test_no_pulses_are_told(chosen: object) -> None:
    with pytest.raises(RecordingError, match="no pulses are in its"):
        find_edges(chosen)  # type: ignore[arg-type]


def test_bounces_are_those_much_shorter_than_the_rest() -> None:
    even = np.arange(20.0)
    assert begins_pulse(even).all()
    assert begins_pulse(np.array([0.0, 1.0, 2.0, 40.0, 41.0])).all()
    bouncing = np.sort(np.concatenate([even, even + 0.004]))
    assert begins_pulse(bouncing).tolist() == [True, False] * 20
    assert begins_pulse(np.array([1.0])).tolist() == [True]
    assert begins_pulse(np.array([])).tolist() == []
    assert begins_pulse(np.array([1.0, 1.0])).tolist() == [True, False]
