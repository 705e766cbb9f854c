"""Judges the board: its address, its sketch and variables, its other clients. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bela_module.checking.causes import (
    are_ended_by_others,
    find_break,
    lost_to_others,
    sends_nothing,
    stand_still,
    unassigned_streams,
)
from bela_module.checking.facts import BoardFacts, Facts
from bela_module.checking.verdicts import Check, Verdict
from bela_module.validation import shorten

_MAX_NAMES: Final = 6
MANY: Final = 0.01
"""Share of lost values above which an experiment would not get what it asks for."""


def name_some(names: Sequence[str]) -> str:
    """Name some things, and say how many more there are."""
    shown = ", ".join(shorten(name) for name in names[:_MAX_NAMES])
    return f"{shown} and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else shown


def check_address(board: BoardFacts) -> Check:
    """Judge whether something that is a Watcher answers at one of the board's addresses."""
    name = "board"
    if board.lookup_error:
        advice = "is it on and connected? try its address, --board 192.168.7.2 or 192.168.6.2"
        return Check(name, Verdict.FAIL, f"{board.url}: {board.lookup_error}", advice)
    failed = [one for one in board.attempts if one.error]
    reached = [one for one in board.attempts if not one.error]
    if not reached:
        tried = "; ".join(f"{one.address}: {one.error}" for one in failed) or "no address"
        advice = "is the board on, and does a project that uses Watcher run on it?"
        return Check(name, Verdict.FAIL, f"{board.url}: {tried}", advice)
    if board.error:
        said = f" ({board.http_status})" if board.http_status else ""
        advice = "is it a Bela whose project uses Watcher? another program may use this port"
        return Check(name, Verdict.FAIL, f"{board.error}{said}", advice)
    measured = f"{board.url} at {reached[0].address} in {1e3 * reached[0].took_s:.0f} ms"
    if failed:
        measured += f"; no answer from {', '.join(one.address for one in failed)}"
    return Check(name, Verdict.OK, measured)


def sketch_checks(facts: Facts) -> Iterator[Check]:
    """Judge the project that runs and its variables."""
    board = facts.board
    variables = board.variables
    if not variables:
        advice = "declare variables with Watcher<type> in the sketch and build it again"
        yield Check("sketch", Verdict.FAIL, f"{board.project}: no variables", advice)
        return
    types = Counter(variable.value_type.label for variable in variables)
    kinds = ", ".join(f"{count} {label}" for label, count in types.items())
    yield Check("sketch", Verdict.OK, f"{board.project}: {len(variables)} variables, {kinds}")
    yield _check_names(facts)
    yield _check_assigned(facts)


def _check_names(facts: Facts) -> Check:
    counts = Counter(variable.name for variable in facts.board.variables)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        advice = "give each Watcher variable a name of its own: only the first of them is streamed"
        return Check("names", Verdict.WARN, f"several are called {name_some(repeated)}", advice)
    if nameless := counts.get("", 0):
        advice = "name it in the sketch: no command can ask for it"
        return Check("names", Verdict.WARN, f"{nameless} without a name", advice)
    return Check("names", Verdict.OK, "each its own")


def _check_assigned(facts: Facts) -> Check:
    if stand_still(facts) or find_break(facts) or sends_nothing(facts):
        return Check("assigned", Verdict.OK, "not measured: see the lines below")
    silent = [name for stream in unassigned_streams(facts) for name in stream["variables"]]
    # Watched, though nothing is assigned: as a check before this one has left it.
    silent += [one.name for one in facts.run.heard if not (one.sparse or one.is_assigned)]
    if not silent or facts.run.is_playback:
        return Check("assigned", Verdict.OK, "all variables that were looked at")
    advice = "no sample of them will come until the sketch assigns them; fine for what you only SET"
    return Check("assigned", Verdict.WARN, f"never: {name_some(silent)}", advice)


def check_other_clients(facts: Facts) -> Check:
    """Judge who else watches, monitors, controls or asks, or ends what is streamed."""
    name, computer = "other clients", facts.computer
    others = dict(facts.run.status.get("others", {}))
    unused = {one.name for one in facts.run.heard if not (one.n_blocks or one.is_assigned)}
    left = [one for one in others.get("watched", ()) if one in unused]
    others["watched"] = [one for one in others.get("watched", ()) if one not in unused]
    used = [f"{len(names)} {how}" for how, names in others.items() if names]
    parts = [f"{', '.join(used)}: {name_some(_names(others))}"] if used else []
    if n_asked := facts.board.n_asked_by_others:
        parts.append(f"{n_asked} requests in {facts.board.listened_s:.1f} s")
    taken = lost_to_others(facts)
    is_ended = are_ended_by_others(facts)
    if taken or is_ended:
        what = "ended what is streamed here" if is_ended else "interfered with what is streamed"
        parts.append(f"another program {what}, {sum(taken.values())} values lost")
    if not parts:
        rest = f"; left watched, and not assigned since: {name_some(left)}" if left else ""
        return Check(name, Verdict.OK, f"none that uses a variable{rest}")
    measured = "; ".join(parts)
    if computer.serves_this_board and not (others.get("controlled") or taken or is_ended):
        state = computer.pcomm_state or "running"
        return Check(name, Verdict.OK, f"{measured}; the module here is {state}")
    if computer.serves_this_board and (taken or is_ended):
        advice = "the module here began or ended streams meanwhile: check again, before or after"
        return Check(name, Verdict.WARN, measured, advice)
    if not used:
        advice = "another program is connected to the board, such as a browser: close it"
    else:
        advice = (
            "another program uses the board, or has left this when it crashed: close it, "
            'or START with "exclusive": true'
        )
    if others.get("controlled"):
        advice += "; RELEASE gives control back to the sketch"
    n_values = sum(stream["samples"] for stream in facts.run.final.get("streams", ()))
    fails = sum(taken.values()) > MANY * max(1, n_values)
    return Check(name, Verdict.FAIL if fails else Verdict.WARN, measured, advice)


def _names(others: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for found in others.values() for name in found))
