"""Irregular streams keep what a consumer that stands still does not read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.stream_plans import StreamMode
from tests.support.outlet_helpers import IRREGULAR, WaitUntil, opened, plan_of, push
from tests.support.paths import ROOT

N_CHANNELS = 4  # so that what waits does not fit into what the system buffers of a connection
RATE_HZ = 22050
STOPPED_S = 8
CHUNK = 441

CONSUMER = """
import json, sys
import numpy as np, pylsl
name, n_hundreds, n_samples = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
inlet = pylsl.StreamInlet(pylsl.resolve_byprop("name", name, 1, 20)[0], n_hundreds)
inlet.open_stream(20)
buffer = np.empty((n_samples, 4), np.float64)
print("listens", flush=True)
sys.stdin.readline()
n, wrong = 0, 0
while n < n_samples:
    _, stamps_s = inlet.pull_chunk(5.0, n_samples - n, buffer)
    if not stamps_s:
        break
    expected = np.arange(n, n + len(stamps_s))
    wrong += int(np.count_nonzero(buffer[: len(stamps_s)] != expected[:, None]))
    n += len(stamps_s)
print(json.dumps([n, wrong]))
"""


@pytest.mark.parametrize(
    ("nominal_hz", "expected"),
    [
        (0.0, 2205),  # hundreds of samples: 10 s at the rate of the ticks
        (22050.0, 10),  # seconds
        (100.0, 100),  # as many samples as before
        (0.001, 1_000_000),
    ],
)
def test_sizes(nominal_hz: float, expected: int) -> None:
    facts = replace(IRREGULAR, nominal_rate_hz=nominal_hz)
    for sparse in (True, False):
        plan = plan_of("sizes", ValueType.FLOAT, sparse=sparse)
        with closing(LslOutlets()) as outlets:
            assert outlets._max_buffered(plan, facts) == expected


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_a_consumer_that_stands_still_for_eight_seconds_gets_everything(
    unique: str, wait_until: WaitUntil
) -> None:
    plan = plan_of(unique, *[ValueType.DOUBLE] * N_CHANNELS, sparse=True)
    assert plan.mode is StreamMode.SPARSE
    n_samples = RATE_HZ * STOPPED_S
    command = [sys.executable, "-c", CONSUMER, plan.name, str(n_samples // 100 + 1), str(n_samples)]
    with (
        opened(plan, IRREGULAR) as outlets,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        process.send_signal(signal.SIGSTOP)
        for first in range(0, n_samples, CHUNK):
            numbers = np.arange(first, first + CHUNK)
            rows = np.repeat(numbers[:, np.newaxis], N_CHANNELS, 1).astype(np.float64)
            push(outlets, plan, rows, 1000.0 + numbers / RATE_HZ)
        wait_until(lambda: outlets._budget.used_bytes == 0, "LSL has everything")
        process.send_signal(signal.SIGCONT)
        written, _ = process.communicate("go on\n", timeout=40)
    assert json.loads(written) == [n_samples, 0]
