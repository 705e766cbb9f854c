"""The values of a block as they are, for boards whose ticks do not follow time. Pure, no I/O."""

from __future__ import annotations

import numpy as np

from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Array, Ticks


def unstamped_values(block: Block, *, is_last: bool) -> tuple[Ticks, Array]:
    """Give the values of a block, and their ticks as far as the block tells them.

    Parameters
    ----------
    block : Block
        A block, or a single monitored value.
    is_last : bool
        Whether zeros at the end of a dense block may be padding; those are left out.

    Returns
    -------
    ndarray of int64 of shape (n_values,)
        The tick of each value; of a dense block, whose values have none of their own, the first's.
    ndarray of shape (n_values,)
        The values.
    """
    values = block.values
    if block.relative_ticks is not None:  # without padding, which shows in them
        return block.tick + block.relative_ticks.astype(np.int64), values
    n_values = values.size
    if is_last and not block.monitor:
        n_values = int(np.flatnonzero(values)[-1]) + 1 if values.any() else 0
    return np.full(n_values, block.tick, np.int64), values[:n_values]
