"""Notices and event markers (``gap``, ``reconnected``, ...): and their wording."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bela_module.errors import BelaError
from bela_module.streams.sink import Sink
from bela_module.validation import printable_name

logger = logging.getLogger(__name__)

_MAX_KEPT: Final = 20
_MAX_NAMED: Final = 8
_MAX_CHARS: Final = 1000


@dataclass(slots=True)
class Notices:
    """Tells what happened, once and to everybody.

    Parameters
    ----------
    sink : Sink
        Publishes events.
    now : callable
        LSL seconds.
    notify : callable
        Is told events: name and text. It must return at once.
    loop : event loop, optional
        The loop of the session, for notices from other threads.

    Attributes
    ----------
    last_error : str or None
        The latest of what went wrong.
    """

    sink: Sink
    now: Callable[[], float]
    notify: Callable[[str, str], None]
    loop: asyncio.AbstractEventLoop | None = None
    last_error: str | None = None
    _kept: dict[str, tuple[str, int]] = field(default_factory=dict)
    _gaps: list[str] = field(default_factory=list)
    _n_gaps: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def recent(self) -> list[str]:
        """The latest notices, the oldest first; what came again once, with how often."""
        return [f"{text} ({n} times)" if n > 1 else text for text, n in self._kept.values()]

    def mark(self, text: str, lsl_s: float) -> None:
        """Publish an event with the time at which it happened; it cannot fail for who calls."""
        try:
            self.sink.mark(text, lsl_s)
            self.notify(text.split(" ", 1)[0], text)
        except Exception:  # a listener must not end the session
            logger.exception("the event %r could not be published", text)

    def tell(
        self, text: str, *, event: str | None = None, cause: BaseException | None = None
    ) -> None:
        """Tell what went wrong.

        Parameters
        ----------
        text : str
            What happened, in words for people.
        event : str, optional
            The event's text, when it is one of its own and not an ``error``.
        cause : BaseException, optional
            The error behind it, for the log.
        """
        text = _bounded(text)
        self._keep(text, text)
        self._publish(text, event or f"error {text}", cause)

    def tell_defect(self, error: Exception) -> BelaError:
        """Tell of an error that only a defect can bring, and put it into words."""
        text = f"{type(error).__name__}: {error}"
        self.tell(text, cause=error)
        return BelaError(text)

    def inform(self, text: str) -> None:
        """Tell of something that is as it should be, but worth knowing; no error."""
        text = _bounded(text)
        self._keep(text, text)
        logger.info("%s", text)

    def tell_from_thread(self, text: str, tell: Callable[[str], None] | None = None) -> None:
        """Tell what went wrong, from another thread than the session's.

        Parameters
        ----------
        text : str
            What happened.
        tell : callable, optional
            What to call with it in the session's thread, instead of :meth:`tell`.
        """
        try:
            if self.loop is not None:
                self.loop.call_soon_threadsafe(tell or self.tell, text)
        except RuntimeError:
            logger.warning("after the session: %s", text)

    def gap(self, name: str, n_values: int, lsl_s: float) -> None:
        """Tell of a loss: an event each, and a line for all that come close together.

        When it was may not be known (NaN), or seem to be later than now, as just after the ticks
        have jumped; the event is then one of now.
        """
        text, now_s = f"gap {printable_name(name)} {n_values}", self.now()
        self.mark(text, lsl_s if lsl_s <= now_s else now_s)
        self._n_gaps += 1
        if len(self._gaps) < _MAX_NAMED:
            self._gaps.append(text)

    def count(self, counts: Mapping[str, int]) -> None:
        """Tell of what was counted since the last time, each by its name."""
        for name, n in counts.items():
            more = n - self._counts.get(name, 0)
            self._counts[name] = n
            if more > 0:
                text = _counted(more, name)
                self._kept.pop(name, None)
                self._keep(name, _counted(n, name))
                self._publish(text, f"error {text}")

    def flush(self) -> None:
        """Tell of the losses that have come together."""
        if not self._gaps:
            return
        more = self._n_gaps - len(self._gaps)
        text = ", ".join(self._gaps) + (f" and {more} more" if more else "")
        self._gaps.clear()
        self._n_gaps = 0
        logger.warning("%s", text)
        self._keep("gap", text)

    def _publish(self, text: str, event: str, cause: BaseException | None = None) -> None:
        logger.warning("%s", text, exc_info=cause)
        self.last_error = text
        self.mark(event, self.now())

    def _keep(self, kind: str, text: str) -> None:
        """Keep a notice as the latest; of each kind the last one is kept, and how often it came."""
        _, n_before = self._kept.pop(kind, ("", 0))
        self._kept[kind] = text, n_before + 1
        if len(self._kept) > _MAX_KEPT:
            del self._kept[next(iter(self._kept))]


def _bounded(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 3]}..."


def _counted(n: int, name: str) -> str:
    return f"{n} {name.removesuffix('s') if n == 1 else name}"
