"""The record of misfits: when they outweigh what fits, and when they are cleared."""

from __future__ import annotations

from bela_module.clock.clock_fit import Probe
from bela_module.clock.misfits import MISFITS_TO_RELEARN, MisfitRecord


def probe(tick: int) -> Probe:
    return Probe(tick / 1000.0, tick / 1000.0 + 0.001, tick, 1)


def test_the_largest_miss_is_the_extra_uncertainty() -> None:
    record = MisfitRecord()
    record.add(probe(1), 0.02)
    record.add(probe(2), 0.01)
    assert record.extra_uncertainty_s == 0.02
    assert record.n_seen == 2


def test_several_misfits_outweigh_but_not_among_many_fits() -> None:
    record = MisfitRecord()
    for tick in range(MISFITS_TO_RELEARN):
        assert not record.outweigh_fits
        record.add(probe(tick), 0.01)
    assert record.outweigh_fits
    among_fits = MisfitRecord()
    for tick in range(0, 30, 10):
        among_fits.add(probe(tick), 0.01)
        for _ in range(4):
            among_fits.add_fit()
    assert not among_fits.outweigh_fits


def test_ticks_that_stand_still_are_one_misfit() -> None:
    record = MisfitRecord()
    for at in range(5):
        record.add(probe(7)._replace(received_s=float(at)), 0.01)
    assert [known.received_s for known in record.probes] == [4.0]
    assert not record.outweigh_fits


def test_fits_in_a_row_clear_it() -> None:
    record = MisfitRecord()
    record.add(probe(1), 0.02)
    for _ in range(7):
        record.add_fit()
    assert record.extra_uncertainty_s == 0.02
    record.add_fit()
    assert (record.extra_uncertainty_s, record.n_seen, record.probes) == (0.0, 0, [])
