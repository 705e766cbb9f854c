"""Judges what came: completeness, slow and uneven variables, lateness of blocks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bela_module.checking.board_checks import MANY, name_some
from bela_module.checking.causes import (
    even_streams,
    fell_silent,
    find_break,
    lost_to_others,
    network_faults,
    sends_nothing,
    stand_still,
    too_close,
    unassigned_streams,
    uneven_variables,
)
from bela_module.checking.facts import Facts
from bela_module.checking.verdicts import Check, Verdict

_LATE_S: Final = 0.25
"""A block that comes so long after its last value tells of a loaded board or network."""

_CURE_OF_UNEVEN: Final = "declare them with kTimestampSample in the sketch"
_CURES_OF_BREAKS: Final[Mapping[str, str]] = {
    "board restarted": "look at the board's console for crashes, and do not restart it meanwhile",
    "nothing comes any more": "restart the project on the board; check power, cable and hub",
    "connection lost": "it broke off: check cable, hub and power of the board",
}


def stream_checks(facts: Facts) -> Iterator[Check]:
    """Judge the streams of the check, and what others watch."""
    yield _check_started(facts)
    yield _check_complete(facts)
    yield _check_slow(facts)
    yield _check_uneven(facts)
    yield _check_lateness(facts)


def _streams(facts: Facts) -> Sequence[Mapping[str, Any]]:
    streams: Sequence[Mapping[str, Any]] = facts.run.final.get("streams", ())
    return streams


def _without_streams(facts: Facts) -> str:
    """Name the line that tells why nothing could be streamed, if there is one."""
    if stand_still(facts):
        return "ticks"
    if not facts.run.round_trips.taken_s:
        return "network"
    return "clock" if facts.run.uncertainty_s is None else ""


def _check_started(facts: Facts) -> Check:
    run, name = facts.run, "streams"
    if run.error:
        if explained := _without_streams(facts):
            return Check(name, Verdict.OK, f"none could be started: see '{explained}'")
        advice = "do what it says, and check again"
        return Check(name, Verdict.FAIL, run.error, advice)
    streams = _streams(facts)
    parts = [f"{len(streams)} started"] if streams else []
    if run.heard:
        parts.append(f"{len(run.heard)} of others heard")
    measured = ", ".join(parts) or "nothing to stream"
    if sends_nothing(facts) and not stand_still(facts):
        advice = "the board answers, but sends no data: restart the project on it"
        return Check(name, Verdict.FAIL, f"{measured}; not one sample came", advice)
    unassigned = {stream["name"] for stream in unassigned_streams(facts)}
    missing = [
        stream["name"]
        for stream in even_streams(facts)
        if not stream["samples"] and stream["mode"] == "dense" and stream["name"] not in unassigned
    ]
    if missing and not (find_break(facts) or stand_still(facts)):
        advice = "restart the project on the board; does its render() assign them all the time?"
        measured = f"{measured}; no sample of {name_some(missing)}"
        return Check(name, Verdict.FAIL, measured, advice)
    silent = [
        heard.name
        for heard in run.heard
        if not heard.n_blocks and not heard.sparse and heard.is_assigned
    ]
    if silent:
        advice = "others watch them, but nothing comes: are they slow? if not, restart the project"
        return Check(name, Verdict.WARN, f"{measured}; nothing of {name_some(silent)}", advice)
    late = run.first_sample_s
    took = f", first sample after {late:.2f} s" if late is not None else ""
    return Check(name, Verdict.OK, f"{measured}{took}")


def _check_complete(facts: Facts) -> Check:
    run, name = facts.run, "complete"
    streams, taken, close = even_streams(facts), lost_to_others(facts), too_close(facts)
    n_values = sum(stream["samples"] * len(stream["variables"]) for stream in _streams(facts))
    lost = {
        name: max(0, stream["lost"] - taken.get(name, 0) - close.get(name, 0))
        for stream in streams
        for name in (stream["name"],)
    }
    for heard in run.heard:
        n_values += heard.n_values
        lost[heard.name] = heard.n_lost
    n_lost = sum(lost.values())
    losing = [stream for stream, n in lost.items() if n]
    counters = run.final.get("counters", {})
    bad = sum(counters.get(key, 0) for key in ("orphan_headers", "orphan_payloads", "bad_frames"))
    measured = f"{n_values} values, {n_lost} lost"
    if bad:
        measured += f", {bad} incomplete or bad messages"
    if broken := find_break(facts):
        return Check(name, Verdict.FAIL, f"{measured}, {broken}", _CURES_OF_BREAKS[broken])
    if n_lost or bad:
        is_silent = fell_silent(facts)
        verdict = Verdict.FAIL if n_lost > MANY * max(n_values, 1) else Verdict.WARN
        if losing:
            measured += f" ({name_some(losing)})"
        if is_silent:
            measured += ", nothing came for a second or more"
        advice = "check cable, hub and power; restart the project" if is_silent else _CURE_OF_LOSS
        return Check(name, verdict, measured, advice)
    return Check(name, Verdict.OK, measured)


_CURE_OF_LOSS: Final = (
    "the board or the network cannot keep up: watch fewer variables, use USB, close other programs"
)


def _check_slow(facts: Facts) -> Check:
    streams = _streams(facts)
    if close := too_close(facts):
        advice = 'assign them at most every other tick, or stream them with mode = "watch"'
        measured = f"{name_some(list(close))}: {sum(close.values())} values followed too soon"
        return Check("slow values", Verdict.WARN, measured, advice)
    singles = [s["name"] for s in streams if s["delivery"] == "single" and s["samples"]]
    if singles:
        return Check(
            "slow values", Verdict.OK, f"one by one as they are assigned: {name_some(singles)}"
        )
    slow = [
        s["name"]
        for s in streams
        if s["mode"] == "sparse" and s["delivery"] == "block" and s["assigned"] and not s["samples"]
    ]
    if slow and not (facts.run.is_playback or stand_still(facts) or find_break(facts)):
        advice = 'their blocks fill slowly; streaming.prompt = "auto" sends each value at once'
        return Check("slow values", Verdict.WARN, f"none came of {name_some(slow)}", advice)
    return Check("slow values", Verdict.OK, "none")


def _check_uneven(facts: Facts) -> Check:
    names = uneven_variables(facts)
    if not names or stand_still(facts) or find_break(facts):
        return Check("uneven", Verdict.OK, "none")
    n_withheld = sum(
        stream["lost"]
        for stream in _streams(facts)
        if not set(names).isdisjoint(stream["variables"])
    )
    measured = f"{name_some(names)}: times are estimates"
    if n_withheld:
        measured += f", {n_withheld} values withheld or lost"
    return Check("uneven", Verdict.WARN, measured, _CURE_OF_UNEVEN)


def _check_lateness(facts: Facts) -> Check:
    even = {stream["name"] for stream in even_streams(facts)}
    late_s = [delay_s for name, delay_s in facts.run.delays_s.items() if name in even]
    if not late_s:
        return Check("lateness", Verdict.OK, "not measured: no regular stream")
    measured = f"blocks {1e3 * max(late_s):.0f} ms after their last value"
    if max(late_s) > _LATE_S:
        if facts.run.is_playback:
            return Check("lateness", Verdict.OK, f"{measured}: a recording is played")
        if explained := "network" if network_faults(facts) else _broken_line(facts):
            return Check("lateness", Verdict.OK, f"{measured}: see '{explained}'")
        advice = "the board or the network is loaded: lower its processor load, use USB, not Wi-Fi"
        return Check("lateness", Verdict.WARN, measured, advice)
    return Check("lateness", Verdict.OK, measured)


def _broken_line(facts: Facts) -> str:
    if stand_still(facts):
        return "ticks"
    return "complete" if find_break(facts) or fell_silent(facts) else ""
