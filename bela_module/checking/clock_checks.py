"""Judges the times: tick rate, clock, pauses of the ticks, network. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bela_module.checking.causes import (
    fell_silent,
    find_break,
    network_faults,
    pauses_of_ticks,
    stand_still,
    typical_round_trip_s,
)
from bela_module.checking.facts import Facts
from bela_module.checking.verdicts import Check, Verdict

_UNCERTAIN_S: Final = 0.02
_RATE_OFF: Final = 2e-3
_DRIFT: Final = 300e-6  # beyond what crystals of two computers differ by
_TICKS_PER_FRAME: Final = tuple(2.0**power for power in range(-6, 5))


def clock_checks(facts: Facts) -> Iterator[Check]:
    """Judge rate, clock, ticks and network."""
    if facts.run.is_playback:  # its ticks stand still until a client watches
        for name in ("tick rate", "clock", "ticks"):
            yield Check(name, Verdict.OK, "not measured: a recording is played")
    else:
        yield _check_rate(facts)
        yield _check_clock(facts)
        yield _check_ticks(facts)
    yield _check_network(facts)


def milliseconds(seconds: float) -> str:
    """Write a time in milliseconds, with two digits or all before the point."""
    value = 1e3 * seconds
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def _explained(facts: Facts) -> str:
    """Name the line that tells why ticks or times could not be measured, if there is one."""
    if find_break(facts):
        return "complete"
    if stand_still(facts) or pauses_of_ticks(facts):
        return "ticks"
    if not facts.run.round_trips.taken_s or network_faults(facts):
        return "network"
    return "complete" if fell_silent(facts) else ""


def _tolerance(facts: Facts) -> float:
    """Tell how far a rate measured in so short a time may be off."""
    return 2.0 * (facts.run.uncertainty_s or 0.0) / max(facts.run.streamed_s, 0.5)


def _rates(facts: Facts) -> tuple[float, float, float]:
    """Return declared rate, measured rate, and the simple ratio that is closest to it."""
    board = facts.run.status.get("board", {})
    declared_hz, measured_hz = board.get("sample_rate_hz"), board.get("tick_rate_hz")
    if not declared_hz or not measured_hz:
        return 0.0, 0.0, 1.0
    ratio = min(_TICKS_PER_FRAME, key=lambda one: abs(measured_hz / declared_hz / one - 1.0))
    return declared_hz, measured_hz, ratio


def _check_rate(facts: Facts) -> Check:
    name = "tick rate"
    declared_hz, measured_hz, ratio = _rates(facts)
    explained = _explained(facts)
    if not measured_hz:
        if explained or facts.run.uncertainty_s is None:
            return Check(name, Verdict.OK, f"not measured: see '{explained or 'clock'}'")
        advice = "does the sketch call Bela_getDefaultWatcherManager()->tick() in render()?"
        return Check(name, Verdict.FAIL, "not known", advice)
    measured = f"{measured_hz:.1f} Hz, declared {declared_hz:g} Hz"
    if abs(measured_hz / declared_hz / ratio - 1.0) <= _RATE_OFF + _tolerance(facts):
        if ratio == 1.0:
            return Check(name, Verdict.OK, measured)
        often = f"once for {1 / ratio:g} audio frames" if ratio < 1 else f"{ratio:g} times a frame"
        advice = f"nothing: it ticks {often}; streams follow the ticks"
        return Check(name, Verdict.OK, measured, advice)
    if explained and explained != "network":
        return Check(name, Verdict.OK, f"{measured}: see '{explained}'")
    if facts.run.uncertainty_s is None:
        return Check(name, Verdict.OK, f"{measured}: see 'clock'")
    advice = "the sketch tells Watcher another rate in setup(), or does not call tick() each block"
    return Check(name, Verdict.WARN, measured, advice)


def _check_clock(facts: Facts) -> Check:
    stated_s, explained = facts.run.uncertainty_s, _explained(facts)
    if stated_s is None:
        if explained:
            return Check("clock", Verdict.OK, f"not measured: see '{explained}'")
        advice = "the sketch has to call tick() in render(); check again, with --seconds 20"
        return Check("clock", Verdict.FAIL, "the board's clock is not known", advice)
    measured = f"stamps within {milliseconds(stated_s)}"
    declared_hz, measured_hz, ratio = _rates(facts)
    drift = measured_hz / declared_hz / ratio - 1.0 if measured_hz else 0.0
    if abs(drift) <= _RATE_OFF:
        measured += f", drift {1e6 * drift:+.0f} ppm"
    if stated_s > _UNCERTAIN_S:
        if explained:
            return Check("clock", Verdict.OK, f"{measured}: see '{explained}'")
        advice = "slow or uneven network: connect by USB or cable, and close what loads the board"
        if 0 < measured_hz * _UNCERTAIN_S < 1:
            advice = "the board ticks too seldom for more: call tick() for each audio frame"
        return Check("clock", Verdict.WARN, measured, advice)
    if _DRIFT + _tolerance(facts) < abs(drift) <= _RATE_OFF and not explained:
        advice = "the clocks differ by more than crystals do: does the board miss blocks?"
        return Check("clock", Verdict.WARN, measured, advice)
    return Check("clock", Verdict.OK, measured)


def _check_ticks(facts: Facts) -> Check:
    if stand_still(facts) and not find_break(facts):
        advice = "start the project on the board again; its render() has to call tick()"
        return Check("ticks", Verdict.FAIL, "they stand still, though the board answers", advice)
    if (pauses := pauses_of_ticks(facts)) and not network_faults(facts):
        advice = "the board misses audio blocks (underruns): lower its load or raise the block size"
        return Check("ticks", Verdict.WARN, pauses, advice)
    return Check("ticks", Verdict.OK, "even")


def _check_network(facts: Facts) -> Check:
    trips = facts.run.round_trips
    taken_s = sorted(trips.taken_s)
    if not taken_s:
        advice = "restart the project on the board; check its load, cable and hub"
        return Check("network", Verdict.FAIL, "the board answers no request any more", advice)
    late_s = max(taken_s[int(0.9 * (len(taken_s) - 1))], typical_round_trip_s(facts))
    measured = (
        f"round trip {1e3 * typical_round_trip_s(facts):.1f} ms, 90 % within {1e3 * late_s:.1f} ms"
    )
    faults = network_faults(facts)
    if not faults:
        return Check("network", Verdict.OK, measured)
    if faults not in ("slow", "uneven"):
        measured += f", {faults}"
    advice = "slow or uneven: USB or cable instead of Wi-Fi, and less load on the board"
    if trips.n_lost:
        advice = "replies are lost: check cable, hub and Wi-Fi, or the load of the board"
    return Check("network", Verdict.WARN, measured, advice)
