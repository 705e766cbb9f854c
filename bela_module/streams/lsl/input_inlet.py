"""An inlet in a thread of its own, which blocks on its stream and hands over what comes at once."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
import pylsl

from bela_module.errors import RequestError
from bela_module.inputs.input_mapping import InputStreamFacts
from bela_module.inputs.rate_limit import RateLimit
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.time_limits import (
    INPUT_END_CHECK_S,
    INPUT_LOOK_S,
    INPUT_OPEN_S,
    INPUT_PAUSE_LOOK_S,
    INPUT_RETRY_S,
    INPUT_SILENT_S,
)

logger = logging.getLogger(__name__)

Samples = np.ndarray[Any, Any] | Sequence[Sequence[str]]

_BUFFER_S: Final = 1
_BUFFER_HUNDREDS: Final = 100  # of samples, of an irregular stream
_MAX_CHUNK: Final = 4096
_MAX_HELD: Final = 4 * _MAX_CHUNK  # samples, more than any message to the board has


class InputListener(Protocol):
    """Is told what an inlet receives; every method is called in the inlet's thread."""

    def stream_found(self, facts: InputStreamFacts, n_others: int) -> None:
        """Learn of the stream before its first sample; raises `RequestError` to refuse it."""

    def stream_refused(self, reason: str) -> None:
        """Learn that a stream is there which cannot be used."""

    def take_samples(self, samples: Samples, stamps_s: np.ndarray[Any, Any]) -> None:
        """Take samples of shape (n_samples, n_channels) and their stamps on this computer's clock.

        It must return at once.
        """

    def samples_dropped(self, n_samples: int) -> None:
        """Learn of samples that came and are not given, since too many later ones wait."""

    def stream_ended(self, reason: str) -> None:
        """Learn that the stream has ended; it is looked for again."""


def check_predicate(predicate: str) -> None:
    """Refuse what LSL does not understand.

    Parameters
    ----------
    predicate : str
        An XPath 1.0 predicate, without the brackets.

    Raises
    ------
    RequestError
        When it is none.
    """
    _resolve(predicate)


def _resolve(predicate: str) -> pylsl.ContinuousResolver:
    try:
        return pylsl.ContinuousResolver(pred=predicate)
    except RuntimeError as error:
        raise RequestError(
            f"LSL cannot look for {predicate}: look at its brackets and quotes"
        ) from error


class InputInlet:
    """Finds a stream, receives it until it ends, and finds it again.

    The thread waits inside LSL for the next sample and gives it to the listener the moment it
    wakes. With more samples than `max_rate_hz` it then pauses, so that a flood costs little more
    than a stream of that rate, and gives all that came meanwhile together; an end of the stream is
    noticed in pauses, too. A stream of which nothing comes, and whose process or computer does not
    answer LSL's measurements of its clock any more, has ended as well.

    Parameters
    ----------
    name : str
        Of the input, for the thread.
    predicate : str
        Which stream, in the words of LSL.
    max_rate_hz : float
        How often the listener is told of samples.
    listener : InputListener
        Is told everything.
    """

    def __init__(
        self, name: str, predicate: str, max_rate_hz: float, listener: InputListener
    ) -> None:
        self._predicate = predicate
        self._max_rate_hz = max_rate_hz
        self._listener = listener
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"bela-input-{name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end; nothing is given to the listener any more."""
        self._stopped.set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end, which takes as long as LSL takes to close the inlet."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        last = ""
        while not self._stopped.is_set():
            try:
                self._serve_once()
                last = ""
            except RequestError as error:
                self._listener.stream_refused(str(error))
                self._stopped.wait(INPUT_RETRY_S)
            except Exception as error:
                if repr(error) != last:  # it may fail again and again
                    logger.exception("an input failed, and is tried again")
                last = repr(error)
                if not self._stopped.is_set():
                    self._listener.stream_refused(repr(error))
                self._stopped.wait(INPUT_RETRY_S)

    def _serve_once(self) -> None:
        found = self._find()
        if not found:
            return
        info = found[0]
        is_irregular = info.nominal_srate() == pylsl.IRREGULAR_RATE
        inlet = pylsl.StreamInlet(
            info,
            _BUFFER_HUNDREDS if is_irregular else _BUFFER_S,
            recover=False,  # an end is to be told at once, and the stream is looked for here
            as_numpy=True,
        )
        try:
            if not self._open(inlet, info):
                self._stopped.wait(INPUT_RETRY_S)
                return
            self._receive(inlet, len(found) - 1)
        except (pylsl.util.LostError, pylsl.util.TimeoutError, RuntimeError) as error:
            if not self._stopped.is_set():
                self._listener.stream_ended(str(error) or type(error).__name__)
        finally:
            with contextlib.suppress(RuntimeError):
                inlet.close_stream()

    def _find(self) -> list[pylsl.StreamInfo]:
        """Look for the stream until it is there, or this is to end.

        One more look is for others of the name, whose answers may come a moment later.
        """
        resolver = _resolve(self._predicate)
        n_before = 0
        while not self._stopped.wait(INPUT_LOOK_S):
            found = resolver.results()
            if found and len(found) == n_before:
                return sorted(found, key=lambda info: (info.hostname(), info.uid()))
            n_before = len(found)
        return []

    def _open(self, inlet: pylsl.StreamInlet, info: pylsl.StreamInfo) -> bool:
        """Open the stream; tell of one that is seen but cannot be reached."""
        missing = "it is seen, but cannot be reached"
        try:
            inlet.open_stream(INPUT_OPEN_S)
            inlet.info(INPUT_OPEN_S)
            missing = "the clock of its computer cannot be measured"
            if _is_foreign(info):
                inlet.time_correction(INPUT_OPEN_S)
        except pylsl.util.TimeoutError:
            self._listener.stream_refused(
                f"{missing}: look at the firewalls here and on {info.hostname()}, which must let "
                "LSL through, TCP and UDP"
            )
            return False
        return True

    def _receive(self, inlet: pylsl.StreamInlet, n_others: int) -> None:
        info = inlet.info(INPUT_OPEN_S)
        is_text = info.channel_format() == pylsl.cf_string
        labels = tuple(label or "" for label in info.get_channel_labels() or ())
        facts = InputStreamFacts(
            labels if len(labels) == info.channel_count() else ("",) * info.channel_count(),
            is_text,
            info.nominal_srate(),
            info.hostname(),
        )
        is_foreign = _is_foreign(info)
        life = _SignsOfLife(inlet)
        try:
            self._listener.stream_found(facts, n_others)
        except RequestError as error:
            self._listener.stream_refused(str(error))
            self._wait_for_end(inlet, life)
            return
        limit = RateLimit(self._max_rate_hz)
        held = _Held(is_text, self._listener)

        def pull(timeout_s: float) -> None:
            rows, stamps_s = _pull(inlet, timeout_s)
            if len(stamps_s):
                correction_s = inlet.time_correction(INPUT_OPEN_S) if is_foreign else 0.0
                held.add(rows, stamps_s + correction_s)

        try:
            while not self._stopped.is_set():
                pull(0.0 if held else INPUT_END_CHECK_S)
                if not held:
                    life.check()
                    continue
                life.note()
                held.hand_over()
                limit.note(local_clock())
                while (wait_s := limit.wait_s(local_clock())) > 0:
                    if self._stopped.wait(min(wait_s, INPUT_PAUSE_LOOK_S)):
                        break
                    if wait_s > INPUT_PAUSE_LOOK_S:
                        pull(0.0)
        finally:
            if held and not self._stopped.is_set():
                held.hand_over()  # what came before the end counts

    def _wait_for_end(self, inlet: pylsl.StreamInlet, life: _SignsOfLife) -> None:
        """Wait until a stream that is refused has ended: another one may be right."""
        while not self._stopped.wait(INPUT_RETRY_S):
            inlet.pull_chunk(0.0, _MAX_CHUNK)
            life.check()


def _is_foreign(info: pylsl.StreamInfo) -> bool:
    """Tell whether it has another clock; on one computer a measurement would only add its error."""
    return bool(info.hostname() != socket.gethostname())


class _SignsOfLife:
    """Whether a silent stream still has a process behind it.

    A process that stands still, and a computer without power or cable, end no connection. But LSL
    measures the clock of a stream's computer every few seconds, and each measurement gives another
    value: one that stays the same is an old one.
    """

    def __init__(self, inlet: pylsl.StreamInlet) -> None:
        self._inlet = inlet
        self._correction_s: float | None = None
        self._last_s = local_clock()

    def note(self) -> None:
        """Learn that samples came."""
        self._last_s = local_clock()

    def check(self) -> None:
        """Raise `LostError` when nothing has been heard for too long; call it again and again."""
        try:
            correction_s = self._inlet.time_correction(0.0)
        except pylsl.util.TimeoutError:
            return  # not measured yet: nothing to compare with
        if correction_s != self._correction_s:
            self._correction_s = correction_s
            self.note()
        elif local_clock() - self._last_s > INPUT_SILENT_S:
            raise pylsl.util.LostError(f"it has not answered for {INPUT_SILENT_S:g} s")


class _Held:
    """The latest samples that have come and were not handed over yet."""

    def __init__(self, is_text: bool, listener: InputListener) -> None:
        self._is_text = is_text
        self._listener = listener
        self._pieces: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._pieces)

    def add(self, rows: np.ndarray[Any, Any], stamps_s: np.ndarray[Any, Any]) -> None:
        """Add samples of shape (n_samples, n_channels) and their stamps."""
        self._pieces.append((rows, stamps_s))
        n_held = sum(len(piece_s) for _, piece_s in self._pieces)
        while n_held - len(self._pieces[0][1]) >= _MAX_HELD:
            _, dropped_s = self._pieces.pop(0)
            n_held -= len(dropped_s)
            self._listener.samples_dropped(len(dropped_s))

    def hand_over(self) -> None:
        """Give all to the listener."""
        pieces, self._pieces = self._pieces, []
        rows = np.concatenate([rows for rows, _ in pieces])
        stamps_s = np.concatenate([stamps_s for _, stamps_s in pieces])
        texts = ([text.decode("utf-8", "replace") for text in row] for row in rows)
        self._listener.take_samples(list(texts) if self._is_text else rows, stamps_s)


def _pull(
    inlet: pylsl.StreamInlet, timeout_s: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Wait for the next sample, and take those that came with it."""
    sample, stamp_s = inlet.pull_sample(timeout_s)
    if sample is None:
        return np.empty((0, 0)), np.empty(0)
    rows, stamps_s = sample[np.newaxis], np.array([stamp_s])
    while inlet.samples_available():
        more, more_s = inlet.pull_chunk(0.0, _MAX_CHUNK)
        if not len(more_s):
            break
        rows, stamps_s = np.concatenate([rows, more]), np.concatenate([stamps_s, more_s])
        if len(more_s) < _MAX_CHUNK:
            break
    return rows, stamps_s
