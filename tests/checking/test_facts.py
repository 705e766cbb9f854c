"""Facts: what was not measured claims nothing."""

from __future__ import annotations

from bela_module.checking.facts import ComputerFacts, LslFacts, RunFacts


def test_nothing_is_claimed_without_a_measurement() -> None:
    run, lsl, computer = RunFacts(), LslFacts(), ComputerFacts()
    assert (run.uncertainty_s, run.first_sample_s) == (None, None)
    assert not run.delays_s
    assert not run.losses
    assert (lsl.n_opened, lsl.found_in_s) == (0, None)
    assert computer.pcomm_port == "free"
