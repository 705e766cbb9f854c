"""Causes that change many figures: each turns its own line, others refer to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Final

from bela_module.checking.facts import Facts
from bela_module.tracking.runs import GapReason

_LEAST_REPLIES: Final = 5
_MANY_LATE: Final = 4
_SLOW_S, _JITTER_S = 0.05, 0.1
_LATE_SHARE: Final = 0.03  # of a loaded board; a busy computer has one or two
_LATE_S: Final = 0.07  # one in ten; a board may wait 40 ms for an acknowledgement
_VERY_LATE_S: Final = 0.7  # once is enough

_BY_OTHERS: Final = frozenset({GapReason.RESTARTED, GapReason.CUT})
_ENDED_BY_OTHERS: Final = "another client ended"


def told(facts: Facts) -> Iterator[str]:
    """Give all texts in which the session has told of problems."""
    yield from facts.run.problems
    yield from facts.run.final.get("notices", ())
    yield from facts.run.final.get("shortfalls", ())


def stand_still(facts: Facts) -> bool:
    """Tell whether the ticks stood still, so that nothing could be measured by them."""
    ticks = facts.run.round_trips.ticks
    never_went_on = len(ticks) >= _LEAST_REPLIES and len(set(ticks)) == 1
    return never_went_on or any("ticks stand still" in text for text in told(facts))


def find_break(facts: Facts) -> str:
    """Say what ended the connection or the sketch meanwhile; empty when nothing did."""
    final = facts.run.final
    counters: Mapping[str, int] = final.get("counters", {})
    if facts.run.is_playback:
        return ""  # what the board seems to do after a recording means nothing
    if counters.get("restarts"):
        return "board restarted"
    if not final.get("streams") or sends_nothing(facts):
        return ""
    if not final.get("board", {}).get("connected", True):
        return "nothing comes any more"
    if counters.get("reconnects"):
        return "connection lost"
    return ""


def sends_nothing(facts: Facts) -> bool:
    """Tell whether the board answers, but has not sent a single value of what was asked for."""
    streams = facts.run.final.get("streams", ())
    return (
        bool(streams)
        and not _delivers(facts)
        and any(stream["assigned"] and stream["mode"] == "dense" for stream in streams)
        and bool(facts.run.round_trips.taken_s)
        and bool(facts.run.final.get("board", {}).get("connected", True))
    )


def _delivers(facts: Facts) -> bool:
    """Tell whether anything at all has come, to the check or to others."""
    streams = facts.run.final.get("streams", ())
    heard = any(one.n_blocks for one in facts.run.heard)
    return heard or any(stream["samples"] for stream in streams)


def unassigned_streams(facts: Facts) -> list[Mapping[str, Any]]:
    """Give the streams of variables that the sketch has not assigned, as far as one can tell.

    While others end a watch of such a variable, the board lists it as if it was assigned: its
    value tells, if values of others come.
    """
    changed, delivers = facts.run.changed, _delivers(facts)
    return [
        stream
        for stream in facts.run.final.get("streams", ())
        if changed.isdisjoint(stream["variables"])
        and (
            not stream["assigned"]
            or (delivers and not stream["samples"] and stream["mode"] == "dense")
        )
    ]


def fell_silent(facts: Facts) -> bool:
    """Tell whether nothing came from the board for a second or more, and values are missing."""
    lost = any(stream["lost"] for stream in facts.run.final.get("streams", ()))
    return lost and any("nothing has come from the board" in text for text in told(facts))


def typical_round_trip_s(facts: Facts) -> float:
    """Return the median of the round trips.

    While the check streams, a reply to its session may be taken for one to its listener, and seem
    quicker than any can be; those before are not mistaken.
    """
    medians_s = [
        median(one) for one in (facts.board.replies_s, facts.run.round_trips.taken_s) if one
    ]
    return max(medians_s, default=0.0)


def network_faults(facts: Facts) -> str:
    """Say why the round trips are not as they should be; empty when they are.

    While a board is away or silent nothing is said of its network.
    """
    trips = facts.run.round_trips
    if not trips.taken_s or find_break(facts):
        return ""
    if trips.n_lost and not fell_silent(facts):
        return f"{trips.n_lost} without reply"
    taken_s = sorted(trips.taken_s)
    typical_s = typical_round_trip_s(facts)
    limit_s = typical_s + _JITTER_S
    stood_still_s = trips.stood_still_s or (0.0,) * len(taken_s)
    late_s = [one - still_s for one, still_s in zip(trips.taken_s, stood_still_s, strict=True)]
    n_late = sum(one > limit_s for one in late_s)
    if n_late >= max(_MANY_LATE, _LATE_SHARE * len(taken_s)):
        return f"{n_late} of {len(taken_s)} over {1e3 * limit_s:.0f} ms"
    if sorted(late_s)[int(0.9 * (len(late_s) - 1))] > typical_s + _LATE_S:
        return "uneven"
    if max(late_s) > typical_s + _VERY_LATE_S and not fell_silent(facts):
        return f"one after {max(late_s):.1f} s"
    return "slow" if typical_s > _SLOW_S else ""


def pauses_of_ticks(facts: Facts) -> str:
    """Say how the ticks paused or skipped; empty when they did not, as far as one can tell."""
    if find_break(facts):
        return ""
    texts = [text for text in told(facts) if "ticks paused" in text or "ticks skipped" in text]
    return texts[-1] if texts else ""


def uneven_variables(facts: Facts) -> list[str]:
    """Give the variables that are assigned unevenly, so that their times are not known."""
    names: dict[str, None] = {}
    for text in told(facts):
        listed, _, why = text.partition(": ")
        if "assigned unevenly" in why or "not assigned all the time" in why:
            names |= dict.fromkeys(listed.split(", "))
        elif "values withheld: its blocks do not tell" in why:
            names[listed] = None
    return list(names)


def even_streams(facts: Facts) -> list[Mapping[str, Any]]:
    """Give the streams whose times can be known: those without uneven variables."""
    uneven = set(uneven_variables(facts))
    streams = facts.run.final.get("streams", ())
    return [stream for stream in streams if uneven.isdisjoint(stream["variables"])]


def lost_to_others(facts: Facts) -> dict[str, int]:
    """Give the values that commands of other programs have cost, by stream."""
    ended = any(_ENDED_BY_OTHERS in text for text in told(facts))
    found: dict[str, int] = {}
    for stream in even_streams(facts):
        causes = facts.run.losses.get(stream["name"], {})
        n_values = stream["lost"] if ended else sum(causes.get(one, 0) for one in _BY_OTHERS)
        if n_values:
            found[stream["name"]] = min(n_values, stream["lost"])
    return found


def too_close(facts: Facts) -> dict[str, int]:
    """Give the values that did not come singly, since they followed too soon, by stream."""
    found = {name: causes.get(GapReason.TOO_CLOSE, 0) for name, causes in facts.run.losses.items()}
    return {name: n_values for name, n_values in found.items() if n_values}


def are_ended_by_others(facts: Facts) -> bool:
    """Tell whether another program ended what the check had asked for."""
    return any(_ENDED_BY_OTHERS in text for text in told(facts))
