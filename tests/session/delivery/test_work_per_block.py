"""How much is done for each block: calls and memory are counted, so that no busy computer matters.

The limits are some 20 % above what was counted when they were written. Who needs more for a block
measures what it costs with ``benchmarks/performance.py`` first.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap
from tests.support.block_feed import BLOCK_VALUES, BlockFeed

N_VARIABLES = 20
N_BURSTS = 5


class CountingSink:
    """Counts values, as cheaply as possible."""

    def __init__(self) -> None:
        self.n_values = 0

    def identify(self, origin: Origin) -> None: ...

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None: ...

    def is_open(self, plan: StreamPlan) -> bool:
        return True

    def keep(self, variables: Sequence[Variable]) -> None: ...

    def search_identities(self) -> None: ...

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        self.n_values += values.size

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None: ...

    def mark(self, text: str, lsl_s: float) -> None: ...

    def close(self) -> None: ...


def steady(grouped: bool) -> tuple[BlockFeed, CountingSink]:
    """Make a feed of which the first blocks were taken, for these take the long way."""
    sink = CountingSink()
    feed = BlockFeed(N_VARIABLES, sink, grouped)
    for burst in feed.bursts(3):
        feed.take(*burst)
    assert sink.n_values == 3 * N_VARIABLES * BLOCK_VALUES
    return feed, sink


def count_calls(feed: BlockFeed, bursts: Sequence[tuple[list[bytes], float]]) -> dict[str, int]:
    """Count the calls of Python and of C functions while some bursts are taken."""
    counts = {"call": 0, "c_call": 0}

    def count(_frame: Any, event: str, _argument: Any) -> None:
        if event in counts:
            counts[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for messages, arrived_s in bursts:
            feed.take(messages, arrived_s)
    finally:
        sys.setprofile(before)
    return counts


@pytest.mark.parametrize(
    ("grouped", "limits"),
    [(False, {"call": 49, "c_call": 36}), (True, {"call": 50, "c_call": 38})],
    ids=["streams", "group"],
)
def test_a_block_takes_few_calls(grouped: bool, limits: dict[str, int]) -> None:
    feed, sink = steady(grouped)
    before = sink.n_values
    counts = count_calls(feed, list(feed.bursts(N_BURSTS)))
    n_blocks = N_BURSTS * N_VARIABLES
    assert sink.n_values - before == n_blocks * BLOCK_VALUES
    per_block = {kind: count / n_blocks for kind, count in counts.items()}
    assert all(per_block[kind] <= limit for kind, limit in limits.items()), per_block
    assert per_block["call"] > 10  # it does count


@pytest.mark.parametrize("grouped", [False, True], ids=["streams", "group"])
def test_a_block_takes_little_memory_beside_its_values(grouped: bool) -> None:
    feed, _ = steady(grouped)
    bursts = list(feed.bursts(N_BURSTS))
    tracemalloc.start()
    try:
        for messages, arrived_s in bursts:
            feed.take(messages, arrived_s)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        messages, arrived_s = feed.next_messages()
        made, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        feed.take(messages, arrived_s)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    per_block_bytes = (peak - made) / N_VARIABLES
    assert made > before
    # Rows of a group are copied together; ticks and stamps are shared by all.
    assert per_block_bytes < (7_000 if grouped else 2_100)
