"""What the board sends, written byte by byte."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from bela_module.errors import RequestError
from bela_module.protocol.block_encoder import encode_block, encode_header, encode_monitor
from bela_module.protocol.data_channel import Block, decode_payload
from bela_module.protocol.data_decoder import DataDecoder, DecoderCounters, Refusal
from bela_module.protocol.variables import ValueType, Variable

STRUCT = {"c": "B", "j": "I", "i": "i", "f": "f", "d": "d"}
EXTREMES: dict[str, list[Any]] = {
    "c": [0, 127, 128, 255],
    "j": [0, 2**31 - 1, 2**31, 2**32 - 1],
    "i": [0, -1, 2**31 - 1, -(2**31)],
    "f": [0.0, -0.5, 2.0**-126, 3.0e38],
    "d": [0.0, -0.1, 5e-324, 1.7e308],
}
# Section 3 of the wire's description: dense values, sparse values, where their ticks stand, pad.
LAYOUTS = {
    "c": (4096, 816, 824, 16),
    "j": (1024, 512, 2056, 0),
    "i": (1024, 512, 2056, 0),
    "f": (1024, 512, 2056, 0),
    "d": (512, 341, 2736, 4),
}
CAPTURED_BLOCKS = {
    "alltypes": 270,
    "monitor-alltypes": 55,
    "manyvars": 336,
    "bela-test": 353,
    "scheduled": 52,
    "monitor": 228,
    "log": 0,
    "control": 0,
    "large-ticks": 167,
    "reconnect": 48,
    "two-clients-a": 37,
    "two-clients-b": 37,
    "overflow": 203,
    "potentiometers": 88,
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


PAY_B = golden_dense("d", 20, [2.0])


PAY_C = golden_sparse("f", 30, [3.0, 4.0], [0, 12])


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


messages_of_any_kind = st.lists(headers | payloads | st.binary(max_size=40), max_size=30)


@st.composite
def written_blocks(draw: st.DrawFn) -> tuple[Variable, bytes]:
    var = draw(st.sampled_from(VARIABLES))
    tick = draw(st.integers(0, 2**63 - 1))
    if draw(st.booleans()):
        return var, encode_monitor(var, tick, draw(st.integers(0, 100)))
    count = draw(st.integers(1, var.layout.value_count))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, count)
    return var, encode_block(var, tick, values, np.arange(count) * 3 if var.sparse else None)


LOSSES = {"none": 0b11, "payload": 0b10, "header": 0b01, "both": 0b00}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_dense_payload_is_read_and_written_byte_by_byte(kind: str) -> None:
    count = LAYOUTS[kind][0]
    values = list(itertools.islice(itertools.cycle(EXTREMES[kind]), count))
    payload = golden_dense(kind, 2**33 + 5, values)
    var = variable(kind)
    block = decode_payload(var, payload)
    assert (block.variable, block.tick, block.monitor, block.full) == (var, 2**33 + 5, False, True)
    assert block.relative_ticks is None
    expected = np.array(values, dtype=ValueType(kind).dtype)
    np.testing.assert_array_equal(block.values, expected, strict=True)
    assert encode_block(var, 2**33 + 5, expected) == payload


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("part", [1, 2, 3], ids=["full", "half", "third"])
def test_sparse_payload_is_read_and_written_byte_by_byte(kind: str, part: int) -> None:
    count = LAYOUTS[kind][1] // part
    values = list(itertools.islice(itertools.cycle(EXTREMES[kind]), count))
    relative = [12 * k for k in range(count)]
    payload = golden_sparse(kind, 24_000, values, relative)
    var = variable(kind, sparse=True)
    block = decode_payload(var, payload)
    expected = np.array(values, dtype=ValueType(kind).dtype)
    np.testing.assert_array_equal(block.values, expected, strict=True)
    assert block.ticks.tolist() == [24_000 + 12 * k for k in range(count)]
    assert block.full is (part == 1)
    assert not block.monitor
    assert encode_block(var, 24_000, expected, np.array(relative)) == payload


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_monitor_payload_is_read_and_written_byte_by_byte(kind: str, sparse: bool) -> None:
    var = variable(kind, sparse=sparse)
    for value in EXTREMES[kind]:
        payload = struct.pack(f"<Q{STRUCT[kind]}", 2**40, value)
        block = decode_payload(var, payload)
        assert block.monitor
        expected = np.array([value], dtype=ValueType(kind).dtype)
        np.testing.assert_array_equal(block.values, expected, strict=True)
        assert block.ticks.tolist() == [2**40]
        assert encode_monitor(var, 2**40, value) == payload


@pytest.mark.parametrize(
    ("values", "relative", "sparse", "match"),
    [
        (np.zeros(1025), None, False, "1 to 1024"),
        (np.zeros(0), None, False, "1 to 1024"),
        (np.zeros((2, 2)), None, False, "one dimension"),
        (np.zeros(513), np.arange(513), True, "1 to 512"),
        (np.zeros(3), None, True, "relative ticks"),
        (np.zeros(3), np.arange(3), False, "relative ticks"),
        (np.zeros(3), np.arange(2), True, "2 relative ticks for 3 values"),
    ],
)
def test_a_block_that_does_not_fit_is_not_written(
    values: Any, relative: Any, sparse: bool, match: str
) -> None:
    with pytest.raises(RequestError, match=match):
        encode_block(variable("f", sparse=sparse), 0, values, relative)
