"""A recording of the simulated board through LSL, with a loss in it, and what the report says."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bela_module.config import parse_settings
from bela_module.reports.recording_report import report_on
from bela_module.reports.stream_account import BreakKind
from bela_module.reports.verdicts import ReportVerdict
from bela_module.reports.xdf_reader import read_recording
from bela_module.requests import PrepareRequest, StartRequest
from bela_module.session.session import Session
from bela_module.simulator.faults.message_faults import DropPair
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from benchmarks.lab_recorder import StandInRecorder

PATIENCE_S = 30.0
RESOLVE_S = 3.0
RATE_HZ = 11_025.0
FETCHED_S = 2.0  # a recorder that fetches each half second may stall for three times that
RATE_ERROR_PPM = 500.0

VARIABLE = "ramp_f"
STREAM = f"bela_{VARIABLE}"

WaitUntil = Callable[..., None]


def record(path: Path, wait_until: WaitUntil) -> tuple[int, int]:
    """Record two runs, in the first of which a block is lost; give samples and losses of STATUS."""
    n_samples = n_lost = 0
    with SimulatedBoard("ramps", RATE_HZ, clock=local_clock) as board:
        sections = {"board": {"host": "127.0.0.1", "port": board.port, "name": "report"}}
        settings = parse_settings(sections, "test")
        with Session(settings, sink=LslOutlets, now=local_clock) as session:

            def stream() -> dict[str, Any]:
                (one,) = session.status()["streams"] or [{"samples": 0, "lost": 0}]
                return dict(one)

            session.prepare(PrepareRequest(variables=(VARIABLE,))).result(PATIENCE_S)
            recorder = StandInRecorder(RESOLVE_S)
            try:
                recorder.record(path)
                for is_first in (True, False):
                    session.start(StartRequest(variables=(VARIABLE,))).result(PATIENCE_S)
                    wait_until(lambda: stream()["samples"] > RATE_HZ, "samples", PATIENCE_S)
                    if is_first:
                        board.inject(DropPair(n=1, variable=VARIABLE))
                        wait_until(lambda: stream()["lost"], "the loss", PATIENCE_S)
                    session.stop().result(PATIENCE_S)
                    wait_until(lambda: session.status()["state"] != "streaming", "the end")
                    last = stream()
                    n_samples, n_lost = n_samples + last["samples"], n_lost + last["lost"]
                time.sleep(FETCHED_S)
                recorder.stop()
            finally:
                recorder.close()
    gc.collect()  # what websockets left must not meet the checks that look at every object
    return n_samples, n_lost


@pytest.mark.timeout(120)
def test_the_report_says_what_status_said(tmp_path: Path, wait_until: WaitUntil) -> None:
    n_samples, n_lost = record(tmp_path / "x.xdf", wait_until)
    report = report_on(read_recording(tmp_path / "x.xdf"))
    (account,) = report.streams
    assert account.title == STREAM
    assert (account.n_samples, account.n_missing) == (n_samples, n_lost)
    assert n_lost > 0
    assert account.told == {VARIABLE: n_lost}
    assert account.disagreements == ()
    assert [one.kind for one in account.breaks] == [BreakKind.LOSS, BreakKind.PAUSE]
    assert account.n_backwards == account.n_repeated == account.n_told_elsewhere == 0
    assert abs(account.rate_error_ppm) < RATE_ERROR_PPM
    assert report.verdict in (ReportVerdict.WARN, ReportVerdict.FAIL)  # a block of a few seconds
    kinds = [marker.kind for marker in report.events]
    assert kinds == ["started", "gap", "stopped", "started", "stopped"]
    (clock,) = report.clocks
    assert clock.max_uncertainty_s > 0
    assert report.recording.warnings == ()
