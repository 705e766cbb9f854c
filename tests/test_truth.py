"""The truth benchmark, short: what reaches an inlet is stamped with when it was taken.

Tolerances are wide, since a stall of the machine delays what a clock is told. What must hold in
any case is the stated uncertainty.
"""

from __future__ import annotations

import numpy as np

from bela_module.network import Delay
from benchmarks.truth_recording import Recording

JITTER = Delay(jitter_s=0.001, spike_share=0.05, spike_s=0.02)
DELAY_S = 0.005


def largest_error_s(recording: Recording) -> float:
    return float(np.abs(recording.stamp_s - recording.truth_s).max())


def share_inside(recording: Recording) -> float:
    return float(np.mean(np.abs(recording.stamp_s - recording.truth_s) <= recording.stated_s))
