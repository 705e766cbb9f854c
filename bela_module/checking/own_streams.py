"""The check's own streams: prepared, found by a resolver, and received to the last sample.

The inlets are there before the first sample, as a recorder is that is started after PREPARE: what
they do not receive is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bela_module.checking.facts import LslFacts, ReceivedStream
from bela_module.checking.session_watch import StatusWatcher
from bela_module.checking.time_limits import (
    CONNECT_S,
    FIND_STREAMS_S,
    LAST_SAMPLES_S,
    LOOK_PERIOD_S,
    START_S,
    STOP_S,
)
from bela_module.config import Settings
from bela_module.errors import BelaError, RequestError
from bela_module.protocol.variables import Variable
from bela_module.requests import MonitorRequest, PrepareRequest, StartRequest
from bela_module.session.session import Session
from bela_module.streams.lsl.inlet_receiver import InletReceiver

_SOON_S: Final = 1.0  # within which all streams should be found
_SEARCHES: Final = 3  # of which the quickest counts: a busy computer is late now and then

IsCancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Playback:
    """What a check of a replayed capture has to know of it.

    Parameters
    ----------
    watched : tuple of str
        Names of the variables with recorded blocks.
    monitored : tuple of str
        Names of the variables with recorded single values.
    is_over : callable
        Tells whether all has been played; what the board seems to do afterwards means nothing.
    """

    watched: tuple[str, ...]
    monitored: tuple[str, ...]
    is_over: Callable[[], bool]


def wait(seconds: float, is_over: IsCancelled) -> None:
    """Wait for some time, or until it is over before."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not is_over():
        time.sleep(LOOK_PERIOD_S)


@dataclass(slots=True)
class OwnStreams:
    """Streams variables that nobody else uses, and receives them back.

    Parameters
    ----------
    session : Session
        What streams them.
    settings : Settings
        How the streams are called.
    watcher : StatusWatcher
        Is told when START is sent.
    seconds : float
        How long to stream.
    is_cancelled : callable
        Tells whether to end early.
    begin_listening : callable
        Is called just before START, with what others have begun to watch meanwhile.
    playback : Playback or None
        The capture that the board plays, if it plays one.

    Attributes
    ----------
    streamed_s : float
        How long was streamed.
    started : tuple of str
        Names of the streams that were started; others may only have been prepared.
    error : str
        Why nothing could be streamed, or not to the end; empty when it could.
    """

    session: Session
    settings: Settings
    watcher: StatusWatcher
    seconds: float
    is_cancelled: IsCancelled
    begin_listening: Callable[[Sequence[Variable]], None]
    playback: Playback | None = None
    streamed_s: float = 0.0
    started: tuple[str, ...] = ()
    error: str = ""
    _receiver: InletReceiver = field(init=False)
    _sought: tuple[str, ...] = ()
    _found_in_s: float | None = None
    _lsl_error: str = ""

    def run(self, names: Sequence[str]) -> LslFacts:
        """Stream variables, and return what became of them on LSL."""
        self._receiver = InletReceiver(f"bela:{self.settings.board.name}:")
        try:
            return self._run(tuple(names))
        except TimeoutError:
            self.error = f"the board did not begin or end in {START_S:.0f} s"
        except BelaError as error:
            self.error = str(error)
        finally:
            self._receiver.close()
        return LslFacts()

    def _run(self, names: tuple[str, ...]) -> LslFacts:
        if self._prepare(names):
            self._find()
        taken = self._taken_by_others(names)
        self.begin_listening(taken)
        free = tuple(name for name in names if name not in {variable.name for variable in taken})
        if not free:
            wait(self.seconds, self._is_over)
            return LslFacts()
        self._start(free)
        begun_s = time.monotonic()
        self.started = tuple(stream["name"] for stream in self._streams())
        if not self._sought:
            self._find()
        wait(self.seconds, self._is_over)
        self.session.stop().result(STOP_S)
        self.streamed_s = time.monotonic() - begun_s
        self._receiver.wait_for(lambda: self.is_cancelled() or self._has_all(), LAST_SAMPLES_S)
        received = {
            name: ReceivedStream(name, one.n_samples, one.delay_s)
            for name, one in self._receiver.received.items()
        }
        return LslFacts(
            len(self._sought),
            tuple(received),
            self._found_in_s,
            received,
            error=self._lsl_error,
        )

    def _is_over(self) -> bool:
        return self.is_cancelled() or (self.playback is not None and self.playback.is_over())

    def _prepare(self, names: tuple[str, ...]) -> bool:
        """Open the streams before any data; tell whether that was possible."""
        if self.playback is not None and not self.playback.watched:
            return False
        request = PrepareRequest.model_construct(variables=names)
        try:
            self.session.prepare(request).result(START_S)
        except RequestError:
            return False  # START says why, or goes without: as when the clock is not known yet
        return True

    def _taken_by_others(self, names: tuple[str, ...]) -> list[Variable]:
        """Find what others have begun to watch meanwhile."""
        if self.playback is not None:
            return []
        try:
            listed = self.session.look().result(CONNECT_S).variables
        except TimeoutError:
            return []
        watched = self.session.status()["others"]["watched"]
        return [variable for variable in listed if variable.name in {*watched} & {*names}]

    def _start(self, names: tuple[str, ...]) -> None:
        self.watcher.note_start()
        if self.playback is not None and not self.playback.watched:
            request = MonitorRequest.model_construct(variables=names)
            self.session.monitor(request).result(START_S)
            return
        self.session.start(StartRequest.model_construct(variables=names)).result(START_S)

    def _find(self) -> None:
        """Find all streams that are open, as a recorder does, and begin to receive them."""
        streaming = self.settings.streaming
        names = [s["name"] for s in self._streams() if s["nominal_rate_hz"] is not None]
        if streaming.clock_stream and names:  # which opens when the board's clock is known
            names.append(streaming.clock_stream)
        names.append(streaming.events_stream)
        self._sought = tuple(names)
        if self.is_cancelled():
            return
        try:
            took_s = self._receiver.find(names, FIND_STREAMS_S)
            self._receiver.start()
        except RuntimeError as failure:  # pylsl raises its own kinds, as behind a firewall
            self._lsl_error = f"a stream was found, but could not be received: {failure!r}"
            return
        for _ in range(1, _SEARCHES):
            if took_s is None or took_s <= _SOON_S:
                break
            took_s = min(took_s, self._receiver.time_search(names, FIND_STREAMS_S))
        self._found_in_s = took_s

    def _streams(self) -> Sequence[dict[str, Any]]:
        streams: Sequence[dict[str, Any]] = self.session.status()["streams"]
        return streams

    def _has_all(self) -> bool:
        received = self._receiver.received
        return all(
            received[stream["name"]].n_samples >= stream["samples"]
            for stream in self._streams()
            if stream["name"] in received
        )
