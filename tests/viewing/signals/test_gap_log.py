"""Gaps by jumps of the stamps and by missing values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.viewing.signals.gap_log import GapLog

NAN = np.nan


def log_of(*blocks: tuple[list[float], list[list[float]]], rate_hz: float = 1.0) -> GapLog:
    log = GapLog(len(blocks[0][1][0]), rate_hz, 1000.0)
    for stamps_s, values in blocks:
        log.add(np.array(stamps_s), np.array(values))
    return log


def test_a_jump_of_the_stamps_is_a_gap_within_and_between_blocks() -> None:
    log = log_of(([0, 1, 4], [[0]] * 3), ([9, 10], [[0]] * 2))
    assert log.gaps == [(1, 4), (4, 9)]


def test_a_corrected_stamp_is_none() -> None:
    assert log_of(([0, 1.01, 1.99, 3.3], [[0]] * 4)).gaps == []


def test_an_irregular_stream_has_no_gap() -> None:
    assert log_of(([0, 50, 900], [[0]] * 3), rate_hz=0.0).gaps == []


def test_missing_values_are_a_gap_from_the_last_complete_row_to_the_next() -> None:
    log = log_of(([0, 1, 2], [[1, 1], [1, NAN], [1, NAN]]), ([3, 4], [[1, NAN], [1, 1]]))
    assert log.gaps == [(0, 4)]


def test_a_gap_that_still_goes_on_reaches_to_the_newest_sample() -> None:
    assert log_of(([0, 1, 2], [[1], [NAN], [NAN]])).gaps == [(0, 2)]


def test_a_variable_that_was_never_assigned_has_none() -> None:
    log = log_of(([0, 1], [[1, NAN], [1, NAN]]), ([2, 3], [[1, NAN], [1, 5]]))
    assert log.gaps == []
    log.add(np.array([4.0, 5.0]), np.array([[1, NAN], [1, 5]]))
    assert log.gaps == [(3, 5)]


def test_old_gaps_are_forgotten_and_another_clock_begins_anew() -> None:
    log = GapLog(1, 1.0, 10.0)
    log.add(np.array([0.0, 5.0]), np.zeros((2, 1)))
    log.add(np.arange(6.0, 30.0), np.zeros((24, 1)))
    assert log.gaps == []
    log.add(np.array([1.0, 2.0]), np.zeros((2, 1)))
    assert log.gaps == []


@given(st.sets(st.integers(1, 98)), st.integers(1, 20))
def test_any_lost_samples_are_covered_whatever_the_blocks(lost: set[int], size: int) -> None:
    stamps_s = np.array([k for k in range(100) if k not in lost], float)
    log = GapLog(1, 1.0, 1000.0)
    for k in range(0, stamps_s.size, size):
        log.add(stamps_s[k : k + size], np.zeros((stamps_s[k : k + size].size, 1)))
    covered = {k for a, b in log.gaps for k in range(100) if a < k < b}
    assert covered == lost
    assert sum(b - a - 1 for a, b in log.gaps) == pytest.approx(len(lost))
