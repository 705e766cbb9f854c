"""Round trips that are too short to be those of our requests."""

from __future__ import annotations

import math

import pytest

from bela_module.clock.clock_fit import Probe
from bela_module.clock.round_trips import (
    FastReplyFilter,
    confirmed,
    loosened,
    round_trip_s,
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


def test_what_is_proven_is_never_too_fast() -> None:
    (fast,) = took(0.0001)
    assert not FastReplyFilter().refuses(fast._replace(is_proven=True), KNOWN)


def test_what_is_confirmed_is_proven_and_nothing_else_changes() -> None:
    known = took(0.001, 0.002)
    assert confirmed(known) == [probe._replace(is_proven=True) for probe in known]
    assert confirmed(confirmed(known)) == confirmed(known)


def test_what_replies_prove_is_loosened_unless_they_are_proven() -> None:
    known = took(*[0.05] * 10)
    known[-1] = known[-1]._replace(is_proven=True)
    doubted = loosened(known, 0.04)
    assert doubted[-1] == known[-1]
    for before, after in zip(known[:-1], doubted[:-1], strict=True):
        sent_s = pytest.approx(before.received_s - 0.24)
        assert after == before._replace(sent_s=sent_s, is_proven=True)
    assert loosened(doubted, 0.04) == doubted
    assert loosened([], 0.04) == []
