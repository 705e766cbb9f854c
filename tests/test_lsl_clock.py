"""The clock of all stamps is LSL's."""

from __future__ import annotations

import pylsl

from bela_module import lsl_clock, outlets


def test_it_is_the_clock_of_lsl() -> None:
    for clock in (lsl_clock.local_clock, outlets.local_clock):
        before_s = pylsl.local_clock()
        now_s = clock()
        assert before_s <= now_s <= pylsl.local_clock()
