"""Judges the board: its address, its sketch and variables, its other clients. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bela_module.checking.facts import BoardFacts, Facts
from bela_module.checking.verdicts import Check, Verdict
from bela_module.validation import shorten

_MAX_NAMES = 6


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
    silent = [
        variable
        for stream in facts.run.final.get("streams", ())
        if not stream["assigned"]
        for variable in stream["variables"]
    ]
    if not silent:
        return Check("assigned", Verdict.OK, "all variables that were looked at")
    advice = "the sketch never assigned them; no sample will come until it does"
    return Check("assigned", Verdict.WARN, f"not {name_some(silent)}", advice)


def check_other_clients(facts: Facts) -> Check:
    """Judge who else watches, monitors, controls or asks."""
    others = facts.run.status.get("others", {})
    used = [f"{len(names)} {how}" for how, names in others.items() if names]
    computer = facts.computer
    module = computer.pcomm_port == "ours" and computer.pcomm_board_url == facts.board.url
    if not used:
        return Check("other clients", Verdict.OK, "none that uses a variable")
    names = list(dict.fromkeys(name for found in others.values() for name in found))
    measured = f"{', '.join(used)}: {name_some(names)}"
    if module and not others.get("controlled"):
        state = computer.pcomm_state or "running"
        return Check("other clients", Verdict.OK, f"{measured}, the module here is {state}")
    advice = (
        "another program uses the board, or has left this when it crashed: close it, "
        'or START with "exclusive": true'
    )
    if others.get("controlled"):
        advice += "; RELEASE gives control back to the sketch"
    return Check("other clients", Verdict.WARN, measured, advice)
