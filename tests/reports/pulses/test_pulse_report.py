"""Lag, drift and jitter between two channels, and the input delay to set."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bela_module.errors import RecordingError
from bela_module.reports.pulses.channel_choice import ChosenChannel
from bela_module.reports.pulses.pulse_edges import find_edges
from bela_module.reports.pulses.pulse_report import (
    DRIFT_WARN_S,
    PulseReport,
    judge_pulses,
    pulses_json,
    report_on_pulses,
)
from bela_module.reports.recording_report import without_nan
from bela_module.reports.verdicts import ReportVerdict
from tests.support.amount import examples
from tests.support.pulse_signals import ENDS_S, ONSETS_S, channel, markers, pulses

FAST_HZ = 5000.0
BOARD = {"source_id": "bela:left:p:bela_sync"}


def seen(rate_hz: float, lag_s: float = 0.0, drift_ppm: float = 0.0, **more: Any) -> ChosenChannel:
    """Make a regular channel that has the pulses later by a lag, in stamps that drift."""
    true_s = np.arange(0, ENDS_S, 1 / rate_hz)
    middle_s = (ONSETS_S[0] + ONSETS_S[-1]) / 2
    stamps_s = true_s + lag_s + drift_ppm * 1e-6 * (true_s - middle_s)
    onsets_s = more.pop("onsets_s", ONSETS_S)
    return channel(stamps_s, pulses(true_s, onsets_s=onsets_s), rate_hz, **more)


def compared(pulse: ChosenChannel, against: ChosenChannel) -> PulseReport:
    return report_on_pulses(pulse, against, find_edges(pulse), find_edges(against))


@given(
    rate_hz=st.sampled_from([250.0, 512.0, 1000.0, 2048.0]),
    lag_s=st.floats(-4, 4),
    drift_ppm=st.floats(-300, 300),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=examples(12))
def test_the_lag_is_right_to_a_sample_of_the_slower_channel(
    rate_hz: float, lag_s: float, drift_ppm: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    kept_s = ONSETS_S[random.random(ONSETS_S.size) > 0.1]
    more_s = random.uniform(ONSETS_S[0], ONSETS_S[-1], 3)
    others_s = np.sort(np.concatenate([kept_s, more_s]))
    report = compared(seen(FAST_HZ), seen(rate_hz, lag_s, drift_ppm, onsets_s=others_s))
    middle_s = np.array([(ONSETS_S[0] + ONSETS_S[-1]) / 2])
    assert abs(float(report.match.lag_at_s(middle_s)[0]) - lag_s) < max(1e-4, 1 / rate_hz)
    assert abs(report.drift_ppm - drift_ppm) < 3e6 / rate_hz / np.ptp(ONSETS_S)
    assert report.p95_s < 1 / rate_hz
    assert report.match.first.size >= kept_s.size - 4


def test_two_fast_channels_to_a_tenth_of_a_millisecond() -> None:
    report = compared(seen(22050.0, **BOARD), seen(44100.0, 0.0123))
    assert report.lag_s == pytest.approx(0.0123, abs=5e-5)
    assert report.max_s < 5e-5
    assert abs(report.drift_ppm) < 2
    assert [times_s.size for times_s in report.unmatched_s] == [0, 0]
    (finding,) = judge_pulses(report)
    assert finding.verdict is ReportVerdict.OK
    assert finding.text.startswith("40 pulses, lag 12.3")


def test_markers_against_a_channel() -> None:
    flashes = markers(ONSETS_S + 0.03, ["flash"] * ONSETS_S.size)
    report = compared(seen(1000.0, **BOARD), flashes)
    assert report.lag_s == pytest.approx(0.03, abs=0.0005)
    assert report.resolution_s == pytest.approx(0.001)


def test_missing_extra_and_displaced_pulses_are_told_apart() -> None:
    onsets_s = np.delete(ONSETS_S, [3, 20])
    onsets_s[10] += 0.05
    onsets_s = np.sort(np.append(onsets_s, ONSETS_S[5] + 0.3))
    report = compared(seen(FAST_HZ), seen(FAST_HZ, 0.2, onsets_s=onsets_s))
    missing_s, extra_s = report.unmatched_s
    assert missing_s == pytest.approx(ONSETS_S[[3, 20]], abs=1e-4)
    assert extra_s == pytest.approx([ONSETS_S[5] + 0.5], abs=1e-4)
    assert report.is_outlier.sum() == 1
    assert report.lag_s == pytest.approx(0.2, abs=1e-4)


def test_outliers_move_neither_the_lag_nor_its_spread() -> None:
    """Extra pulses that are near to missing ones, under a drift: pairs that are none."""
    onsets_s = np.sort(np.append(np.delete(ONSETS_S, [3, 8, 20]), ONSETS_S[[3, 8, 20]] - 0.06))
    middle_s = (ONSETS_S[0] + ONSETS_S[-1]) / 2
    report = compared(seen(FAST_HZ), seen(FAST_HZ, 0.2, 100.0, onsets_s=onsets_s))
    assert report.is_outlier.sum() == 3
    expected_s = 0.2 + 1e-4 * (np.median(np.delete(ONSETS_S, [3, 8, 20])) - middle_s)
    assert report.lag_s == pytest.approx(expected_s, abs=1e-4)
    assert report.p95_s < 2e-4
    assert report.max_s == pytest.approx(0.06, abs=1e-3)
    assert any("3 of 40 lags are outliers, up to 60" in one.text for one in judge_pulses(report))


def test_jitter_of_few_pulses_is_no_drift() -> None:
    """The lag of six pulses seems to change by a millisecond or more, by chance."""
    n_told = n_large = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        jittered_s = ONSETS_S[:6] + random.uniform(-0.0015, 0.0015, 6)
        report = compared(seen(FAST_HZ, onsets_s=ONSETS_S[:6]), seen(FAST_HZ, onsets_s=jittered_s))
        n_large += abs(report.change_s) > DRIFT_WARN_S
        n_told += any("drifts" in one.text for one in judge_pulses(report))
    assert n_large > 10
    assert n_told <= 3  # the interval leaves out one in a hundred


@given(seed=st.integers(0, 2**31))
@settings(max_examples=examples(12))
def test_the_drift_is_within_twice_its_error(seed: int) -> None:
    random = np.random.default_rng(seed)
    jittered_s = ONSETS_S + random.normal(0, 0.0005, ONSETS_S.size)
    report = compared(seen(FAST_HZ), seen(FAST_HZ, 0.02, 40.0, onsets_s=jittered_s))
    assert abs(report.drift_ppm - 40.0) < 2 * report.drift_error_ppm
    assert report.drift_error_ppm < 2e6 * 0.001 / np.ptp(ONSETS_S)


def test_a_drift_that_is_sure_is_a_fault_and_told_with_its_error() -> None:
    report = compared(seen(FAST_HZ), seen(FAST_HZ, 0.02, 200.0))
    (finding,) = judge_pulses(report)
    assert finding.text.startswith("the lag drifts by +200.")
    assert " ± 0." in finding.text
    assert report.is_drifting
    assert pulses_json(report, 0.0)["drift_error_ppm"] == report.drift_error_ppm


def without(chosen: ChosenChannel, begin_s: float, end_s: float) -> ChosenChannel:
    """Take a stretch out of a channel."""
    stream = chosen.stream
    kept = (stream.stamps_s < begin_s) | (stream.stamps_s > end_s)
    return channel(stream.stamps_s[kept], stream.values[kept, 0], stream.nominal_rate_hz)


def test_pulses_in_a_gap_of_the_other_channel_are_not_missing_from_it() -> None:
    gap_s = float(ONSETS_S[10]) - 0.2, float(ONSETS_S[20]) - 0.2
    whole = seen(FAST_HZ)
    for report, n_missed in (
        (compared(whole, without(seen(FAST_HZ, 0.01), *gap_s)), (0, 0)),
        (compared(without(seen(FAST_HZ, 0.01), *gap_s), whole), (0, 0)),
        (compared(whole, seen(FAST_HZ, onsets_s=np.delete(ONSETS_S, np.s_[10:20]))), (10, 0)),
    ):
        assert report.match.first.size == ONSETS_S.size - 10
        assert report.n_missed == n_missed


def test_pulses_that_one_channel_lacks_are_a_fault() -> None:
    """Not those, though, that came before the other channel or after it."""
    report = compared(seen(FAST_HZ), seen(FAST_HZ, onsets_s=ONSETS_S[::2]))
    texts = [one.text for one in judge_pulses(report)]
    assert texts == ["only 20 of 40 pulses of s/c have a counterpart"]
    stamps_s = np.arange(float(ONSETS_S[20]) - 0.3, ENDS_S, 1 / FAST_HZ)
    late = channel(stamps_s, pulses(stamps_s), FAST_HZ)
    (finding,) = judge_pulses(compared(seen(FAST_HZ), late))
    assert (finding.verdict, finding.text[:9]) == (ReportVerdict.OK, "20 pulses")


# ---- the input delay ---------------------------------------------------------------------------


def test_a_board_that_is_late_gets_a_delay_to_subtract() -> None:
    """The board's stamps are 5 ms late: 5 ms more are to be subtracted from them."""
    late = seen(FAST_HZ, 0.005, **BOARD, input_delay_s=0.001)
    report = compared(late, seen(FAST_HZ))
    assert report.lag_s == pytest.approx(-0.005, abs=1e-4)
    assert report.input_delay_s == pytest.approx(0.006, abs=1e-4)
    assert "[board] input_delay_s = 0.00" in report.advice
    assert "board 'left' (it was 0.001000)" in report.advice
    other_way = compared(seen(FAST_HZ), late)
    assert other_way.input_delay_s == pytest.approx(0.006, abs=1e-4)


def test_with_the_delay_set_the_lag_is_zero() -> None:
    before = compared(seen(FAST_HZ, 0.005, **BOARD), seen(FAST_HZ))
    delay_s = before.input_delay_s
    assert delay_s is not None
    after = compared(seen(FAST_HZ, 0.005 - delay_s, **BOARD, input_delay_s=delay_s), seen(FAST_HZ))
    assert after.lag_s == pytest.approx(0, abs=1e-5)
    assert after.input_delay_s == pytest.approx(delay_s, abs=1e-5)


def test_no_delay_makes_a_board_later() -> None:
    report = compared(seen(FAST_HZ, **BOARD), seen(FAST_HZ, 0.02))
    assert report.input_delay_s is None
    assert "s/c is 20.0" in report.advice
    assert "subtract the delay from s" in report.advice


def test_of_stamps_that_agree_nothing_is_to_be_set() -> None:
    report = compared(seen(FAST_HZ, **BOARD), seen(FAST_HZ))
    assert report.advice == "nothing: the stamps agree within 0.1 ms"


def test_without_a_board_there_is_nothing_to_set() -> None:
    report = compared(seen(1000.0), seen(1000.0, 0.1))
    assert report.input_delay_s is None
    assert report.advice == "neither channel is a board's: nothing to set here"


# ---- verdicts ----------------------------------------------------------------------------------


def uneven(jitter_s: float) -> ChosenChannel:
    random = np.random.default_rng(8)
    return markers(ONSETS_S + random.normal(0, jitter_s, ONSETS_S.size), ["x"] * ONSETS_S.size)


DISPLACED_S = ONSETS_S[::2] + 0.31 * (ONSETS_S[::2] > 40)
EVEN = markers(np.arange(40.0), ["x"] * 40)


@pytest.mark.parametrize(
    ("pulse", "against", "words"),
    [
        (seen(FAST_HZ), uneven(0.01), "the lag is uneven: 95 % within"),
        (seen(FAST_HZ), seen(FAST_HZ, 0, 100.0), "the lag drifts by +100.0"),
        (seen(FAST_HZ), seen(FAST_HZ, onsets_s=DISPLACED_S), "only"),
        (EVEN, EVEN, "uneven inter"),
    ],
)
def test_faults(pulse: ChosenChannel, against: ChosenChannel, words: str) -> None:
    found = judge_pulses(compared(pulse, against))
    assert {one.verdict for one in found} == {ReportVerdict.WARN}
    assert any(words in one.text for one in found), found


def few(n: int, begin_s: float = 0.0) -> ChosenChannel:
    return markers(begin_s + ONSETS_S[:n], ["x"] * n)


def test_too_few_pulses() -> None:
    with pytest.raises(RecordingError, match="m/text has 2 pulses; at least 3 are needed"):
        compared(few(30), few(2))


def test_pulses_that_do_not_match() -> None:
    with pytest.raises(RecordingError, match="do not match: of all lags up to 10 s none fits"):
        compared(few(30), few(30, 1e5))


def test_unrelated_pulses_are_refused() -> None:
    onsets_s = 10 + np.cumsum(np.random.default_rng(77).uniform(0.6, 1.4, 40))
    with pytest.raises(RecordingError, match="than unrelated ones would"):
        compared(seen(FAST_HZ), markers(onsets_s, ["x"] * 40))


def test_json() -> None:
    report = compared(seen(FAST_HZ, **BOARD), seen(1000.0, -0.1))
    whole = json.loads(json.dumps(without_nan(pulses_json(report, 5.0)), allow_nan=False))
    assert whole["matched"] == len(whole["lags_s"]) == len(whole["at_s"]) == ONSETS_S.size
    assert whole["at_s"][0] == pytest.approx(ONSETS_S[0] - 5, abs=1e-4)
    assert sum(whole["histogram"]["counts"]) == ONSETS_S.size
    assert whole["pulse"]["method"] == "excursions"
    assert whole["input_delay_s"] == pytest.approx(0.1, abs=1e-3)


def test_times_of_a_histogram_of_equal_lags() -> None:
    report = compared(few(30), few(30))
    counts, borders_s = report.histogram()
    assert counts.sum() == 30
    assert np.isfinite(borders_s).all()
    assert replace(report).jitter_s == 0.0
