"""Runs a check: looks for the board, streams for some seconds, receives that back, and judges.

Nothing that others use is touched. What others watch is only listened to; what nobody watches is
streamed by a session of the check's own, with streams ``bela_check_...`` and an identity of their
own, and is left as it was found.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Final

from bela_module.checking.board_checks import (
    check_address,
    check_other_clients,
    sketch_checks,
)
from bela_module.checking.board_probe import probe_board
from bela_module.checking.clock_checks import clock_checks
from bela_module.checking.computer_checks import computer_checks
from bela_module.checking.computer_probe import names_in_use, probe_computer
from bela_module.checking.facts import BoardFacts, Facts, LslFacts, ReceivedStream, RunFacts
from bela_module.checking.listening import BoardListener, listen
from bela_module.checking.lsl_checks import lsl_checks
from bela_module.checking.stream_checks import stream_checks
from bela_module.checking.time_limits import (
    CONNECT_S,
    FIND_STREAMS_S,
    LAST_SAMPLES_S,
    LOOK_PERIOD_S,
    START_S,
    STOP_S,
    WATCH_SHOWS_S,
)
from bela_module.checking.verdicts import Check, CheckReport
from bela_module.config import Settings, with_overrides
from bela_module.errors import BelaError
from bela_module.protocol.variables import Variable
from bela_module.requests import StartRequest
from bela_module.session.session import Session
from bela_module.streams.lsl.inlet_receiver import InletReceiver, resolve_identity
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.stream_plans import choose_variables

PREFIX: Final = "bela_check_"

Progress = Callable[[str], None]
"""Is told in a few words what is being done."""

IsCancelled = Callable[[], bool]
"""Tells whether to end early."""

_SAMPLE_OVERHEAD_BYTES: Final = 8  # the stamp


def run_check(
    settings: Settings,
    seconds: float,
    progress: Progress | None = None,
    is_cancelled: IsCancelled | None = None,
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
    board = asyncio.run(probe_board(settings.board))
    address = check_address(board)
    if board.error or not any(not one.error for one in board.attempts):
        computer = probe_computer(settings, 0.0)
        facts = Facts(board, RunFacts(), LslFacts(), computer)
        return CheckReport((address, *computer_checks(facts)))
    run, lsl = _stream(settings, board, seconds, tell, is_cancelled)
    if is_cancelled():
        raise BelaError("the check was ended before its time")
    tell("looking at this computer")
    computer = probe_computer(settings, _bytes_per_hour(run))
    return CheckReport((address, *judge(Facts(board, run, lsl, computer))))


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


def _wait(seconds: float, is_cancelled: IsCancelled) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not is_cancelled():
        time.sleep(LOOK_PERIOD_S)


def _tell_nobody(_text: str) -> None:
    """Take progress that nobody wants to see."""


def _stream(
    settings: Settings,
    board: BoardFacts,
    seconds: float,
    tell: Progress,
    is_cancelled: IsCancelled,
) -> tuple[RunFacts, LslFacts]:
    """Stream what nobody watches, and listen to the rest."""
    own = _own_settings(settings)
    same_identity = _find_same_identity(settings, board)
    with (
        ThreadPoolExecutor(1, "bela-check-listener") as pool,
        Session(
            own, sink=partial(LslOutlets, own.streaming.events_stream), now=local_clock
        ) as session,
    ):
        watcher = _StatusWatcher(session)
        lsl = LslFacts(same_identity=same_identity)
        error = ""
        with watcher.watching():
            try:
                asked, others = _split(settings, session)
            except BelaError as refusal:
                asked, others, error = [], [], str(refusal)
            tell(f"streaming {len(asked)} variables for {seconds:g} s" if asked else "listening")
            listener = BoardListener(settings.board, others, is_cancelled)
            listening = pool.submit(asyncio.run, listen(listener, seconds))
            if asked:
                streaming = _OwnStreams(session, own, seconds, is_cancelled)
                error, lsl = streaming.run(asked, same_identity)
            else:
                _wait(seconds, is_cancelled)
            listening.result()
        final = session.status()
    return (
        RunFacts(
            seconds=seconds,
            status=watcher.last,
            final=final,
            uncertainty_s=watcher.uncertainty_s,
            first_sample_s=watcher.first_sample_s,
            delay_s=watcher.delay_s,
            problems=tuple(watcher.problems),
            error=error,
            heard=listener.heard,
            round_trips=listener.round_trips,
            changed=frozenset(listener.changed),
        ),
        lsl,
    )


def _split(settings: Settings, session: Session) -> tuple[list[Variable], list[Variable]]:
    """Split the variables into those to be streamed and those that others watch, at this moment.

    What others have just begun to watch is listed so a moment later: it is looked at twice. What
    the module of this computer has scheduled is not listed at all, and left to it.

    Raises
    ------
    BelaError
        When a variable of the configuration is not there, or the board does not answer.
    """
    try:
        before = session.look().result(CONNECT_S).variables
        time.sleep(WATCH_SHOWS_S)
        variables = session.look().result(CONNECT_S).variables
    except TimeoutError:
        raise BelaError(f"the board did not list its variables in {CONNECT_S:.0f} s") from None
    if not variables:
        return [], []
    chosen = choose_variables(variables, None, settings)
    in_use = {variable.name for variable in before if variable.watched}
    in_use |= names_in_use(settings)
    watched = [variable for variable in chosen if variable.watched]
    free = [v for v in chosen if not v.watched and v.name not in in_use]
    return free, watched


def _own_settings(settings: Settings) -> Settings:
    """Give the check's streams names and an identity of their own."""
    return with_overrides(
        settings,
        board={"name": f"{settings.board.name}-check"},
        streaming={
            "prefix": PREFIX,
            "events_stream": f"{PREFIX}events",
            "clock_stream": f"{PREFIX}clock",
            "exclusive": False,
        },
    )


def _find_same_identity(settings: Settings, board: BoardFacts) -> tuple[str, ...]:
    """Find computers on which streams of a board of this name are."""
    infos = resolve_identity(f"bela:{settings.board.name}:{board.project}:", FIND_STREAMS_S / 2)
    return tuple(sorted({info.hostname() for info in infos}))


@dataclass(frozen=True, slots=True)
class _OwnStreams:
    """Streams variables that nobody uses, and receives them back."""

    session: Session
    settings: Settings
    seconds: float
    is_cancelled: IsCancelled

    def run(
        self, asked: Sequence[Variable], same_identity: tuple[str, ...]
    ) -> tuple[str, LslFacts]:
        """Stream; return why that failed, or an empty string, and what became of it on LSL."""
        names = tuple(variable.name for variable in asked)
        nothing = LslFacts(same_identity=same_identity)
        receiver = InletReceiver(f"bela:{self.settings.board.name}:")
        try:
            self.session.start(StartRequest.model_construct(variables=names)).result(START_S)
            lsl = self._receive(receiver, same_identity)
        except TimeoutError:
            return f"the board did not begin or end in {START_S:.0f} s", nothing
        except BelaError as error:
            return str(error), nothing
        finally:
            receiver.close()
        return "", lsl

    def _receive(self, receiver: InletReceiver, same_identity: tuple[str, ...]) -> LslFacts:
        streaming = self.settings.streaming
        streams = [stream["name"] for stream in self.session.status()["streams"]]
        streams += [name for name in (streaming.events_stream, streaming.clock_stream) if name]
        found_in_s, error = None, ""
        try:
            if not self.is_cancelled():
                found_in_s = receiver.find(streams, FIND_STREAMS_S)
                receiver.start()
        except RuntimeError as failure:  # pylsl raises its own kinds, as behind a firewall
            error = f"a stream was found, but could not be received: {failure!r}"
        _wait(self.seconds, self.is_cancelled)
        self.session.stop().result(STOP_S)
        receiver.wait_for(lambda: self.is_cancelled() or self._has_all(receiver), LAST_SAMPLES_S)
        received = {
            name: ReceivedStream(name, one.n_samples, one.delay_s)
            for name, one in receiver.received.items()
        }
        found = tuple(receiver.received)
        return LslFacts(len(streams), found, found_in_s, received, same_identity, error)

    def _has_all(self, receiver: InletReceiver) -> bool:
        return all(
            receiver.received[stream["name"]].n_samples >= stream["samples"]
            for stream in self.session.status()["streams"]
            if stream["name"] in receiver.received
        )


def _bytes_per_hour(run: RunFacts) -> float:
    """Estimate what a recording of all streams takes."""
    n_bytes = 0.0
    for stream in run.final.get("streams", ()):
        size = {"double64": 8, "int8": 1}.get(stream["format"], 4)
        n_bytes += stream["samples"] * (size * len(stream["variables"]) + _SAMPLE_OVERHEAD_BYTES)
    n_bytes += sum(heard.n_values for heard in run.heard) * (4 + _SAMPLE_OVERHEAD_BYTES)
    return 3600.0 * n_bytes / max(run.seconds, 1e-3)


class _StatusWatcher:
    """Looks at STATUS some times a second, and keeps what it says."""

    def __init__(self, session: Session) -> None:
        self.last: dict[str, Any] = {}
        self.problems: dict[str, None] = {}
        self.first_sample_s: float | None = None
        self._uncertainties_s: list[float] = []
        self._delays_s: list[float] = []
        self._session = session
        self._begun_s = time.monotonic()

    @property
    def uncertainty_s(self) -> float | None:
        """Median of what was stated, of streams if there were any."""
        return median(self._uncertainties_s) if self._uncertainties_s else None

    @property
    def delay_s(self) -> float | None:
        """Median of the delays of the latest block of each regular stream."""
        return median(self._delays_s) if self._delays_s else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look in a thread until the end of the context, once the board is connected."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run, args=(ended,), name="bela-check-status")
        self._wait_for_board()
        self._begun_s = time.monotonic()
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _wait_for_board(self) -> None:
        until_s = time.monotonic() + CONNECT_S
        while time.monotonic() < until_s and not self._session.status()["board"]["connected"]:
            time.sleep(LOOK_PERIOD_S)

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_PERIOD_S):
            self._look(self._session.status())

    def _look(self, status: dict[str, Any]) -> None:
        self.problems.update(dict.fromkeys(status["problems"]))
        regular = [s for s in status["streams"] if s["mode"] == "dense" and s["samples"]]
        if status["board"]["connected"] or not self.last:
            self.last = status
        uncertainty_s = status["clock"]["uncertainty_s"]
        if uncertainty_s is not None and (regular or not status["streams"]):
            self._uncertainties_s.append(uncertainty_s)
        if regular and self.first_sample_s is None:
            self.first_sample_s = time.monotonic() - self._begun_s
        delays_s = [s["delay_s"] for s in regular if s["delay_s"] is not None]
        if delays_s and status["state"] == "streaming":
            self._delays_s.append(max(delays_s))
