"""Python's monotonic clock in steps of 16 ms, as on Windows before 3.13: ticks are as good."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT

# Before any import: that is when defaults are taken, and when asyncio looks at the resolution.
COARSE = """
import time
from types import SimpleNamespace
fine, info, step_s = time.monotonic, time.get_clock_info, 0.015625
time.monotonic = lambda: fine() // step_s * step_s
time.get_clock_info = lambda name: (
    SimpleNamespace(resolution=step_s) if name == "monotonic" else info(name)
)
from tests.support.lsl_settings import isolate_lsl
isolate_lsl()
from bela_module.simulator.replay.replayed_board import ReplayedBoard
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.paths import CAPTURES
from tests.support.session_helpers import session_at

with BOARD as board, session_at(board.port) as one:
    one.start()
    until_s = fine() + 15
    stated_s = []
    while fine() < until_s and not (stated_s and min(stated_s) < 0.003):
        time.sleep(0.1)
        stated_s.append(one.session.status()["clock"]["uncertainty_s"] or 1)
    print(min(stated_s))
"""


def stated_s(board: str) -> float:
    """Stream from a board with such a clock, and return the least uncertainty that was stated."""
    done = subprocess.run(
        [sys.executable, "-c", COARSE.replace("BOARD", board)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=50,
    )
    return float(done.stdout)


def test_a_simulated_board() -> None:
    assert stated_s('SimulatedBoard("ramps")') < 0.003


def test_a_replayed_board() -> None:
    assert stated_s('ReplayedBoard(CAPTURES / "potentiometers.jsonl.gz")') < 0.003
