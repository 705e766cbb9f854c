"""Judges what came: completeness, slow and uneven variables, lateness of blocks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bela_module.checking.board_checks import name_some
from bela_module.checking.facts import Facts
from bela_module.checking.verdicts import Check, Verdict

_LATE_S: Final = 0.25
"""A block that comes so long after its last value tells of a loaded board or network."""

_CURE_OF_UNEVEN: Final = "declare them with kTimestampSample in the sketch"


def stream_checks(facts: Facts) -> Iterator[Check]:
    """Judge the streams of the check, and what others watch."""
    yield _check_started(facts)
    yield _check_complete(facts)
    yield _check_slow(facts)
    yield _check_uneven(facts)
    yield _check_lateness(facts)


def _check_started(facts: Facts) -> Check:
    run = facts.run
    if run.error:
        return Check("streams", Verdict.FAIL, run.error, "see the line before this one")
    streams: Sequence[Mapping[str, Any]] = run.final.get("streams", ())
    parts = [f"{len(streams)} started"] if streams else []
    if run.heard:
        parts.append(f"{len(run.heard)} of others heard")
    measured = ", ".join(parts) or "nothing to stream"
    missing = [
        stream["name"]
        for stream in streams
        if stream["assigned"] and not stream["samples"] and stream["mode"] == "dense"
    ]
    if missing:
        advice = "see 'assigned' and 'uneven'; if neither tells, restart the project on the board"
        return Check(
            "streams", Verdict.FAIL, f"{measured}; no sample of {name_some(missing)}", advice
        )
    silent = [heard.name for heard in run.heard if not heard.n_blocks and not heard.sparse]
    if silent:
        advice = "they are watched by others, yet nothing of them comes: are they slow?"
        return Check("streams", Verdict.WARN, f"{measured}; nothing of {name_some(silent)}", advice)
    late = run.first_sample_s
    took = f", first sample after {late:.2f} s" if late is not None else ""
    return Check("streams", Verdict.OK, f"{measured}{took}")


def _check_complete(facts: Facts) -> Check:
    run = facts.run
    n_values, n_lost = 0, 0
    losing: list[str] = []
    for stream in run.final.get("streams", ()):
        n_values += stream["samples"] * len(stream["variables"])
        n_lost += stream["lost"]
        losing += [stream["name"]] if stream["lost"] else []
    for heard in run.heard:
        n_values += heard.n_values
        n_lost += heard.n_lost
        losing += [heard.name] if heard.n_lost else []
    counters = run.final.get("counters", {})
    bad = sum(counters.get(key, 0) for key in ("orphan_headers", "orphan_payloads", "bad_frames"))
    measured = f"{n_values} values, {n_lost} lost"
    if bad:
        measured += f", {bad} incomplete or bad messages"
    if run.final.get("counters", {}).get("reconnects"):
        advice = "the connection broke off: check cable, hub and power of the board"
        return Check("complete", Verdict.FAIL, f"{measured}, connection lost", advice)
    if run.final.get("counters", {}).get("restarts"):
        advice = "the board or its project restarted meanwhile: look at its console for crashes"
        return Check("complete", Verdict.FAIL, f"{measured}, board restarted", advice)
    if n_lost or bad:
        advice = (
            "the board or the network cannot keep up: watch fewer variables, use USB, or close "
            "other clients"
        )
        verdict = Verdict.FAIL if n_lost > 0.01 * max(n_values, 1) else Verdict.WARN
        return Check(
            "complete", verdict, f"{measured} ({name_some(losing)})" if losing else measured, advice
        )
    return Check("complete", Verdict.OK, measured)


def _check_slow(facts: Facts) -> Check:
    streams = facts.run.final.get("streams", ())
    singles = [s["name"] for s in streams if s["delivery"] == "single" and s["samples"]]
    if singles:
        return Check(
            "slow values", Verdict.OK, f"one by one as they are assigned: {name_some(singles)}"
        )
    slow = [
        s["name"] for s in streams if s["mode"] == "sparse" and s["assigned"] and not s["samples"]
    ]
    if slow:
        advice = 'their blocks fill slowly; streaming.prompt = "auto" sends each value at once'
        return Check("slow values", Verdict.WARN, f"none came of {name_some(slow)}", advice)
    return Check("slow values", Verdict.OK, "none")


def _check_uneven(facts: Facts) -> Check:
    told = [*facts.run.problems, *facts.run.final.get("shortfalls", ())]
    uneven = [text.split(":", 1)[0] for text in told if "assigned unevenly" in text]
    withheld = [text.split(":", 1)[0] for text in told if "withheld" in text]
    names = list(dict.fromkeys([*uneven, *withheld]))
    if not names:
        return Check("uneven", Verdict.OK, "none")
    measured = f"{name_some(names)}: assigned unevenly, times are estimates or withheld"
    return Check("uneven", Verdict.WARN, measured, _CURE_OF_UNEVEN)


def _check_lateness(facts: Facts) -> Check:
    late_s = facts.run.delay_s
    if late_s is None:
        return Check("lateness", Verdict.OK, "not measured: no regular stream")
    measured = f"blocks {1e3 * late_s:.0f} ms after their last value"
    if late_s > _LATE_S:
        advice = "the board or the network is loaded: lower its processor load, use USB, not Wi-Fi"
        return Check("lateness", Verdict.WARN, measured, advice)
    return Check("lateness", Verdict.OK, measured)
