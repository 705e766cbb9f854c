"""Values of the sketch ``alltypes``, of which a capture exists."""

from __future__ import annotations

import numpy as np

from bela_module.protocol.variables import Array, Ticks


def formula(name: str, ticks: Ticks) -> Array:
    """Give what the sketch ``alltypes`` assigns at some ticks."""
    match name[1]:
        case "c":
            return ticks & 0xFF
        case "j":
            return (0x80000000 + ticks) % 2**32
        case "i":
            return np.where(ticks % 2 == 1, -ticks, ticks)
        case "f":
            return (ticks % 16384) / 64 - 128
        case _:
            return ticks * 0.5 - 1e9
