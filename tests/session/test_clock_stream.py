"""``bela_clock``: a proof of all stamps beside each run, over LSL."""

from __future__ import annotations

import time

import numpy as np
import pylsl
import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import WaitUntil, board_of, published_on, variable

LABELS = ["tick", "uncertainty_s", "tick_rate_hz", "drift_ppm", "rtt_s", "unix_s"]


@pytest.fixture
def board() -> SimulatedBoard:
    return board_of(variable("a"))


def test_a_sample_a_second_tells_a_tick_and_its_times(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    name = f"{unique}clock"
    settings = {"clock_stream": name}
    with board, published_on(board, unique, streaming=settings) as one:
        one.prepare()
        found = pylsl.resolve_byprop("name", name, 1, 20.0)
        assert len(found) == 1
        inlet = pylsl.StreamInlet(found[0], processing_flags=pylsl.proc_none)
        inlet.open_stream(20.0)
        assert inlet.info().nominal_srate() == 0.0
        assert inlet.info(20.0).get_channel_labels() == LABELS
        time.sleep(0.6)
        assert name not in one.sink.kept or one.sink[name].n_samples == 0  # nothing streams yet
        one.start()
        wait_until(lambda: name in one.sink.kept and one.sink[name].n_samples >= 3, "3 samples")
        one.stop()
        kept = one.sink[name]
        n_samples = kept.n_samples
        rows: list[list[float]] = []
        stamps_s: list[float] = []
        while len(rows) < n_samples:
            more, times_s = inlet.pull_chunk(timeout=20.0, max_samples=n_samples - len(rows))
            assert more
            rows += more
            stamps_s += times_s
        inlet.close_stream()
        time.sleep(1.3)
        assert kept.n_samples == n_samples  # nothing streams any more
        assert name not in one.streams
    ticks, uncertainties_s, rates_hz, drifts_ppm, rtts_s, unix_s = np.array(rows).T
    times = np.array(stamps_s)
    np.testing.assert_array_equal(ticks, kept.ticks)
    true_s = board.true_time_s(kept.ticks)
    assert (np.abs(times - true_s) <= uncertainties_s).all()
    assert np.diff(times).min() == pytest.approx(1.0, abs=0.9)  # a stall makes one longer
    assert rates_hz == pytest.approx(44100.0, rel=1e-2)
    assert np.isfinite(drifts_ppm).all()
    assert ((rtts_s > 0) & (rtts_s < 1)).all()
    offset_s = max(time.time() - local_clock() for _ in range(10))  # a stall makes it less
    assert unix_s - times == pytest.approx(offset_s, abs=0.1)


def test_an_empty_name_means_no_stream(
    board: SimulatedBoard, unique: str, wait_until: WaitUntil
) -> None:
    with board, published_on(board, unique) as one:
        one.start()
        wait_until(lambda: one.samples(f"{unique}a") > 20_000, "samples")
        assert set(one.sink.kept) == {f"{unique}a"}
