"""What tests publish is found by the programs that they start, and by no other tests."""

from __future__ import annotations

import subprocess
import sys

import pylsl
import pytest

from tests.support.paths import ROOT

LOOK = """
import sys
import pylsl
from tests.support.lsl_settings import isolate_lsl

if sys.argv[2] == "apart":
    isolate_lsl()
print(len(pylsl.resolve_byprop("name", sys.argv[1], 1, float(sys.argv[3]))))
"""


def test_settings_that_come_later_change_nothing(unique: str) -> None:
    pylsl.set_config_content("[lab]\nSessionID = another\n[ports]\nIPv6 = disable\n")
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(unique, "Test", 1, 0, pylsl.cf_int32, unique))
    assert outlet.get_info().session_id().startswith("tests-")
    del outlet


@pytest.mark.parametrize(
    ("settings", "timeout_s", "n_found"), [("inherited", 20.0, 1), ("apart", 0.5, 0)]
)
def test_only_our_own_programs_find_our_streams(
    unique: str, settings: str, timeout_s: float, n_found: int
) -> None:
    outlet = pylsl.StreamOutlet(
        pylsl.StreamInfo(f"{unique}x", "Test", 1, 0, pylsl.cf_int32, unique)
    )
    found = subprocess.run(
        [sys.executable, "-c", LOOK, f"{unique}x", settings, str(timeout_s)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert int(found.stdout) == n_found
    del outlet
