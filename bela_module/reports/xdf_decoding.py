"""Samples of a stream, decoded chunk by chunk into pieces, for each of which pyxdf gets two. Pure.

Of a stream with more samples than its footer tells, and an odd last offset between clocks, pyxdf
leaves both out (github.com/labstreaminglayer/pylsl/issues/67). So a chunk is divided where the
footer's number ends, and pyxdf is told how many pieces that is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bela_module.reports.recorded_stream import Floats
from bela_module.reports.xdf_samples import (
    SampleLayout,
    are_times,
    are_whole_texts,
    decode_samples,
    encode_two,
)


class DecodedNumbers:
    """Samples of a stream of numbers, as they are decoded.

    Parameters
    ----------
    layout : SampleLayout
        How they are written.
    dtype : numpy.dtype
        Type of a value.
    kept : tuple of int
        Channels of which the values are kept.
    n_told : int or None
        How many samples the footer tells; ``None`` without one.

    Attributes
    ----------
    n_damaged : int
        Chunks that are damaged and left out.
    n_timeless : int
        Samples whose stamp is no time, which are left out.
    n_told_pieces : int or None
        Pieces up to the number of samples that the footer tells; ``None`` if there are no more.
    """

    def __init__(
        self,
        layout: SampleLayout,
        dtype: np.dtype[Any],
        kept: tuple[int, ...],
        n_told: int | None,
    ) -> None:
        self.layout = layout
        self.dtype = dtype
        self.kept = kept
        self.n_damaged = self.n_timeless = 0
        self.n_told_pieces: int | None = None
        self._n_told = n_told
        self._n_samples = 0
        self._stamps_s: list[Floats] = []
        self._values: list[NDArray[Any]] = []
        self._n_not_numbers: list[NDArray[np.int64]] = []
        self._last_s = 0.0

    def take(self, content: bytes) -> list[bytes]:
        """Decode a chunk; give what stands for it: nothing when it has no samples."""
        found = decode_samples(content, self.layout, self._last_s)
        if found is None:
            self.n_damaged += 1
            return []
        stamps_s, values = found
        told_end = (self._n_told or 0) - self._n_samples
        self._n_samples += stamps_s.size
        pieces = [(stamps_s, values)]
        if self._n_told is not None and 0 <= told_end < stamps_s.size:
            pieces = [(stamps_s[:told_end], values[:told_end])]
            pieces += [(stamps_s[told_end:], values[told_end:])]
        taken = []
        for number, piece in enumerate(pieces):
            if number == 1:
                self.n_told_pieces = len(self._stamps_s)
            taken += self._take_piece(*piece)
        return taken

    def _take_piece(self, stamps_s: Floats, values: NDArray[Any]) -> list[bytes]:
        is_time = are_times(stamps_s)
        if not is_time.all():
            self.n_timeless += int(stamps_s.size - is_time.sum())
            stamps_s, values = stamps_s[is_time], values[is_time]
        if stamps_s.size == 0:
            return []
        self._last_s = float(stamps_s[-1])
        self._stamps_s.append(stamps_s)
        self._values.append(values[:, list(self.kept)])
        not_numbers = np.isnan(values) if self.dtype.kind == "f" else np.zeros_like(values, bool)
        self._n_not_numbers.append(not_numbers.sum(axis=0))
        return [encode_two(stamps_s, self.layout)]

    def end(self, ends_s: Floats) -> Floats:
        """Give all stamps, each chunk moved to where pyxdf has moved its first and last one.

        What pyxdf has left out at the end is left out here.
        """
        n_pieces = ends_s.size // 2
        for pieces in (self._stamps_s, self._values, self._n_not_numbers):
            del pieces[n_pieces:]
        moved = []
        for stamps_s, (first_s, last_s) in zip(self._stamps_s, ends_s.reshape(-1, 2), strict=True):
            offset_s, span_s = first_s - stamps_s[0], stamps_s[-1] - stamps_s[0]
            slope = (last_s - stamps_s[-1] - offset_s) / span_s if span_s else 0.0
            moved.append(stamps_s + offset_s + slope * (stamps_s - stamps_s[0]))
        return np.concatenate(moved) if moved else np.empty(0)

    def columns(self) -> NDArray[Any]:
        """Give the values that were kept, shape (n_samples, n_kept)."""
        nothing = np.empty((0, len(self.kept)), self.dtype)
        return np.concatenate(self._values) if self._values else nothing

    @property
    def n_not_numbers(self) -> NDArray[np.int64]:
        """How many values of each channel are NaN."""
        nothing = np.zeros(self.layout.n_channels, np.int64)
        return np.sum(self._n_not_numbers, axis=0) if self._n_not_numbers else nothing


class WholeTexts:
    """Chunks of a stream of texts, which are left to pyxdf when they are whole.

    Parameters
    ----------
    n_channels : int
        Texts of a sample.

    Attributes
    ----------
    n_damaged : int
        Chunks that are damaged and left out.
    n_timeless : int
        Samples whose stamp is no time, as counted by the reader.
    """

    def __init__(self, n_channels: int) -> None:
        self.n_channels = n_channels
        self.n_damaged = self.n_timeless = 0

    def take(self, content: bytes) -> list[bytes]:
        """Give a chunk as it is, nothing when it is damaged: pyxdf would read beyond its end."""
        if are_whole_texts(content, self.n_channels):
            return [content]
        self.n_damaged += 1
        return []
