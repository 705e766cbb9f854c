"""All lines of a page as two long columns, which a browser takes in one step. Pure.

A separate array for each of 130 channels would be a message of its own each. Here a NaN among the
times ends a line, and a NaN among the heights alone interrupts it; the browser cuts the columns
into lines again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Line = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Times and heights of the points of one line."""

_NO_POINTS: Final = np.empty(0)
_END: Final = np.full(1, np.nan)


def line_columns(lines: Sequence[Line]) -> dict[str, NDArray[np.float32]]:
    """Join lines.

    Parameters
    ----------
    lines : sequence of (ndarray of shape (n,), ndarray of shape (n,))
        Times and heights of each line, possibly of none.

    Returns
    -------
    dict of str to ndarray of float32
        Columns ``x`` and ``y`` of the same length; each line ends with NaN in both.
    """
    times = [part for x, _ in lines for part in (x, _END)]
    heights = [part for _, y in lines for part in (y, _END)]
    return {
        "x": np.concatenate([*times, _NO_POINTS]).astype(np.float32),
        "y": np.concatenate([*heights, _NO_POINTS]).astype(np.float32),
    }
