"""Processor time while idle, and times to start: tables of ``performance.py``."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

import psutil

from benchmarks.measured_processes import ROOT, Load, board, lsl_settings

_SETTLED_S: Final = 8.0
"""After which the clock is settled and is asked for rarely."""
_IDLE_LOADS: Final = (Load("idle, 130 variables", 44100, 130),)
_TIMES: Final = 5
_SERVER: Final = ("-m", "api.server", "--port=0")


def _run(*arguments: str) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s


def _import_s() -> float:
    """Return how long the import takes that the server needs to listen."""
    program = (
        "import time; began_s = time.perf_counter(); import api.server; "
        "print(time.perf_counter() - began_s)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return float(ended.stdout)


def _listening_s() -> float:
    """Return how long the server takes from its start until clients can connect."""
    with lsl_settings() as environment:
        began_s = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, *_SERVER, "--board=127.0.0.1:9"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            if process.stdout is not None:
                process.stdout.readline()
            took_s = time.perf_counter() - began_s
            process.terminate()
    return took_s


def start_table() -> Iterator[str]:
    """Yield the lines of the table: what is needed before anything else happens."""
    yield "| Start | median s | aimed at |"
    yield "|---|---:|---:|"
    rows: tuple[tuple[str, Callable[[], float], float], ...] = (
        ("import of `api.server`", _import_s, 0.3),
        ("`python -m api.server`: listening", _listening_s, 0.6),
        ("`python main.py --help`", lambda: _run("main.py", "--help"), 0.1),
        ("`python -c pass`", lambda: _run("-c", "pass"), 0.0),
    )
    for title, measure, limit_s in rows:
        median_s = statistics.median(measure() for _ in range(_TIMES))
        yield f"| {title} | {median_s:.2f} | {limit_s or '-'} |"


def idle_table(seconds: float) -> Iterator[str]:
    """Yield the lines of the table: a server that is connected, and asked for nothing."""
    yield "| Idle | % of a core | RSS MiB |"
    yield "|---|---:|---:|"
    for load in _IDLE_LOADS:
        with lsl_settings() as environment, board(load, environment) as (port, _):
            process = subprocess.Popen(
                [sys.executable, *_SERVER, f"--board=127.0.0.1:{port}"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                time.sleep(_SETTLED_S)
                measured = psutil.Process(process.pid)
                before = measured.cpu_times()
                time.sleep(seconds)
                after = measured.cpu_times()
                rss_mib = measured.memory_info().rss / 2**20
            finally:
                process.terminate()
                process.wait()
        used_s = after.user + after.system - before.user - before.system
        yield f"| {load.title} | {100 * used_s / seconds:.2f} | {rss_mib:.0f} |"
