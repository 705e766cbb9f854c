"""The samples of the last minute of one stream, in the blocks in which they came. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bela_module.protocol.variables import Array
from bela_module.streams.sink import Stamps

_JOINED_SAMPLES: Final = 512


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Consecutive samples of a stream.

    Attributes
    ----------
    stamps_s : ndarray of float64 of shape (n_samples,)
        LSL time of each.
    values : ndarray of shape (n_samples, n_channels)
        The samples.
    """

    stamps_s: Stamps
    values: Array

    @property
    def n_samples(self) -> int:
        """How many samples there are."""
        return int(self.stamps_s.size)


class SampleHistory:
    """Keeps the newest samples of a stream.

    Parameters
    ----------
    n_channels : int
        Channels of the stream.
    kept_s : float
        How long samples are kept, in their own time.
    blocks : iterable of SampleBlock
        Samples that are kept already.
    """

    def __init__(self, n_channels: int, kept_s: float, blocks: Iterable[SampleBlock] = ()) -> None:
        self.n_channels = n_channels
        self.generation = 0
        """Grows when time went back, as with another clock: what was there before is forgotten."""
        self._kept_s = kept_s
        self._blocks: deque[SampleBlock] = deque(blocks)

    @property
    def last_stamp_s(self) -> float | None:
        """LSL time of the newest sample."""
        return float(self._blocks[-1].stamps_s[-1]) if self._blocks else None

    def frozen(self) -> SampleHistory:
        """Copy it as it is now; blocks never change, and are shared."""
        one = SampleHistory(self.n_channels, self._kept_s, self._blocks)
        one.generation = self.generation
        return one

    def values_at(self, stamp_s: float) -> Array | None:
        """Give the last sample that is not later than a time, of shape (n_channels,)."""
        for block in reversed(self._blocks):
            if block.stamps_s[0] <= stamp_s:
                at = int(np.searchsorted(block.stamps_s, stamp_s, "right"))
                sample: Array = block.values[at - 1]
                return sample
        return None

    @property
    def last_values(self) -> Array | None:
        """The newest sample, of shape (n_channels,)."""
        return self._blocks[-1].values[-1] if self._blocks else None

    def add(self, stamps_s: Stamps, values: Array) -> None:
        """Take samples in the order of their times.

        Parameters
        ----------
        stamps_s : ndarray of float64 of shape (n_samples,)
            LSL time of each.
        values : ndarray of shape (n_samples, n_channels)
            The samples.
        """
        if not stamps_s.size:
            return
        if self._blocks and stamps_s[0] < self._blocks[-1].stamps_s[-1]:
            self._blocks.clear()
            self.generation += 1
        self._append(SampleBlock(stamps_s, values))
        oldest_s = stamps_s[-1] - self._kept_s
        while self._blocks[0].stamps_s[-1] < oldest_s:
            self._blocks.popleft()
        first = self._blocks[0]
        kept = slice(int(np.searchsorted(first.stamps_s, oldest_s)), None)
        self._blocks[0] = SampleBlock(first.stamps_s[kept], first.values[kept])

    def _append(self, block: SampleBlock) -> None:
        """Append a block; small ones become one, since each costs some time to look through."""
        if self._blocks and self._blocks[-1].n_samples + block.n_samples <= _JOINED_SAMPLES:
            block = _join((self._blocks.pop(), block), self.n_channels)
        self._blocks.append(block)

    def between(self, first_s: float, last_s: float, *, and_before: bool = False) -> SampleBlock:
        """Give the samples of a span of time.

        Parameters
        ----------
        first_s, last_s : float
            LSL times, both included.
        and_before : bool
            Whether the one sample before the span is given, too.
        """
        found: list[SampleBlock] = []
        for block in reversed(self._blocks):
            if block.stamps_s[0] > last_s:
                continue
            begin = int(np.searchsorted(block.stamps_s, first_s, "left"))
            end = int(np.searchsorted(block.stamps_s, last_s, "right"))
            if and_before and begin > 0:
                begin -= 1
            found.append(SampleBlock(block.stamps_s[begin:end], block.values[begin:end]))
            if block.stamps_s[0] < first_s:
                break
        return _join(found[::-1], self.n_channels)

    def longest_step(self, stamp_s: float, within_s: float) -> tuple[float, float] | None:
        """Give the times of the two consecutive samples around a time that are farthest apart.

        Parameters
        ----------
        stamp_s : float
            The time.
        within_s : float
            How far from it the two may end or begin.

        Returns
        -------
        (float, float) or None
            None as long as the samples after that time have not come.
        """
        last_s = self.last_stamp_s
        if last_s is None or last_s <= stamp_s + within_s:
            return None
        stamps_s = self.between(stamp_s - within_s, stamp_s + within_s, and_before=True).stamps_s
        after = next(
            float(block.stamps_s[at])
            for block in self._blocks
            if (at := int(np.searchsorted(block.stamps_s, stamp_s + within_s, "right")))
            < block.n_samples
        )
        if not stamps_s.size:
            return None
        steps_s = np.diff(stamps_s, append=after)
        longest = int(np.argmax(steps_s))
        return float(stamps_s[longest]), float(stamps_s[longest] + steps_s[longest])

    def count_between(self, first_s: float, last_s: float) -> int:
        """Count the samples of a span of time without a copy of them."""
        count = 0
        for block in reversed(self._blocks):
            if block.stamps_s[-1] < first_s:
                break
            if first_s <= block.stamps_s[0] and block.stamps_s[-1] <= last_s:
                count += block.n_samples
            else:
                begin = np.searchsorted(block.stamps_s, first_s, "left")
                count += int(np.searchsorted(block.stamps_s, last_s, "right") - begin)
        return count


def _join(blocks: Sequence[SampleBlock], n_channels: int) -> SampleBlock:
    if not blocks:
        return SampleBlock(np.empty(0), np.empty((0, n_channels)))
    if len(blocks) == 1:
        return blocks[0]
    return SampleBlock(
        np.concatenate([block.stamps_s for block in blocks]),
        np.concatenate([block.values for block in blocks]),
    )
