"""What an importer makes of a recorded stream: an XDF file of it, loaded with pyxdf.

The board's values are the LSL times at which they were taken, so the error of a loaded sample is
its time stamp minus its value.
"""

from __future__ import annotations

import gc
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pylsl
import pytest
import pyxdf
from numpy.typing import NDArray

from bela_module.config import parse_settings
from bela_module.requests import StartRequest
from bela_module.session.session import Session
from bela_module.simulator.faults.message_faults import DropPair
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from tests.support.waiting import until

TICK_RATE_HZ = 44100.0
BLOCK_VALUES = 512
TOLERANCE_S = 0.001
PATIENCE_S = 20.0
PIECE_S = 1.0

CAN_DROP = "<can_drop_samples>true</can_drop_samples>"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Recorded:
    """A stream's header as LSL tells it, and its samples, with one lost block among them."""

    header: str
    truth_s: Floats
    stamp_s: Floats

    @property
    def gap(self) -> int:
        """Index of the first sample after the lost block."""
        return int(np.argmax(np.diff(self.truth_s))) + 1

    def before_gap(self) -> Recorded:
        return Recorded(self.header, self.truth_s[: self.gap], self.stamp_s[: self.gap])

    def with_header(self, header: str) -> Recorded:
        return Recorded(header, self.truth_s, self.stamp_s)


def pulled(inlet: pylsl.StreamInlet, until_s: float) -> Iterator[tuple[float, float]]:
    """Pull values with their stamps until these have come to a time."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        values, stamps = inlet.pull_chunk(timeout=0.02, max_samples=4096)
        for (value,), stamp_s in zip(values, stamps, strict=True):
            yield value, stamp_s
        if stamps and stamps[-1] > until_s:
            return
    pytest.fail(f"no samples came up to {until_s} s")


def is_known(session: Session) -> bool:
    """Tell whether stamps that begin now are right enough."""
    uncertainty_s = session.status()["clock"]["uncertainty_s"]
    return uncertainty_s is not None and bool(uncertainty_s < TOLERANCE_S)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    """Record the simulated board for a while, with one block lost in the middle."""
    with SimulatedBoard("truth", drift_ppm=50.0, clock=local_clock) as board:
        sections = {
            "board": {"host": "127.0.0.1", "port": board.port, "name": "xdf"},
            "streaming": {"prefix": "xdf_", "events_stream": "xdf_events"},
        }
        settings = parse_settings(sections, "test")
        with Session(settings, sink=LslOutlets, now=local_clock) as session:
            session.list_variables().result(PATIENCE_S)
            until(lambda: is_known(session), "a clock that is known well", 3 * PATIENCE_S)
            session.start(StartRequest(variables=("truth",))).result(PATIENCE_S)
            (info,) = pylsl.resolve_byprop("source_id", "bela:xdf:truth:xdf_truth", 1, PATIENCE_S)
            inlet = pylsl.StreamInlet(info, processing_flags=pylsl.proc_none)
            header = inlet.info(PATIENCE_S).as_xml()
            before = list(pulled(inlet, local_clock() + PIECE_S))
            board.inject(DropPair(n=1, variable="truth"))
            until(lambda: board.losses, "the loss")
            samples = np.array([*before, *pulled(inlet, local_clock() + PIECE_S)])
            inlet.close_stream()
    gc.collect()  # what websockets left must not meet the checks that look at every object
    return Recorded(header, samples[:, 0], samples[:, 1])


# ---- a minimal writer of XDF 1.0 (github.com/sccn/xdf/wiki/Specifications) --------------------


def chunk(tag: int, content: bytes) -> bytes:
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def write_xdf(path: Path, recorded: Recorded) -> None:
    """Write a file as a recorder on the same machine does: each sample with its stamp."""
    stream = struct.pack("<I", 1)
    rows = np.empty(recorded.truth_s.size, [("size", "u1"), ("stamp", "<f8"), ("value", "<f8")])
    rows["size"], rows["stamp"], rows["value"] = 8, recorded.stamp_s, recorded.truth_s
    first_s, last_s = recorded.stamp_s[[0, -1]]
    footer = (
        f"<info><first_timestamp>{first_s}</first_timestamp><last_timestamp>{last_s}"
        f"</last_timestamp><sample_count>{rows.size}</sample_count></info>"
    )
    offsets = [chunk(4, stream + struct.pack("<dd", at_s, 0.0)) for at_s in (first_s, last_s)]
    chunks = [
        chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>'),
        chunk(2, stream + recorded.header.encode()),
        chunk(3, stream + b"\x04" + struct.pack("<I", rows.size) + rows.tobytes()),
        *offsets,
        chunk(6, stream + footer.encode()),
    ]
    path.write_bytes(b"XDF:" + b"".join(chunks))


def largest_error_s(recorded: Recorded, path: Path) -> float:
    """Write the samples, load them as an importer does, and compare times with truth."""
    write_xdf(path, recorded)
    (stream,), _ = pyxdf.load_xdf(path)
    truth_s = stream["time_series"][:, 0]
    np.testing.assert_array_equal(truth_s, recorded.truth_s)
    return float(np.abs(stream["time_stamps"] - truth_s).max())


# ---- the checks -------------------------------------------------------------------------------


def test_one_whole_block_is_missing(recorded: Recorded) -> None:
    distances = np.rint(np.diff(recorded.truth_s) * TICK_RATE_HZ)
    assert distances[recorded.gap - 1] == BLOCK_VALUES + 1
    assert np.count_nonzero(distances != 1) == 1


def test_times_are_right_without_a_lost_block(recorded: Recorded, tmp_path: Path) -> None:
    assert largest_error_s(recorded.before_gap(), tmp_path / "whole.xdf") < TOLERANCE_S


def test_times_are_right_with_a_lost_block(recorded: Recorded, tmp_path: Path) -> None:
    assert largest_error_s(recorded, tmp_path / "gap.xdf") < TOLERANCE_S


def test_without_can_drop_samples_a_lost_block_would_shift_all(
    recorded: Recorded, tmp_path: Path
) -> None:
    assert CAN_DROP in recorded.header
    unsaid = recorded.with_header(recorded.header.replace(CAN_DROP, ""))
    assert largest_error_s(unsaid.before_gap(), tmp_path / "whole.xdf") < TOLERANCE_S
    assert largest_error_s(unsaid, tmp_path / "gap.xdf") > 2 * TOLERANCE_S
