"""One received dense block: its values, and what it proves about them. Pure, no I/O."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Array
from bela_module.tracking.dense_steps import BlockEvidence


class ReceivedBlock(NamedTuple):
    """The values of a dense block together with the evidence that it gives about the step."""

    values: Array
    evidence: BlockEvidence

    @classmethod
    def of(
        cls, block: Block, possible_tick: float = math.inf, silent_ticks: float = 0.0
    ) -> ReceivedBlock:
        """Make it from a block, the latest tick that was possible then, and a silence before."""
        n_certain = _count_certain(_bits(block.values))
        return cls(block.values, BlockEvidence(block.tick, n_certain, possible_tick, silent_ticks))

    @property
    def tick(self) -> int:
        """Tick of the first value."""
        return self.evidence.tick

    @property
    def n_certain(self) -> int:
        """Number of values that cannot be padding: up to the last that is not zero."""
        return self.evidence.n_certain

    def sent_by(self, tick: int) -> ReceivedBlock:
        """Give the same block with the evidence that it was sent by a tick."""
        possible_tick = min(tick, self.evidence.possible_tick)
        return self._replace(evidence=self.evidence._replace(possible_tick=possible_tick))

    def is_contradicted_by(self, following: ReceivedBlock, step: int) -> bool:
        """Tell whether a later block begins among the certain values of this one."""
        at, off_grid = divmod(following.tick - self.tick, step)
        n_shared = self.n_certain - at
        if n_shared <= 0:
            return False
        # The same values again are a repetition, not a contradiction.
        again = np.array_equal(
            _bits(self.values)[at : self.n_certain], _bits(following.values)[:n_shared]
        )
        return bool(off_grid) or not again


def _bits(values: Array) -> Array:
    """View values as unsigned integers: padding is all zero bits, but -0.0 is a value."""
    return values.view(np.dtype(f"<u{values.dtype.itemsize}"))


def _count_certain(bits: Array) -> int:
    """Count the values up to the last that is not all zero bits, as padding is."""
    if bits[-1]:
        return bits.size
    used = np.flatnonzero(bits)
    return int(used[-1]) + 1 if used.size else 0
