"""Headers and payloads of the data channel, packed by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from bela_module.protocol.block_encoder import encode_header
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder, DecoderCounters, Refusal
from bela_module.protocol.variables import ValueType, Variable

STRUCT = {"c": "B", "j": "I", "i": "i", "f": "f", "d": "d"}


# Section 3 of the wire's description: dense values, sparse values, where their ticks stand, pad.
LAYOUTS = {
    "c": (4096, 816, 824, 16),
    "j": (1024, 512, 2056, 0),
    "i": (1024, 512, 2056, 0),
    "f": (1024, 512, 2056, 0),
    "d": (512, 341, 2736, 4),
}


def variable(kind: str, *, sparse: bool = False, index: int = 0) -> Variable:
    return Variable(index, f"v{index}", ValueType(kind), sparse)


def golden_dense(kind: str, tick: int, values: Sequence[Any]) -> bytes:
    return struct.pack(f"<Q{len(values)}{STRUCT[kind]}", tick, *values).ljust(4104, b"\0")


def golden_sparse(
    kind: str, tick: int, values: Sequence[Any], relative_ticks: Sequence[int]
) -> bytes:
    offset = LAYOUTS[kind][2]
    head = struct.pack(f"<Q{len(values)}{STRUCT[kind]}", tick, *values).ljust(offset, b"\0")
    return (head + struct.pack(f"<{len(values)}I", *relative_ticks)).ljust(4104, b"\0")


def describe(block: Block) -> tuple[Any, ...]:
    """Give what a block says in a form that can be compared."""
    relative = None if block.relative_ticks is None else block.relative_ticks.tobytes()
    return (
        block.variable.index,
        block.tick,
        block.values.tobytes(),
        relative,
        block.monitor,
        block.full,
    )


A, B, C = variable("f", index=0), variable("d", index=1), variable("f", sparse=True, index=2)


HEAD_A, HEAD_B, HEAD_C = map(encode_header, (A, B, C))


PAY_A = golden_dense("f", 10, [1.0])


def decode(messages: Iterable[bytes | str]) -> tuple[list[Block], list[Refusal], DecoderCounters]:
    decoder = DataDecoder([A, B, C])
    results = [decoder.receive(message) for message in messages]
    blocks = [result for result in results if isinstance(result, Block)]
    refusals = [result for result in results if isinstance(result, Refusal)]
    return blocks, refusals, decoder.counters


VARIABLES = [
    variable(kind, sparse=sparse, index=2 * k + sparse)
    for k, kind in enumerate(LAYOUTS)
    for sparse in (False, True)
]


headers = st.sampled_from([encode_header(v) for v in VARIABLES] + [b"10/f", b"4/d"])


payloads = st.one_of(
    st.builds(
        lambda tick, tail: struct.pack("<Q", tick) + tail * (4096 // len(tail)),
        st.integers(0, 2**64 - 1),
        st.binary(min_size=8, max_size=8) | st.sampled_from([bytes(8), b"\xff" * 8]),
    ),
    st.sampled_from([9, 12, 16, 4104]).flatmap(
        lambda size: st.binary(min_size=min(size, 16), max_size=min(size, 16)).map(
            lambda raw: raw.ljust(size, b"\0")
        )
    ),
)
