"""Buffers of ramps: their ticks, and values that are their ticks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bela_module.recording.buffers import BufferData


def ticks_of(buffers: Sequence[BufferData]) -> NDArray[np.int64]:
    parts = [buffer["rel_timestamps"] + buffer["ref_timestamp"] for buffer in buffers]
    return np.concatenate([*parts, np.empty(0, np.int64)])


def check_values(name: str, buffers: Sequence[BufferData]) -> None:
    """Check that values are their ticks, as the variable's type holds them."""
    dtype = {"d": "f8", "j": "u4", "i": "i4", "c": "u1", "sparse": "f8"}[name.split("_")[1]]
    for buffer in buffers:
        ticks = buffer["rel_timestamps"] + buffer["ref_timestamp"]
        assert buffer["data"].dtype == np.dtype(dtype)
        np.testing.assert_array_equal(buffer["data"], ticks.astype(dtype))
