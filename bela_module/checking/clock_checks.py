"""Judges the times: tick rate, clock, pauses of the ticks, network. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median
from typing import Final

from bela_module.checking.facts import Facts
from bela_module.checking.verdicts import Check, Verdict

_UNCERTAIN_S: Final = 0.02
_SLOW_S, _JITTER_S = 0.05, 0.1
_LATE_SHARE, _LATE_COUNT = 0.03, 4  # of a loaded board; a busy computer has one or two
_DRIFT_PPM: Final = 300.0  # beyond what crystals of two computers differ by


def clock_checks(facts: Facts) -> Iterator[Check]:
    """Judge rate, clock, ticks and network."""
    yield _check_rate(facts)
    yield _check_clock(facts)
    yield _check_ticks(facts)
    yield _check_network(facts)


def _check_rate(facts: Facts) -> Check:
    board = facts.run.status.get("board", {})
    declared_hz, measured_hz = board.get("sample_rate_hz"), board.get("tick_rate_hz")
    if not declared_hz or not measured_hz:
        advice = "does the sketch call Bela_getDefaultWatcherManager()->tick() in render()?"
        return Check("tick rate", Verdict.FAIL, "not known", advice)
    measured = f"{measured_hz:.1f} Hz, declared {declared_hz:g} Hz"
    for part in (1, 2, 4, 8, 16):
        if math.isclose(measured_hz, declared_hz / part, rel_tol=2e-3):
            if part == 1:
                return Check("tick rate", Verdict.OK, measured)
            advice = f"nothing: it ticks once for {part} audio frames; streams follow the ticks"
            return Check("tick rate", Verdict.OK, measured, advice)
    advice = "the sketch tells Watcher another rate in setup(), or does not call tick() each block"
    return Check("tick rate", Verdict.WARN, measured, advice)


def _check_clock(facts: Facts) -> Check:
    clock = facts.run.status.get("clock", {})
    stated_s, drift_ppm = facts.run.uncertainty_s, clock.get("drift_ppm")
    if stated_s is None:
        advice = "the board's clock could not be measured: see 'tick rate' and 'network'"
        return Check("clock", Verdict.FAIL, "not known", advice)
    measured = f"stamps within {1e3 * stated_s:.2g} ms"
    if drift_ppm is not None:
        measured += f", drift {drift_ppm:+.0f} ppm"
    if stated_s > _UNCERTAIN_S:
        advice = "slow or uneven network: connect by USB or cable, and close what loads the board"
        return Check("clock", Verdict.WARN, measured, advice)
    if drift_ppm is not None and abs(drift_ppm) > _DRIFT_PPM and stated_s < 0.005:
        advice = "the clocks differ by more than crystals do: does the board miss blocks?"
        return Check("clock", Verdict.WARN, measured, advice)
    return Check("clock", Verdict.OK, measured)


def _check_ticks(facts: Facts) -> Check:
    texts = [*facts.run.problems, *facts.run.final.get("notices", ())]
    if stood := [text for text in texts if "stand still" in text]:
        return Check("ticks", Verdict.FAIL, stood[0], "start the sketch again, or call its tick()")
    pauses = [text for text in texts if "ticks paused" in text or "ticks skipped" in text]
    if pauses:
        advice = "the board misses audio blocks (underruns): lower its load or raise the block size"
        return Check("ticks", Verdict.WARN, pauses[-1], advice)
    return Check("ticks", Verdict.OK, "even")


def _check_network(facts: Facts) -> Check:
    trips = facts.run.round_trips
    taken_s = sorted(trips.taken_s)
    if not taken_s:
        return Check("network", Verdict.FAIL, "no reply to any request", "is the board overloaded?")
    typical_s, late_s = median(taken_s), taken_s[int(0.9 * (len(taken_s) - 1))]
    measured = f"round trip {1e3 * typical_s:.1f} ms, 90 % within {1e3 * late_s:.1f} ms"
    if trips.n_lost:
        advice = "replies are lost: check cable, hub and Wi-Fi, or the load of the board"
        return Check("network", Verdict.WARN, f"{measured}, {trips.n_lost} without reply", advice)
    n_late = sum(one > typical_s + _JITTER_S for one in taken_s)
    is_uneven = n_late >= max(_LATE_COUNT, _LATE_SHARE * len(taken_s))
    if typical_s > _SLOW_S or is_uneven:
        if is_uneven:
            measured += f", {n_late} of {len(taken_s)} over {1e3 * (typical_s + _JITTER_S):.0f} ms"
        advice = "slow or uneven: USB or cable instead of Wi-Fi, and less load on the board"
        return Check("network", Verdict.WARN, measured, advice)
    return Check("network", Verdict.OK, measured)
