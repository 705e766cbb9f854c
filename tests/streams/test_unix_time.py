"""The wall clock beside LSL's."""

from __future__ import annotations

import pytest

from bela_module.streams.unix_time import unix_at_lsl_zero_s


def test_paired_reads_that_were_interrupted_do_not_count() -> None:
    lsl_s = iter([10.0, 13.0, 14.0, 14.0002, 15.0, 17.0, 18.0, 19.0, 20.0, 21.0])
    unix_s = iter([1012.9, 1014.0001, 1016.9, 1018.9, 1020.9])
    assert unix_at_lsl_zero_s(lambda: next(lsl_s), lambda: next(unix_s)) == pytest.approx(1000.0)
