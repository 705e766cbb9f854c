"""Buffers in the tutorial's shape, and blocks of them aligned by tick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.protocol.variables import ValueType, Variable
from bela_module.recording.buffers import (
    AlignedBlock,
    BlockAligner,
    BufferData,
    insert_late,
    make_buffer,
    native_values,
)
from bela_module.streams.sample_formats import sample_format, to_format

A = Variable(0, "a", ValueType.FLOAT)
B = Variable(1, "b", ValueType.DOUBLE)
S = Variable(2, "s", ValueType.INT, sparse=True)


def buffer_of(ticks: Sequence[int], lost: int = 0) -> BufferData:
    """Make a buffer whose values are their ticks, and whose stamps are a tenth of them."""
    array = np.array(ticks, np.int64)
    return make_buffer(array, array.astype(np.float64), array / 10, lost)


def ticks_of(buffer: BufferData) -> list[int]:
    ticks = buffer["rel_timestamps"] + buffer["ref_timestamp"]
    np.testing.assert_array_equal(buffer["data"], ticks)
    np.testing.assert_array_equal(buffer["lsl_timestamps"], ticks / 10)
    return [int(tick) for tick in ticks]


def spans(blocks: Sequence[AlignedBlock]) -> list[list[tuple[int, int, int]]]:
    """Give first tick, last tick and number of values of each buffer of each block."""
    found = []
    for block in blocks:
        ticks = [ticks_of(item["buffer"]) for item in block]
        found.append([(t[0], t[-1], len(t)) if t else (0, 0, 0) for t in ticks])
    return found


# ---- buffers -----------------------------------------------------------------------------------


def test_a_buffer_has_the_tutorials_keys_and_two_more() -> None:
    buffer = make_buffer(np.array([7, 8, 10]), np.array([1, 2, 3]), np.array([0.7, 0.8, 1.0]), 5)
    assert list(buffer) == ["ref_timestamp", "data", "rel_timestamps", "lsl_timestamps", "lost"]
    assert buffer["ref_timestamp"] == 7
    assert isinstance(buffer["ref_timestamp"], int)
    assert buffer["rel_timestamps"].tolist() == [0, 1, 3]
    assert buffer["lost"] == 5


@pytest.mark.parametrize("value_type", ValueType)
def test_values_get_their_own_type_back_without_loss(value_type: ValueType) -> None:
    dtype = value_type.dtype
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    values = np.array([limits.min, 0, 1, 200 % limits.max, limits.max], dtype)
    streamed = to_format(values, sample_format([value_type]))[:, np.newaxis]
    native = native_values(Variable(0, "x", value_type), streamed[:, 0])
    assert native.dtype == dtype
    np.testing.assert_array_equal(native, values)
    native[:] = 0  # a copy: what the session streams stays
    np.testing.assert_array_equal(streamed[:, 0], to_format(values, sample_format([value_type])))


# ---- blocks ------------------------------------------------------------------------------------


def test_equal_buffers_make_one_block_each() -> None:
    aligner = BlockAligner([A, B])
    assert aligner.add("b", buffer_of(range(10, 20))) == []
    blocks = aligner.add("a", buffer_of(range(10, 20)))
    assert [item["name"] for item in blocks[0]] == ["a", "b"]
    assert spans(blocks) == [[(10, 19, 10), (10, 19, 10)]]
    assert aligner.finish() == []


def test_buffers_of_other_sizes_are_joined_and_cut() -> None:
    aligner = BlockAligner([A, B])
    assert aligner.add("a", buffer_of(range(8))) == []
    assert spans(aligner.add("b", buffer_of(range(5)))) == [[(0, 4, 5), (0, 4, 5)]]
    assert spans(aligner.add("b", buffer_of(range(5, 10)))) == [[(5, 7, 3), (5, 7, 3)]]
    assert spans(aligner.add("a", buffer_of(range(8, 16)))) == [[(8, 9, 2), (8, 9, 2)]]
    assert spans(aligner.finish()) == [[(10, 15, 6), (0, 0, 0)]]


def test_other_rates_are_aligned_by_tick() -> None:
    aligner = BlockAligner([A, S])
    assert aligner.add("a", buffer_of(range(100))) == []
    (block,) = aligner.add("s", buffer_of([3, 40, 41]))
    assert spans([block]) == [[(0, 41, 42), (3, 41, 3)]]
    (rest,) = aligner.finish()
    assert spans([rest]) == [[(42, 99, 58), (0, 0, 0)]]
    assert rest[1]["buffer"]["ref_timestamp"] == 42
    assert rest[1]["buffer"]["data"].dtype == np.int32


def test_a_loss_does_not_hold_the_others_back_and_is_told_with_the_next_values() -> None:
    aligner = BlockAligner([A, B])
    aligner.add("a", buffer_of(range(10)))
    assert spans(aligner.lose("b", 9)) == [[(0, 9, 10), (0, 0, 0)]]
    aligner.add("b", buffer_of(range(10, 20), lost=10))
    (block,) = aligner.add("a", buffer_of(range(10, 20)))
    assert [item["buffer"]["lost"] for item in block] == [0, 10]


def test_what_lags_too_far_is_left_behind_and_given_later() -> None:
    aligner = BlockAligner([A, S], max_waiting_values=25)
    given_ = [spans(aligner.add("a", buffer_of(range(k, k + 10)))) for k in range(0, 40, 10)]
    assert given_ == [[], [], [[(0, 9, 10), (0, 0, 0)]], [[(10, 19, 10), (0, 0, 0)]]]
    (block,) = aligner.add("s", buffer_of([5, 25]))
    assert [ticks_of(item["buffer"]) for item in block] == [list(range(20, 26)), [5, 25]]


def test_ticks_that_begin_anew_begin_new_blocks() -> None:
    aligner = BlockAligner([A, B])
    aligner.add("a", buffer_of(range(1000, 1010)))
    assert spans(aligner.add("a", buffer_of(range(10)))) == [[(1000, 1009, 10), (0, 0, 0)]]
    assert spans(aligner.add("b", buffer_of(range(10)))) == [[(0, 9, 10), (0, 9, 10)]]


def test_what_was_put_in_is_left_as_it_was() -> None:
    aligner = BlockAligner([A])
    buffer = buffer_of(range(4), lost=3)
    ((item,),) = aligner.add("a", buffer)
    item["buffer"]["lost"] = 99
    assert buffer["lost"] == 3


@given(
    sizes=st.lists(st.integers(1, 40), min_size=3, max_size=3),
    steps=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    order=st.lists(st.integers(0, 2), max_size=60),
)
def test_nothing_is_lost_doubled_or_out_of_its_span(
    sizes: list[int], steps: list[int], order: list[int]
) -> None:
    names = ["a", "b", "s"]
    aligner = BlockAligner([A, B, S])
    sent: dict[str, list[int]] = {name: [] for name in names}
    blocks: list[AlignedBlock] = []
    for member in order:
        begin = sent[names[member]][-1] + steps[member] if sent[names[member]] else 0
        ticks = range(begin, begin + sizes[member] * steps[member], steps[member])
        sent[names[member]] += ticks
        blocks += aligner.add(names[member], buffer_of(ticks))
    blocks += aligner.finish()
    given_: dict[str, list[int]] = {name: [] for name in names}
    before = -1
    for block in blocks:
        ticks = {item["name"]: ticks_of(item["buffer"]) for item in block}
        assert list(ticks) == names
        assert min(t[0] for t in ticks.values() if t) > before
        before = max(t[-1] for t in ticks.values() if t)
        for name, part in ticks.items():
            given_[name] += part
    assert given_ == sent


# ---- late values -------------------------------------------------------------------------------


def test_late_values_take_their_place_among_buffers() -> None:
    buffers = [buffer_of([10]), buffer_of([20, 22], lost=3), buffer_of([30]), buffer_of([40])]
    insert_late(buffers, buffer_of([21, 31]))
    assert [ticks_of(b) for b in buffers] == [[10], [20, 21, 22, 30, 31], [40]]
    assert [b["lost"] for b in buffers] == [0, 3, 0]


def test_late_values_between_two_buffers_or_at_an_end_are_a_buffer_of_their_own() -> None:
    for at, late in enumerate((5, 15, 25)):
        buffers = [buffer_of([10]), buffer_of([20])]
        insert_late(buffers, buffer_of([late]))
        assert len(buffers) == 3
        assert buffers[at]["ref_timestamp"] == late


def test_late_values_are_in_the_block_of_their_ticks_or_begin_the_next() -> None:
    aligner = BlockAligner([A, S])
    assert aligner.add("s", buffer_of([10, 30])) == []
    aligner.add_late("s", buffer_of([20]))
    assert spans(aligner.add("a", buffer_of(range(31)))) == [[(0, 30, 31), (10, 30, 3)]]
    aligner.add_late("s", buffer_of([29]))
    aligner.add("a", buffer_of(range(31, 51)))
    (block,) = aligner.add("s", buffer_of([50]))
    assert spans([block]) == [[(31, 50, 20), (29, 50, 2)]]
    assert aligner.finish() == []
