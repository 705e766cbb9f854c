"""When to probe, and when stamps may begin."""

from __future__ import annotations

import pytest

from bela_module.clock.clock_fit import Probe
from bela_module.clock.probe_schedule import (
    next_probe_in_s,
    next_reply_within_s,
    proof_is_quick,
    suffice,
)


def probes(count: int, took_s: float, *, tick: int | None = None) -> list[Probe]:
    """Exchanges that follow each other 15 ms after each reply."""
    sent_s = [number * (took_s + 0.015) for number in range(count)]
    return [Probe(s, s + took_s, int(s * 44100) if tick is None else tick, 1) for s in sent_s]


@pytest.mark.parametrize(("quickly", "longest_s"), [(True, 0.02), (False, 0.3)])
def test_no_two_waits_are_alike(quickly: bool, longest_s: float) -> None:
    waits_s = [next_probe_in_s(number, quickly=quickly) for number in range(50)]
    assert len({round(wait_s, 9) for wait_s in waits_s}) == 50
    assert longest_s / 2 < min(waits_s) + longest_s / 20
    assert max(waits_s) < longest_s
    assert next_reply_within_s(0.1, quickly=quickly) > 0.1 + max(waits_s)


@pytest.mark.parametrize(
    ("count", "took_s", "half_width_s", "enough"),
    [
        (7, 0.0004, 0.0004, False),  # a burst is not known
        (8, 0.0004, 0.0004, True),
        (8, 0.0004, 0.004, False),
        (8, 0.024, 0.0149, True),
        (8, 0.024, 0.03, False),
        (17, 0.024, 0.03, True),  # after 0.6 s
        (17, 0.024, 0.07, False),
        (3, 0.5, 1.0, False),
        (4, 0.5, 1.0, True),  # after four round trips
    ],
)
def test_as_much_suffices_as_can_be_known(
    count: int, took_s: float, half_width_s: float, enough: bool
) -> None:
    assert suffice(probes(count, took_s), half_width_s) is enough


def test_ticks_that_stand_tell_nothing_however_often() -> None:
    assert not suffice(probes(500, 0.0004, tick=7), 0.0001)


def test_after_some_seconds_anything_suffices() -> None:
    assert not suffice(probes(200, 0.0004), 0.7)
    assert suffice(probes(400, 0.0004), 0.7)


@pytest.mark.parametrize(
    ("usual_s", "held_s", "before", "once", "later"),
    [
        (0.001, 0.0, True, True, True),
        (0.05, 0.0, True, True, True),
        (0.1, 0.0, False, True, True),
        (0.16, 0.0, False, False, True),
        (0.5, 0.0, False, False, False),
        (0.001, 0.05, True, True, True),
        (0.05, 0.05, False, True, True),
        (0.2, 0.05, False, False, False),
    ],
)
def test_a_proof_is_quick_where_it_delays_no_stamp(
    usual_s: float, held_s: float, before: bool, once: bool, later: bool
) -> None:
    assert proof_is_quick(1, usual_s, held_s, ready=False) is before
    assert proof_is_quick(2, usual_s, held_s, ready=False) is once
    assert proof_is_quick(3, usual_s, held_s, ready=False) is before
    assert proof_is_quick(8, usual_s, held_s, ready=True) is later
