"""Round trips that are too short to be those of our requests."""

from __future__ import annotations

import math

import pytest

from bela_module.clock.clock_fit import Probe
from bela_module.clock.round_trips import (
    FastReplyFilter,
    round_trip_s,
    suspiciously_fast,
    without_others,
)


def took(*round_trips_s: float) -> list[Probe]:
    return [Probe(float(n), n + trip_s, n, 1) for n, trip_s in enumerate(round_trips_s)]


KNOWN = took(*[0.01, 0.012] * 4)


def test_the_usual_round_trip_is_the_median() -> None:
    assert math.isnan(round_trip_s([]))
    assert round_trip_s(took(0.001, 0.002, 5.0)) == pytest.approx(0.002)


@pytest.mark.parametrize("trip_s", [-1.0, math.nan, math.inf])
def test_impossible_round_trips_are_always_refused(trip_s: float) -> None:
    assert FastReplyFilter().refuses(Probe(100.0, 100.0 + trip_s, 1, 1), [])


def test_half_of_the_fastest_is_too_fast_until_it_is_usual() -> None:
    replies = FastReplyFilter()
    slow, fast = took(0.0051, 0.0049)
    assert not replies.refuses(fast, KNOWN[:7])  # too few to compare with
    assert [replies.refuses(reply, KNOWN) for reply in (slow, fast, fast)] == [False, True, True]
    assert not replies.refuses(fast, KNOWN)  # a way that became faster
    assert not FastReplyFilter().refuses(slow, KNOWN)


def test_while_others_ask_half_of_the_usual_is_suspicious() -> None:
    known = took(0.001, *[0.01] * 8)
    assert suspiciously_fast(known) == known[:1]
    uneven = took(0.001, *[0.002, 0.004, 0.01, 0.03] * 2)  # as by jitter
    assert suspiciously_fast(uneven) == suspiciously_fast([]) == []


def test_what_slow_replies_prove_is_loosened_unless_they_are_proven() -> None:
    known = took(*[0.05] * 30)
    known[-1] = known[-1]._replace(is_proven=True)
    loosened = without_others(known, 0.04, blocks_tell=False)
    assert loosened[:10] == known[:10]  # from long ago
    assert loosened[-1] == known[-1]
    for before, after in zip(known[10:-1], loosened[10:-1], strict=True):
        assert after == before._replace(sent_s=pytest.approx(before.received_s - 0.24))


@pytest.mark.parametrize(
    ("trip_s", "held_s", "blocks_tell", "is_loosened"),
    [
        (0.001, 0.0, False, False),
        (0.001, 0.05, False, True),
        (0.001, 0.05, True, False),  # blocks refute what had waited
        (0.01, 0.0, True, True),  # requests and replies overlap
    ],
)
def test_fast_replies_are_loosened_only_where_nothing_else_tells(
    trip_s: float, held_s: float, blocks_tell: bool, is_loosened: bool
) -> None:
    known = took(*[trip_s] * 10)
    assert (without_others(known, held_s, blocks_tell=blocks_tell) != known) == is_loosened
    assert without_others([], held_s, blocks_tell=blocks_tell) == []
