"""The truth benchmark, short, and what its report makes of known errors.

Tolerances are wide, since a stall of the machine delays what the clock is told. What must hold in
any case is the stated uncertainty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bela_module.simulator.network.delays import LinkDelay, Network
from benchmarks.marked_text import write_between_marks
from benchmarks.truth_recording import Condition, Recording, measure
from benchmarks.truth_report import AFTER_S, evaluate, tables

RATE_HZ = 1000.0
BLOCK = 50
SECONDS = 8
BACK_S = 0.005
PROGRAM = "benchmarks/truth.py"


def made_up(error_s: float, late_s: float) -> Recording:
    """Make a recording of which all errors are known."""
    truth_s = 100.0 + np.arange(int(SECONDS * RATE_HZ)) / RATE_HZ
    last_truth_s = truth_s[BLOCK - 1 :: BLOCK]
    late = np.where(np.arange(last_truth_s.size) % 2, late_s, 0.0)
    stated_s = np.full(truth_s.size, 0.001)
    stated_s[: BLOCK * 16] = error_s / 2
    return Recording(
        truth_s, truth_s + error_s, stated_s, last_truth_s + late, last_truth_s, RATE_HZ
    )


# ---- the report -------------------------------------------------------------------------------


def test_known_errors_are_found() -> None:
    result = evaluate(made_up(error_s=0.0001, late_s=0.02))
    ours, others = result.ours, result.on_arrival
    assert (ours.median_s, ours.p99_s, ours.max_s) == pytest.approx((1e-4,) * 3, abs=1e-9)
    assert (ours.within_s, ours.across_s) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert (others.p99_s, others.max_s) == pytest.approx((0.02, 0.02))
    assert (others.within_s, others.across_s) == pytest.approx((0.0, 0.02), abs=1e-9)
    assert result.stated_s == 0.001
    assert result.inside == 1 - 16 * BLOCK / (SECONDS * RATE_HZ)


def test_first_seconds_count_only_for_what_was_stated() -> None:
    recording = made_up(error_s=0.0001, late_s=0.0)
    early = recording.truth_s < recording.truth_s[0] + AFTER_S
    recording.stamp_s[early] += 1.0
    result = evaluate(recording)
    assert result.ours.max_s == pytest.approx(0.0001)
    assert result.inside == pytest.approx(1 - AFTER_S / SECONDS, abs=0.001)


def test_tables_name_each_condition_and_replace_older_ones(tmp_path: Path) -> None:
    result = evaluate(made_up(error_s=0.0001, late_s=0.02))
    text = tables({Condition("Jitter", "none"): result, Condition("Delay", "5 ms"): result})
    assert "| none | 100 | 100 | 100 | 1000 | 90.00% |" in text
    assert "| 5 ms | 100 |" in text
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- benchmarks/truth.py writes from here -->\nold\n"
        "<!-- benchmarks/truth.py writes to here -->\nafter\n"
    )
    write_between_marks(page, text, PROGRAM)
    written = page.read_text()
    assert text in written
    assert "old" not in written
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="needs the lines"):
        write_between_marks(page, "text", PROGRAM)
    assert page.read_text() == "nothing here\n"


# ---- through sockets and LSL --------------------------------------------------------------------


def test_stamps_are_true_through_jitter_and_drift() -> None:
    delay = LinkDelay(jitter_s=0.001, spike_share=0.05, spike_s=0.02)
    for _ in range(3):  # a busy machine adds delays of its own
        recording = measure(Condition("", "", 100.0, Network(delay, delay)), 3.0)
        error_s = np.abs(recording.stamp_s - recording.truth_s)
        assert np.mean(error_s <= recording.stated_s) >= 0.999
        if np.median(error_s) < 0.001:
            break
    assert np.median(error_s) < 0.001
    assert np.all(np.diff(recording.stamp_s) > 0)
    # no later stamp can come before its block's: what is counted back from it is later still
    assert np.median(recording.on_arrival_s - recording.truth_s) > np.median(error_s)
    assert recording.nominal_rate_hz == pytest.approx(44100.0, rel=5e-4)


def test_half_an_asymmetric_delay_is_in_the_error_and_inside_what_is_stated() -> None:
    recording = measure(Condition("", "", network=Network(to_client=LinkDelay(BACK_S))), 1.0)
    error_s = recording.stamp_s - recording.truth_s
    assert np.mean(np.abs(error_s) <= recording.stated_s) >= 0.999
    assert np.median(recording.stated_s) > BACK_S / 4
    assert np.median(error_s) > 0
