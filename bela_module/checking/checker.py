"""Runs a check: looks for the board, streams for some seconds, receives that back, and judges.

Nothing that others use is touched. What others watch is only listened to; what nobody watches is
streamed by a session of the check's own, with streams ``bela_check_...`` and an identity of their
own, and is left as it was found.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final

from bela_module.checking.board_checks import (
    check_address,
    check_other_clients,
    sketch_checks,
)
from bela_module.checking.board_probe import probe_board
from bela_module.checking.clock_checks import clock_checks
from bela_module.checking.computer_checks import computer_checks
from bela_module.checking.computer_probe import names_in_use, probe_computer, probe_lsl_ports
from bela_module.checking.facts import BoardFacts, Facts, LslFacts, RunFacts
from bela_module.checking.listening import BoardListener, listen
from bela_module.checking.lsl_checks import lsl_checks
from bela_module.checking.own_streams import OwnStreams, Playback, wait
from bela_module.checking.session_watch import LossCountingOutlets, StatusWatcher
from bela_module.checking.stream_checks import stream_checks
from bela_module.checking.time_limits import (
    CONNECT_S,
    LOOK_PERIOD_S,
    OTHERS_HEARD_S,
    SAME_BOARD_S,
    START_S,
    WATCH_SHOWS_S,
)
from bela_module.checking.verdicts import Check, CheckReport
from bela_module.config import Settings, with_overrides
from bela_module.errors import BelaError
from bela_module.protocol.variables import Variable
from bela_module.session.session import Session
from bela_module.streams.lsl.inlet_receiver import resolve_identity
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.stream_plans import choose_variables
from bela_module.validation import host_in_url

PREFIX: Final = "bela_check_"

Progress = Callable[[str], None]
"""Is told in a few words what is being done."""

IsCancelled = Callable[[], bool]
"""Tells whether to end early."""

Split = tuple[tuple[str, ...], list[Variable], str]
"""What to stream, what to listen to, and why neither."""

_SAMPLE_OVERHEAD_BYTES: Final = 8  # the stamp


def run_check(
    settings: Settings,
    seconds: float,
    progress: Progress | None = None,
    is_cancelled: IsCancelled | None = None,
    playback: Playback | None = None,
    *,
    nothing_begins: bool = False,
) -> CheckReport:
    """Check board, network, LSL and this computer.

    Parameters
    ----------
    settings : Settings
        As for the experiment.
    seconds : float
        How long to stream.
    progress : callable, optional
        Is told what is being done; called in this thread.
    is_cancelled : callable, optional
        Tells, in any thread, whether to end early; asked some times a second.
    playback : Playback, optional
        The capture that the board plays, if it plays one.
    nothing_begins : bool
        Whether the module of this computer begins nothing meanwhile: what it has prepared can then
        be streamed by the check.

    Returns
    -------
    CheckReport
        The verdict, with a line for each check. What cannot be looked at, since something before
        it failed, has no line.

    Raises
    ------
    BelaError
        When it was cancelled; the board is left as it was found.
    """
    tell, is_cancelled = progress or _tell_nobody, is_cancelled or _never
    tell(f"looking for {settings.board.url}")
    board = BoardFacts(settings.board.url)
    same_identity: tuple[str, ...] = ()
    if playback is None:
        board, same_identity = _look_around(settings, is_cancelled)
        if board.error or not any(not one.error for one in board.attempts):
            facts = Facts(board, RunFacts(), LslFacts(), probe_computer(settings, 0.0))
            return CheckReport((check_address(board), *computer_checks(facts)))
    ports = probe_lsl_ports()
    unless = "prepared" if nothing_begins else "idle"
    split = partial(_split, settings, board, playback, unless)
    run, lsl = _stream(settings, split, seconds, tell, is_cancelled, playback)
    if is_cancelled():
        raise BelaError("the check was ended before its time")
    tell("looking at this computer")
    if playback is not None:  # it begins to play with its first client: only now
        board = asyncio.run(probe_board(settings.board))
    computer = probe_computer(settings, _bytes_per_hour(run), board, ports)
    facts = Facts(board, run, replace(lsl, same_identity=same_identity), computer)
    return CheckReport((check_address(board), *judge(facts)))


def judge(facts: Facts) -> Iterator[Check]:
    """Judge all facts of a board that was found, in the order in which they are shown."""
    yield from sketch_checks(facts)
    yield from clock_checks(facts)
    yield from stream_checks(facts)
    yield check_other_clients(facts)
    yield from lsl_checks(facts)
    yield from computer_checks(facts)


def _never() -> bool:
    """Tell that nothing was cancelled."""
    return False


def _tell_nobody(_text: str) -> None:
    """Take progress that nobody wants to see."""


def _look_around(
    settings: Settings, is_cancelled: IsCancelled
) -> tuple[BoardFacts, tuple[str, ...]]:
    """Look for the board, and meanwhile for computers with streams of a board of its name."""
    with ThreadPoolExecutor(1, "bela-check-identities") as pool:
        name = f"bela:{settings.board.name}:"
        searching = pool.submit(resolve_identity, name, OTHERS_HEARD_S)
        board = asyncio.run(probe_board(settings.board, OTHERS_HEARD_S, is_cancelled))
        identity = f"{name}{board.project}:"
        found = [info for info in searching.result() if info.source_id().startswith(identity)]
    here = socket.gethostname()
    if any(info.hostname() == here for info in found):
        same_board = _find_streams_of(settings, board, identity)
        found = [i for i in found if not (i.hostname() == here and i.uid() in same_board)]
    return board, tuple(sorted({info.hostname() for info in found}))


def _find_streams_of(settings: Settings, board: BoardFacts, identity: str) -> set[str]:
    """Find the streams of this very board, by the addresses at which this computer reaches it."""
    port = settings.board.port
    urls = {settings.board.url}
    urls |= {f"ws://{host_in_url(one.address)}:{port}" for one in board.attempts if not one.error}
    return {
        info.uid()
        for url in sorted(urls)
        for info in resolve_identity(identity, SAME_BOARD_S, address=url)
    }


def _stream(
    settings: Settings,
    split: Callable[[Session], Split],
    seconds: float,
    tell: Progress,
    is_cancelled: IsCancelled,
    playback: Playback | None,
) -> tuple[RunFacts, LslFacts]:
    """Stream what nobody watches, and listen to the rest."""
    own = _own_settings(settings)
    outlets: list[LossCountingOutlets] = []

    def make_outlets() -> LossCountingOutlets:
        outlets.append(LossCountingOutlets(own.streaming.events_stream))
        return outlets[0]

    with (
        ThreadPoolExecutor(1, "bela-check-listener") as pool,
        Session(own, sink=make_outlets, now=local_clock, obeys_ticks=playback is None) as session,
    ):
        watcher = StatusWatcher(session)
        over = threading.Event()
        with watcher.watching():
            asked, others, error = split(session)
            listener = BoardListener(
                settings.board, others, lambda: is_cancelled() or over.is_set()
            )
            listening: list[Future[str]] = []

            def begin_listening(taken: Sequence[Variable] = ()) -> None:
                listener.follow(taken)
                longest_s = seconds + (2 * START_S if asked else 0.0)
                listening.append(pool.submit(asyncio.run, listen(listener, longest_s)))

            streams = OwnStreams(
                session, own, watcher, seconds, is_cancelled, begin_listening, playback
            )
            lsl = LslFacts()
            if asked:
                tell(f"streaming {len(asked)} variables for {seconds:g} s")
                lsl = streams.run(asked)
            else:
                tell(f"listening for {seconds:g} s")
                begin_listening()
                wait(seconds, is_cancelled)
            over.set()
            for one in listening:
                one.result()
        final = session.status()
        started = [one for one in final["streams"] if one["name"] in streams.started]
    losses = outlets[0].losses if outlets else {}
    return (
        RunFacts(
            streamed_s=streams.streamed_s or seconds,
            is_playback=playback is not None,
            status=watcher.last,
            final=final | {"streams": started},
            uncertainty_s=watcher.uncertainty_s,
            first_sample_s=watcher.first_sample_s,
            delays_s=watcher.delays_s,
            losses=losses,
            problems=tuple(watcher.problems),
            error=error or streams.error,
            heard=listener.heard,
            round_trips=listener.round_trips,
            changed=frozenset(listener.changed),
        ),
        lsl,
    )


def _split(
    settings: Settings,
    board: BoardFacts,
    playback: Playback | None,
    unless: str,
    session: Session,
) -> Split:
    """Split the variables into those to be streamed and those that others watch, at this moment.

    What others have just begun to watch is listed so a moment later: it is looked at twice. What
    the module of this computer has scheduled is not listed at all, and left to it.

    Returns
    -------
    tuple of str, list of Variable, str
        What to stream, what to listen to, and why not: a variable of the configuration is not
        there, or the board does not answer.
    """
    if playback is not None:
        return playback.watched or playback.monitored, [], ""
    try:
        before = _look(session)
        time.sleep(WATCH_SHOWS_S)
        variables = _look(session)
        chosen = choose_variables(variables, None, settings) if variables else []
    except BelaError as error:
        return (), [], str(error)
    in_use = {variable.name for variable in before if variable.watched}
    in_use |= names_in_use(settings, board, unless=unless)
    watched = [variable for variable in chosen if variable.watched]
    free = [v.name for v in chosen if not v.watched and v.name not in in_use]
    return tuple(free), watched, ""


def _look(session: Session) -> Sequence[Variable]:
    until_s = time.monotonic() + CONNECT_S
    while time.monotonic() < until_s and not session.status()["board"]["connected"]:
        time.sleep(LOOK_PERIOD_S)
    try:
        return session.look().result(CONNECT_S).variables
    except TimeoutError:
        raise BelaError(f"the board did not list its variables in {CONNECT_S:.0f} s") from None


def _own_settings(settings: Settings) -> Settings:
    """Give the check's streams names and an identity of their own, and leave inputs away."""
    own = with_overrides(
        settings,
        board={"name": f"{settings.board.name}-check-{uuid.uuid4().hex[:8]}"},
        streaming={
            "prefix": PREFIX,
            "events_stream": f"{PREFIX}events",
            "clock_stream": f"{PREFIX}clock",
            "exclusive": False,
        },
    )
    return own.model_copy(update={"inputs": {}})


def _bytes_per_hour(run: RunFacts) -> float:
    """Estimate what a recording of all streams takes; of a capture that is played nothing."""
    if run.is_playback:
        return 0.0
    n_bytes = 0.0
    for stream in run.final.get("streams", ()):
        size = {"double64": 8, "int8": 1}.get(stream["format"], 4)
        n_bytes += stream["samples"] * (size * len(stream["variables"]) + _SAMPLE_OVERHEAD_BYTES)
    n_bytes += sum(heard.n_values for heard in run.heard) * (4 + _SAMPLE_OVERHEAD_BYTES)
    return 3600.0 * n_bytes / max(run.streamed_s, 1e-3)
