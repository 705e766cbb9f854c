"""What ``bela_clock`` states, over time."""

from __future__ import annotations

import math

import numpy as np

from bela_module.reports.clock_account import clock_account
from bela_module.reports.recorded_stream import Floats, RecordedStream
from bela_module.streams.clock_plan import CLOCK_UNITS

LABELS = tuple(CLOCK_UNITS)


def clock(begin_s: float, uncertainty_s: list[float], ticks: list[float]) -> RecordedStream:
    n = len(ticks)
    stamps_s = begin_s + np.arange(float(n))
    unix_s = stamps_s + 1e9
    drift, rtt, rate = np.full(n, 12.5), np.full(n, 1e-3), np.full(n, 44100.0)
    values: Floats = np.stack([ticks, uncertainty_s, rate, drift, rtt, unix_s], axis=1)
    kept = tuple(range(len(LABELS)))
    facts = ("bela_clock", "Clock", "double64", "bela:b:p:bela_clock", LABELS, 0.0)
    return RecordedStream(1, *facts, stamps_s, kept, values)


def test_all_of_it_in_order() -> None:
    later = clock(10.0, [0.002, math.nan], [0.0, 1.0])
    account = clock_account("b:p", [later, clock(0.0, [0.001, 0.004, 0.001], [5.0, 6.0, 7.0])])
    assert account is not None
    assert account.stamps_s.tolist() == [0.0, 1.0, 2.0, 10.0, 11.0]
    assert account.max_uncertainty_s == 0.004
    assert account.median_uncertainty_s == 0.0015
    assert account.median_drift_ppm == 12.5
    assert account.unix_minus_lsl_s == 1e9
    assert account.n_restarts == 1


def test_nothing_stated() -> None:
    assert clock_account("b:p", []) is None
    assert clock_account("b:p", [clock(0.0, [], [])]) is None
    account = clock_account("b:p", [clock(0.0, [math.nan], [1.0])])
    assert account is not None
    assert math.isnan(account.max_uncertainty_s)
