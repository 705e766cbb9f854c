"""A board whose process stands still for some seconds, and whose ticks went on meanwhile."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

from tests.support.paths import ROOT
from tests.support.session_helpers import WaitUntil, flow, session_at


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_board_that_stood_still_has_not_restarted(wait_until: WaitUntil) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "bela_module.simulator", "--port", "0", "--sketch", "ramps"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        found = re.search(r":(\d+)", process.stdout.readline())
        assert found is not None
        try:
            with session_at(int(found[1])) as one:
                one.start("ramp_d")
                flow(one, wait_until, 20)
                process.send_signal(signal.SIGSTOP)
                time.sleep(3.0)
                process.send_signal(signal.SIGCONT)
                flow(one, wait_until, 20)
                one.stop()
                assert one.session.status()["counters"]["restarts"] == 0
                assert "board_restarted" not in one.sink.events
                kept = one.sink["bela_ramp_d"]
                n_ticks = int(kept.ticks[-1] - kept.ticks[0]) + 1
                assert n_ticks == kept.ticks.size + one.streams["bela_ramp_d"]["lost"]
        finally:
            process.kill()
