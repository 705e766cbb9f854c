"""What waits for an outlet: its size, its compact form, and the memory of all of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.protocol.variables import Array
from bela_module.streams.lsl.held_samples import (
    CompactSamples,
    HeldMarker,
    HeldSamples,
    MemoryBudget,
    join,
)
from bela_module.streams.sink import Stamps


class Pushed:
    def __init__(self) -> None:
        self.values: list[Array] = []
        self.stamps_s: list[Stamps] = []
        self.texts: list[tuple[str, float]] = []

    def push(self, values: Array, stamps_s: Stamps) -> None:
        self.values.append(values)
        self.stamps_s.append(stamps_s)

    def push_text(self, text: str, stamp_s: float) -> None:
        self.texts.append((text, stamp_s))


@given(
    n_samples=st.integers(1, 300),
    first_s=st.floats(0, 1e7),
    step_s=st.floats(0, 10),
    jitter_s=st.sampled_from([0.0, 1e-9, 1e-5, 1e-2]),
    seed=st.integers(0, 99),
)
def test_a_compact_chunk_is_the_same_chunk(
    n_samples: int, first_s: float, step_s: float, jitter_s: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).uniform(0, jitter_s, n_samples)
    stamps_s = np.sort(first_s + step_s * np.arange(n_samples) + noise)
    values = np.arange(2.0 * n_samples, dtype=np.float32).reshape(-1, 2)
    chunk = HeldSamples(values, stamps_s)
    compact, pushed = chunk.compact(), Pushed()
    compact.push_into(pushed)
    np.testing.assert_array_equal(pushed.values[0], values)
    np.testing.assert_array_equal(pushed.stamps_s[0], stamps_s)
    assert compact.n_bytes <= chunk.n_bytes


def test_even_stamps_take_little_memory_and_the_message_is_let_go() -> None:
    message = np.zeros(1024, np.float32)
    chunk = HeldSamples(message[:100, np.newaxis], 5.0 + np.arange(100) / 22050)
    compact = chunk.compact()
    assert isinstance(compact, CompactSamples)
    assert compact.values.base is None
    assert compact.n_bytes < chunk.n_bytes - 690
    assert compact.compact() is compact


def test_uneven_stamps_are_kept_as_they_are() -> None:
    stamps_s = np.array([1.0, 1.5, 1.6])
    compact, pushed = HeldSamples(np.zeros((3, 1)), stamps_s).compact(), Pushed()
    compact.push_into(pushed)
    assert isinstance(compact, HeldSamples)
    np.testing.assert_array_equal(pushed.stamps_s[0], stamps_s)


def test_a_marker() -> None:
    marker, pushed = HeldMarker("started", 12.5), Pushed()
    assert marker.compact() is marker
    assert marker.n_bytes > len("started")
    marker.push_into(pushed)
    assert pushed.texts == [("started", 12.5)]


def test_the_memory_of_all_that_waits() -> None:
    budget = MemoryBudget(held_bytes=100, total_bytes=150)
    assert budget.take(100)
    assert budget.allows_holding
    assert budget.take(50)
    assert not budget.allows_holding
    assert not budget.take(1)
    budget.give_back(60)
    assert budget.allows_holding
    assert budget.used_bytes == 90


@pytest.mark.parametrize("n_samples", [1, 2])
def test_few_samples_keep_their_stamps_exactly(n_samples: int) -> None:
    stamps_s = 604_800.123456789 + np.arange(n_samples) * 0.1
    pushed = Pushed()
    HeldSamples(np.zeros((n_samples, 1)), stamps_s).compact().push_into(pushed)
    np.testing.assert_array_equal(pushed.stamps_s[0], stamps_s)


def chunk_of(*numbers: int, compact: bool = False) -> HeldSamples | CompactSamples:
    values = np.array(numbers, np.float32).reshape(-1, 1)
    chunk = HeldSamples(values, np.array(numbers, np.float64) + 100.0)
    made = chunk.compact() if compact else chunk
    assert isinstance(made, HeldSamples | CompactSamples)
    return made


def test_chunks_are_joined_in_their_order_but_not_across_markers() -> None:
    marker = HeldMarker("started", 1.0)
    items = [chunk_of(1, 2), chunk_of(3, compact=True), marker, chunk_of(4), marker, marker]
    pushed, joined = Pushed(), list(join(items))
    for item in joined:
        item.push_into(pushed)
    assert [values[:, 0].tolist() for values in pushed.values] == [[1, 2, 3], [4]]
    assert [stamps_s.tolist() for stamps_s in pushed.stamps_s] == [[101, 102, 103], [104]]
    assert pushed.values[0].dtype == np.float32
    assert [item for item in joined if isinstance(item, HeldMarker)] == [marker] * 3
    assert joined[2] is items[3]  # what stands alone is not copied


def test_no_joined_chunk_is_large() -> None:
    joined = list(join(chunk_of(n) for n in range(200)))
    assert [item.unpack().stamps_s.size for item in joined if isinstance(item, HeldSamples)] == [
        64,
        64,
        64,
        8,
    ]
