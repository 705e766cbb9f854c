"""Pieces of streams: what pyxdf leaves out at the end is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyxdf

from bela_module.reports.xdf_reader import read_recording
from benchmarks.xdf_file import XdfFile
from tests.support.recordings import BEGIN_S, MadeRecording, regular


@pytest.mark.parametrize("last_offset_s", [1e-3, 900.0])
@pytest.mark.parametrize("n_told", [0, 1010, 1199, 1200])
def test_what_pyxdf_leaves_out_at_the_end_is_left_out(
    tmp_path: Path, n_told: int, last_offset_s: float
) -> None:
    """More samples than the footer tells, with an odd offset, as when an outlet was ended."""
    made = MadeRecording()
    rows = np.arange(1200.0).reshape(-1, 1)
    rows[1150] = np.nan
    made.samples("eeg", regular(1200), rows=rows)
    path = tmp_path / "x.xdf"
    with XdfFile(path) as file:
        file.write_header(1, made.streams[0].header())
        for part in (slice(0, 1000), slice(1000, 1100), slice(1100, 1200)):
            file.write_samples(1, made.streams[0].stamps_s[part], made.streams[0].rows[part])
        for number in range(9):
            file.write_offset(1, BEGIN_S + 0.1 * number, 1e-3 + 1e-6 * (number % 2))
        file.write_offset(1, BEGIN_S + 0.9, last_offset_s)
        file.write_footer(1, BEGIN_S, BEGIN_S + 1, n_told)
    (stream,) = read_recording(path, lambda *_: (0,)).streams
    theirs, _ = pyxdf.load_xdf(path, dejitter_timestamps=False)
    np.testing.assert_allclose(stream.stamps_s, theirs[0]["time_stamps"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(stream.column(0), theirs[0]["time_series"].ravel())
    assert stream.n_not_numbers is not None
    assert stream.n_not_numbers.tolist() == [np.isnan(theirs[0]["time_series"]).sum()]
