"""Judges LSL: found, received complete, identity unique, delay. Pure."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from bela_module.checking.board_checks import name_some
from bela_module.checking.causes import even_streams
from bela_module.checking.facts import Facts
from bela_module.checking.verdicts import Check, Verdict

_FOUND_WITHIN_S: Final = 2.0  # the quickest of some searches, on a busy computer
_DELAY_S: Final = 0.5


def lsl_checks(facts: Facts) -> Iterator[Check]:
    """Judge the check's own streams as a recorder would see them."""
    lsl = facts.lsl
    if lsl.error:
        advice = "is another LSL library in the way? see the message; reinstall pylsl"
        yield Check("LSL", Verdict.FAIL, lsl.error, advice)
        return
    yield _check_found(facts)
    yield _check_received(facts)
    yield _check_identity(facts)


def _check_found(facts: Facts) -> Check:
    lsl = facts.lsl
    if not lsl.n_opened:
        return Check("LSL found", Verdict.OK, "not looked at: nothing was streamed by the check")
    n_missing = lsl.n_opened - len(lsl.found)
    if n_missing > 0 or lsl.found_in_s is None:
        advice = (
            "recorders would not see them: allow Python in the firewall, and look at lsl_api.cfg"
        )
        measured = f"{len(lsl.found)} of {lsl.n_opened} streams"
        return Check("LSL found", Verdict.FAIL, measured, advice)
    measured = f"{len(lsl.found)} streams in {lsl.found_in_s:.2f} s"
    if lsl.found_in_s > _FOUND_WITHIN_S:
        advice = "start recorders some seconds after PREPARE or START"
        return Check("LSL found", Verdict.WARN, measured, advice)
    return Check("LSL found", Verdict.OK, measured)


def _check_received(facts: Facts) -> Check:
    streams = {stream["name"]: stream["samples"] for stream in even_streams(facts)}
    received = facts.lsl.received
    own = {name: n for name, n in streams.items() if name in received}
    if not own:
        return Check("LSL received", Verdict.OK, "nothing to receive")
    short = [name for name, n in own.items() if received[name].n_samples != n]
    n_got = sum(received[name].n_samples for name in own)
    measured = f"{n_got} of {sum(own.values())} samples"
    # Events and bela_clock tell of times that have passed: how old they are says nothing.
    told_s = (received[name].delay_s for name in own)
    delays_s = [delay_s for delay_s in told_s if delay_s is not None]
    own_lateness_s = max(facts.run.delays_s.values(), default=0.0)
    if delays_s:
        measured += f", newest {1e3 * max(delays_s):.0f} ms old"
    if short:
        advice = "this computer loses samples within LSL: close other programs, use fewer streams"
        return Check("LSL received", Verdict.FAIL, f"{measured}: {name_some(short)}", advice)
    # What came late from the board is told of as its lateness.
    is_late = bool(delays_s) and max(delays_s) - own_lateness_s > _DELAY_S
    if is_late and not facts.run.is_playback:
        advice = "is this computer too busy? close other programs"
        return Check("LSL received", Verdict.WARN, measured, advice)
    return Check("LSL received", Verdict.OK, measured)


def _check_identity(facts: Facts) -> Check:
    hosts = facts.lsl.same_identity
    if not hosts:
        return Check("LSL identity", Verdict.OK, "no other streams of this board's name")
    where = name_some(hosts)
    others = facts.run.status.get("others", {})
    is_ours = facts.computer.serves_this_board and set(hosts) <= {socket.gethostname()}
    if is_ours or facts.run.heard or others.get("watched"):
        return Check("LSL identity", Verdict.OK, f"streamed already, on {where}")
    advice = "give each board of a lab its own board.name, or its streams cannot be told apart"
    return Check("LSL identity", Verdict.FAIL, f"its name is in use on {where}", advice)
