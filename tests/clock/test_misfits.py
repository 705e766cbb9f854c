"""The record of misfits: when they outweigh older bounds, what refutes and what clears them."""

from __future__ import annotations

import math

import pytest

from bela_module.clock.clock_fit import Probe
from bela_module.clock.misfits import (
    MISFITS_TO_RELEARN,
    Misfit,
    MisfitRecord,
    Relearnings,
)

RATE_HZ = 1000.0


def lag(tick: int, missed_s: float = 0.01) -> Misfit:
    """Claim, by a reply with a tick, that ticks lag; sent a second after the tick's time."""
    at_s = tick / RATE_HZ + 1.0
    return Misfit(Probe(at_s, at_s + 0.001, tick, 1), missed_s, tick + 1)


def test_the_largest_miss_is_the_extra_uncertainty() -> None:
    record = MisfitRecord()
    record.add_lag(lag(1, 0.02))
    record.add_lead(lag(2, 0.01))
    assert record.extra_uncertainty_s == 0.02
    assert (record.n_seen, record.in_doubt) == (2, True)


@pytest.mark.parametrize("kind", ["lags", "leads"])
def test_several_misfits_of_one_kind_are_believed(kind: str) -> None:
    record = MisfitRecord()
    add = record.add_lag if kind == "lags" else record.add_lead
    for tick in range(MISFITS_TO_RELEARN):
        assert not record.believed
        add(lag(tick))
    assert record.believed == getattr(record, kind)
    assert [misfit.probe.tick for misfit in record.believed] == list(range(MISFITS_TO_RELEARN))


def test_one_lag_and_one_lead_are_not_yet_several() -> None:
    record = MisfitRecord()
    for tick in range(MISFITS_TO_RELEARN - 1):
        record.add_lag(lag(2 * tick))
        record.add_lead(lag(2 * tick + 1))
    assert not record.believed


def test_ticks_that_stand_still_are_one_misfit() -> None:
    record = MisfitRecord()
    for at in range(5):
        probe = Probe(float(at), float(at), 7, 1)
        record.add_lag(Misfit(probe, 0.01, 8))
    assert [known.probe.received_s for known in record.lags] == [4.0]
    assert not record.believed


def test_a_later_tick_that_came_in_time_refutes_a_lag() -> None:
    record = MisfitRecord()
    record.add_lag(lag(1000, 0.02))  # says that tick 1001 was after 2.0 s
    record.refute_lags(1101, 2.1 + 0.001, 1 / RATE_HZ)  # as it would be if the ticks lagged
    record.refute_lags(900, 1.0, 1 / RATE_HZ)  # an earlier tick says nothing
    assert len(record.lags) == 1
    record.refute_lags(1101, 2.1 - 0.001, 1 / RATE_HZ)
    assert (record.lags, record.extra_uncertainty_s) == ([], 0.0)
    assert record.in_doubt  # whose reply was it?


def test_nothing_refutes_a_lead() -> None:
    record = MisfitRecord()
    record.add_lead(Misfit(Probe(-math.inf, 2.0, 1000, 1), 0.02, 1000))
    record.refute_lags(1101, 0.0, 1 / RATE_HZ)
    assert len(record.leads) == 1


def test_lags_that_replies_to_others_may_claim_are_dropped() -> None:
    record = MisfitRecord()
    record.add_lag(lag(1))
    proven = lag(2)._replace(probe=lag(2).probe._replace(is_proven=True))
    record.add_lag(proven)
    record.drop_unproven()
    assert record.lags == [proven]


def test_fits_in_a_row_clear_it() -> None:
    record = MisfitRecord()
    record.add_lag(lag(1, 0.02))
    for _ in range(7):
        record.add_fit()
    assert record.extra_uncertainty_s == 0.02
    record.add_fit()
    assert (record.extra_uncertainty_s, record.n_seen, record.lags) == (0.0, 0, [])
    for _ in range(20):
        record.add_fit()
    assert not record.in_doubt


def test_lags_end_what_came_before_them() -> None:
    record = MisfitRecord()
    for tick in (1000, 1100, 1200):
        record.add_lag(lag(tick))
    known = [lag(tick).probe for tick in range(900, 1300, 100)]
    assert record.bounds_to_keep(known, 1, 1 / RATE_HZ) == known[1:]


def test_leads_end_only_the_replies_that_they_refute() -> None:
    record = MisfitRecord()
    for tick in (1000, 1100, 1200):  # in time, 0.1 ms after each tick
        probe = Probe(-math.inf, tick / RATE_HZ + 0.0001, tick, 1)
        record.add_lead(Misfit(probe, 0.01, tick))
    ours = Probe(0.9, 0.9004, 900, 1)  # sent just as its tick was
    old = Probe(0.95, 0.9502, 930, 1)  # waited for 20 ms
    assert record.bounds_to_keep([ours, old], 1, 1 / RATE_HZ) == [ours]


def test_ticks_are_uneven_when_bounds_are_dropped_too_often() -> None:
    relearnings = Relearnings()
    assert not any(relearnings.add(n_probes) for n_probes in (10, 60, 90))
    assert relearnings.add(95)
    assert not relearnings.add(100)


def test_what_irregular_ticks_missed_is_stated_while_in_doubt() -> None:
    record = MisfitRecord()
    record.distrust_s = 0.5
    assert record.extra_uncertainty_s == 0.0
    record.add_lag(lag(1, 0.1))
    assert record.extra_uncertainty_s == 0.5
