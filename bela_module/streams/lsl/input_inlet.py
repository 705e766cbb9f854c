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
    INPUT_RETRY_S,
)

logger = logging.getLogger(__name__)

Samples = np.ndarray[Any, Any] | Sequence[Sequence[str]]

_BUFFER_S: Final = 1
_BUFFER_HUNDREDS: Final = 100  # of samples, of an irregular stream
_MAX_CHUNK: Final = 4096


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

    def stream_ended(self, reason: str) -> None:
        """Learn that the stream has ended; it is looked for again."""


class InputInlet:
    """Finds a stream, receives it until it ends, and finds it again.

    The thread waits inside LSL for the next sample and gives it to the listener the moment it
    wakes. With more samples than `max_rate_hz` it then pauses, so that a flood costs little more
    than a stream of that rate, and gives all that came meanwhile together.

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
        while not self._stopped.is_set():
            try:
                self._serve_once()
            except RequestError as error:
                self._listener.stream_refused(str(error))
                self._stopped.wait(INPUT_RETRY_S)
            except Exception as error:
                logger.exception("an input failed, and is tried again")
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
            self._receive(inlet, len(found) - 1)
        except (pylsl.util.LostError, pylsl.util.TimeoutError, RuntimeError) as error:
            if not self._stopped.is_set():
                self._listener.stream_ended(str(error) or type(error).__name__)
        finally:
            with contextlib.suppress(RuntimeError):
                inlet.close_stream()

    def _find(self) -> list[pylsl.StreamInfo]:
        """Look for the stream until it is there, or this is to end."""
        try:
            resolver = pylsl.ContinuousResolver(pred=self._predicate)
        except RuntimeError as error:
            raise RequestError(
                f"LSL cannot look for {self._predicate}: look at its brackets and quotes"
            ) from error
        while not self._stopped.wait(INPUT_LOOK_S):
            if found := resolver.results():
                return sorted(found, key=lambda info: (info.hostname(), info.uid()))
        return []

    def _receive(self, inlet: pylsl.StreamInlet, n_others: int) -> None:
        inlet.open_stream(INPUT_OPEN_S)
        info = inlet.info(INPUT_OPEN_S)
        is_text = info.channel_format() == pylsl.cf_string
        labels = tuple(label or "" for label in info.get_channel_labels() or ())
        facts = InputStreamFacts(
            labels if len(labels) == info.channel_count() else ("",) * info.channel_count(),
            is_text,
            info.nominal_srate(),
            info.hostname(),
        )
        # On one computer all have one clock; a measurement would only add its error.
        is_foreign = info.hostname() != socket.gethostname()
        if is_foreign:
            inlet.time_correction(INPUT_OPEN_S)
        try:
            self._listener.stream_found(facts, n_others)
        except RequestError as error:
            self._listener.stream_refused(str(error))
            self._wait_for_end(inlet)
            return
        limit = RateLimit(self._max_rate_hz)
        while not self._stopped.is_set():
            samples, stamps_s = _pull(inlet, is_text)
            if not len(stamps_s):
                continue
            if is_foreign:
                stamps_s = stamps_s + inlet.time_correction(INPUT_OPEN_S)
            self._listener.take_samples(samples, stamps_s)
            now_s = local_clock()
            limit.note(now_s)
            if (wait_s := limit.wait_s(now_s)) > 0:
                self._stopped.wait(wait_s)

    def _wait_for_end(self, inlet: pylsl.StreamInlet) -> None:
        """Wait until a stream that is refused has ended: another one may be right."""
        while not self._stopped.wait(INPUT_RETRY_S):
            inlet.pull_chunk(0.0, _MAX_CHUNK)


def _pull(inlet: pylsl.StreamInlet, is_text: bool) -> tuple[Samples, np.ndarray[Any, Any]]:
    """Wait for the next sample, and take those that came with it."""
    sample, stamp_s = inlet.pull_sample(INPUT_END_CHECK_S)
    if sample is None:
        return [], np.empty(0)
    rows, stamps_s = sample[np.newaxis], np.array([stamp_s])
    while inlet.samples_available():
        more, more_s = inlet.pull_chunk(0.0, _MAX_CHUNK)
        if not len(more_s):
            break
        rows, stamps_s = np.concatenate([rows, more]), np.concatenate([stamps_s, more_s])
        if len(more_s) < _MAX_CHUNK:
            break
    if is_text:
        return [[text.decode("utf-8", "replace") for text in row] for row in rows], stamps_s
    return rows, stamps_s
