"""Buffers as lists, whole blocks, single values; each is converted once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType, Variable
from bela_module.recording.buffers import BufferData, StreamBuffer, make_buffer
from bela_module.scripting.list_buffers import (
    BlockJoiner,
    ConvertedQueues,
    as_lists,
    join_values,
    monitored_values,
    split_partial,
    ticks_of,
    with_lists,
    with_lists_of_block,
    without_partial,
)

DENSE = Variable(0, "dense", ValueType.DOUBLE)
SPARSE = Variable(1, "sparse", ValueType.UNSIGNED_INT, sparse=True)


def numbered(first_tick: int, n_values: int, dtype: Any = np.float64) -> BufferData:
    ticks = np.arange(first_tick, first_tick + n_values)
    return make_buffer(ticks, ticks.astype(dtype), ticks / 10, lost=2)


def test_a_dense_buffer_has_a_list_and_no_relative_ticks() -> None:
    lists: Any = as_lists(numbered(5, 3), sparse=False)
    assert lists.keys() == {"ref_timestamp", "data", "lsl_timestamps", "lost"}
    assert (lists["ref_timestamp"], lists["lost"]) == (5, 2)
    assert lists["data"] == [5.0, 6.0, 7.0]
    assert [0.5, "name"] + lists["data"] == [0.5, "name", 5.0, 6.0, 7.0]
    np.testing.assert_allclose(lists["lsl_timestamps"], [0.5, 0.6, 0.7])


def test_a_sparse_buffer_has_lists_of_both() -> None:
    lists = as_lists(numbered(5, 3, np.uint32), sparse=True)
    assert lists["data"] == [5, 6, 7]
    assert all(type(value) is int for value in lists["data"])
    assert lists["rel_timestamps"] == [0, 1, 2]
    assert [5] * 3 + lists["rel_timestamps"] == [5, 5, 5, 0, 1, 2]


def test_single_values_have_a_tick_and_a_time_each() -> None:
    assert monitored_values(numbered(5, 2, np.int32)) == [
        {"timestamp": 5, "value": 5, "lsl_timestamp": 0.5},
        {"timestamp": 6, "value": 6, "lsl_timestamp": 0.6},
    ]


@pytest.mark.parametrize(
    ("sizes", "n_kept", "has_partial"),
    [
        ([512, 512], 2, False),
        ([512, 100], 1, True),
        ([100], 1, False),  # a schedule shorter than a block
        ([100, 40], 2, False),  # values that came singly, or around a loss
        ([], 0, False),
    ],
)
def test_what_follows_after_a_whole_block_is_partial(
    sizes: list[int], n_kept: int, has_partial: bool
) -> None:
    buffers = [numbered(1000 * k, size) for k, size in enumerate(sizes)]
    kept, partial = split_partial(DENSE, buffers)
    assert len(kept) == n_kept
    assert (partial is buffers[-1]) if has_partial else partial is None
    from_file: list[Any] = [{"data": [0] * size} for size in sizes]
    assert len(without_partial(from_file)) == n_kept


def test_ticks_and_values_in_one_list() -> None:
    assert ticks_of(numbered(2**40, 2)) == [2**40, 2**40 + 1]
    assert join_values([numbered(1, 2), numbered(7, 1)]) == [1.0, 2.0, 7.0]
    assert join_values([]) == []


def test_parts_of_a_block_are_joined() -> None:
    joiner = BlockJoiner()
    assert joiner.add(DENSE, numbered(0, 500)) == []
    after = numbered(500, 5)
    after["lost"] = 0
    assert joiner.add(DENSE, after) == []
    rest = numbered(505, 7)
    rest["lost"] = 0
    (whole,) = joiner.add(DENSE, rest)
    assert (whole["data"].size, whole["lost"]) == (512, 2)
    assert ticks_of(whole) == list(range(512))
    assert joiner.take_held("dense") is None


def test_what_cannot_be_joined_is_given_as_it_is() -> None:
    joiner = BlockJoiner()
    first, other = numbered(0, 500), numbered(600, 3)  # values are lost between
    assert joiner.add(DENSE, first) == []
    assert joiner.add(DENSE, other) == [first, other]
    assert joiner.add(DENSE, numbered(603, 2))  # in parts: nothing waits until a block is whole
    assert joiner.add(DENSE, numbered(1024, 512))
    held = numbered(1536, 9)
    assert joiner.add(DENSE, held) == []
    assert joiner.take_held("dense") is held


def test_single_values_and_sparse_ones_do_not_wait() -> None:
    joiner = BlockJoiner()
    assert joiner.add(DENSE, numbered(0, 1))
    assert joiner.add(SPARSE, numbered(0, 5, np.uint32))


def test_each_buffer_is_converted_once_and_forgotten_when_it_has_left() -> None:
    queues, calls = ConvertedQueues[int](), []

    def convert(name: str, buffer: BufferData) -> list[int]:
        calls.append((name, buffer["ref_timestamp"]))
        return ticks_of(buffer)

    first, second, third = numbered(0, 2), numbered(2, 2), numbered(4, 1)
    assert queues.of({"a": [first, second], "b": []}, convert) == {"a": [0, 1, 2, 3], "b": []}
    assert queues.of({"a": [second, third]}, convert) == {"a": [2, 3, 4]}
    assert calls == [("a", 0), ("a", 2), ("a", 4)]
    queues.of({"a": [first]}, convert)
    assert calls[-1] == ("a", 0)


def test_callbacks_are_given_lists() -> None:
    seen: list[Any] = []
    keep = lambda item, *arguments: seen.append((item, arguments))  # noqa: E731
    dense = StreamBuffer(name="dense", buffer=numbered(0, 2))
    sparse = StreamBuffer(name="sparse", buffer=numbered(0, 2))
    with_lists(keep, [DENSE, SPARSE])(dense, 1, 2)
    with_lists_of_block(keep, [DENSE, SPARSE])([dense, sparse])
    (single, arguments), (block, nothing) = seen
    assert single["name"] == "dense"
    assert single["buffer"]["data"] == [0.0, 1.0]
    assert arguments == (1, 2)
    assert nothing == ()
    assert "rel_timestamps" not in block[0]["buffer"]
    assert block[1]["buffer"]["rel_timestamps"] == [0, 1]
