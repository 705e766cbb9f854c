"""The clock of all stamps is LSL's."""

from __future__ import annotations

import pylsl

from bela_module.streams.lsl_clock import local_clock


def test_it_is_the_clock_of_lsl() -> None:
    before_s = pylsl.local_clock()
    now_s = local_clock()
    assert before_s <= now_s <= pylsl.local_clock()
