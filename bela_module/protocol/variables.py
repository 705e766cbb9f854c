"""Variables of the sketch: their C++ types and the layout of their blocks. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PAYLOAD_BYTES: Final = 4104
"""Size of every watch payload: a uint64 tick and 4096 bytes."""

TICK_BYTES: Final = 8
"""Size of the tick at the start of every payload."""

_RELATIVE_TICK_BYTES: Final = 4

Array = NDArray[Any]
Ticks = NDArray[np.int64]


class ValueType(StrEnum):
    """C++ type of a Watcher variable, by the letter that the board uses."""

    CHAR = "c"
    UNSIGNED_INT = "j"
    INT = "i"
    FLOAT = "f"
    DOUBLE = "d"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy type of one value on the wire; ``char`` is unsigned, as on the board's ARM."""
        return _DTYPES[self]

    @property
    def label(self) -> str:
        """The type's name in C++."""
        return self.name.lower().replace("_", " ")


_DTYPES: Final[dict[ValueType, np.dtype[Any]]] = {
    ValueType.CHAR: np.dtype("<u1"),
    ValueType.UNSIGNED_INT: np.dtype("<u4"),
    ValueType.INT: np.dtype("<i4"),
    ValueType.FLOAT: np.dtype("<f4"),
    ValueType.DOUBLE: np.dtype("<f8"),
}


@dataclass(frozen=True)
class BlockLayout:
    """Positions of values and relative ticks in a watch payload.

    As measured on the board's code, with *s* the size of a value: the values of a sparse payload
    end at 8 + floor(4096 / (s + 4)) · s, rounded down to a multiple of 4; the relative ticks
    follow, then zeros.
    """

    value_type: ValueType
    sparse: bool

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Numpy type of one value."""
        return self.value_type.dtype

    @cached_property
    def ticks_offset_bytes(self) -> int:
        """Offset at which the values end and, in a sparse payload, the relative ticks begin."""
        if not self.sparse:
            return PAYLOAD_BYTES
        size = self.value_type.dtype.itemsize
        room = (PAYLOAD_BYTES - TICK_BYTES) // (size + _RELATIVE_TICK_BYTES)
        return (TICK_BYTES + room * size) // 4 * 4

    @cached_property
    def value_count(self) -> int:
        """Number of values that a full payload holds."""
        return (self.ticks_offset_bytes - TICK_BYTES) // self.value_type.dtype.itemsize

    @cached_property
    def monitor_bytes(self) -> int:
        """Size of a monitor payload of this type."""
        return TICK_BYTES + self.value_type.dtype.itemsize


_LAYOUTS: Final = {
    (kind, sparse): BlockLayout(kind, sparse) for kind in ValueType for sparse in (False, True)
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the sketch, with its state on the board, as a reply to ``list`` shows it."""

    index: int
    """Position in the list, which is the id on the data channel."""
    name: str
    """Name in the sketch; may be empty or repeated with older versions of Watcher."""
    value_type: ValueType
    sparse: bool = False
    """Whether each value carries its own tick (``timestampMode`` 1)."""
    value: float = 0.0
    """What the sketch reads: the controlled value while controlled; NaN if not finite."""
    value_input: float = 0.0
    """What the sketch last assigned; NaN if not finite."""
    watched: bool = False
    """Shared by all clients, as is all state on the board."""
    controlled: bool = False
    logged: bool = False
    monitor_period_ticks: int = 0
    """Period of its monitor, 0 when off."""
    log_file_name: str = ""
    """File on the board that it was last logged to."""

    @property
    def identity(self) -> tuple[str, ValueType, bool]:
        """Name, type and sparseness, which stay when the position changes."""
        return self.name, self.value_type, self.sparse

    def is_same_as(self, other: Variable) -> bool:
        """Tell whether another one has the same identity, at whatever position."""
        return self is other or (
            self.name == other.name
            and self.value_type is other.value_type
            and self.sparse == other.sparse
        )

    @property
    def layout(self) -> BlockLayout:
        """Layout of its watch payloads."""
        return _LAYOUTS[self.value_type, self.sparse]


def same_variables(some: Sequence[Variable], others: Sequence[Variable]) -> bool:
    """Tell whether two lists have variables of the same identities in the same order."""
    return len(some) == len(others) and all(map(Variable.is_same_as, some, others))
