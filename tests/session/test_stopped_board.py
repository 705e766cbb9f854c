"""A board, or its process, that stands still for some seconds: what it took is accounted for."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tests.support.paths import ROOT
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    board_of,
    flow,
    lose,
    session_at,
    variable,
)

STOPPED_S = 3.0
GIVEN_UP_S, WAITED_FOR_S = 2.0, 10.0  # the default, and longer than the board stands still
UP_SINCE_TICK = 2_000_000


@contextmanager
def simulator(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a simulated board in a process of its own; give that and its port."""
    command = [sys.executable, "-u", "-m", "bela_module.simulator", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r":(\d+)", process.stdout.readline())
        assert found is not None
        try:
            yield process, int(found[1])
        finally:
            process.kill()


def uncounted(one: Running, name: str) -> int:
    """Count the values between the first and the last that are neither delivered nor lost."""
    ticks = one.sink[f"bela_{name}"].ticks
    step = int(np.diff(ticks).min())
    taken = int(ticks[-1] - ticks[0]) // step + 1
    return taken - ticks.size - int(one.streams[f"bela_{name}"]["lost"])


def paused_s(one: Running) -> list[float]:
    """Give for how long the ticks have stood still, as it was told."""
    found = (re.search(r"ticks paused for ([0-9.]+) s", event) for event in one.sink.events)
    return [float(match[1]) for match in found if match is not None]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
@pytest.mark.parametrize("reply_timeout_s", [GIVEN_UP_S, WAITED_FOR_S])
@pytest.mark.parametrize("network", [(), ("--network", "wifi")], ids=["direct", "wifi"])
def test_a_process_that_stood_still(
    network: tuple[str, ...], reply_timeout_s: float, wait_until: WaitUntil
) -> None:
    with (
        simulator("--sketch", "ramps", *network) as (process, port),
        session_at(port, board={"reply_timeout_s": reply_timeout_s}) as one,
    ):
        one.start("ramp_d", "ramp_i")
        flow(one, wait_until, 20)
        process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: one.state == "streaming", "streaming")
        flow(one, wait_until, 100)
        one.stop()
        assert one.session.status()["counters"]["restarts"] == 0
        assert "board_restarted" not in one.sink.events
        for name in ("ramp_d", "ramp_i"):
            assert uncounted(one, name) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_process_that_stood_still_while_slow_values_came(wait_until: WaitUntil) -> None:
    with (
        simulator("--sketch", "simulation") as (process, port),
        session_at(port, board={"reply_timeout_s": WAITED_FOR_S}) as one,
    ):
        one.start("pot1", "temperature")
        wait_until(lambda: one.samples("bela_temperature") > 3, "single values")
        process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        process.send_signal(signal.SIGCONT)
        n_before = one.samples("bela_temperature")
        wait_until(lambda: one.samples("bela_temperature") > n_before + 10, "single values")
        one.stop()
        assert one.session.status()["counters"]["restarts"] == 0
        for name in ("pot1", "temperature"):
            assert uncounted(one, name) == 0


def test_ticks_that_stood_still_while_the_connection_was_lost(wait_until: WaitUntil) -> None:
    # As of a stopped sketch of a real board: it counts on from where it was.
    with board_of(variable("a"), first_tick=UP_SINCE_TICK) as board, session_at(board.port) as one:
        one.start("a")
        flow(one, wait_until, 20)
        lose(board, one, wait_until)
        board.step_clock(-2.5)
        time.sleep(2.6)
        board.refuse_connections(False)
        wait_until(lambda: one.state == "streaming", "streaming")
        wait_until(lambda: paused_s(one), "the notice")
        assert paused_s(one) == [pytest.approx(2.5, abs=0.1)]
        flow(one, wait_until, 100)
        one.stop()
        assert one.session.status()["counters"]["restarts"] == 0
        assert "board_restarted" not in one.sink.events
        assert uncounted(one, "a") == 0
        last_tick = one.sink["bela_a"].ticks[-1:]
        error_s = abs(one.sink["bela_a"].stamps_s[-1] - board.true_time_s(last_tick)[0])
        assert error_s < 0.1
