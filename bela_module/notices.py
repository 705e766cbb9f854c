"""What people should know, in the same words everywhere: log, events, STATUS, table and summary."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bela_module.streams import Sink

logger = logging.getLogger(__name__)

_MAX_KEPT: Final = 20
_MAX_NAMED: Final = 8


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

    Attributes
    ----------
    last_error : str or None
        The latest of what went wrong.
    """

    sink: Sink
    now: Callable[[], float]
    notify: Callable[[str, str], None]
    last_error: str | None = None
    _kept: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_KEPT))
    _times: Counter[str] = field(default_factory=Counter)
    _gaps: list[str] = field(default_factory=list)
    _n_gaps: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def recent(self) -> list[str]:
        """The latest notices, the oldest first; those that came again once, with how often."""
        times = self._times
        return [f"{text} ({times[text]} times)" if times[text] > 1 else text for text in self._kept]

    def mark(self, text: str, lsl_s: float) -> None:
        """Publish an event with the time at which it happened; it cannot fail for who calls."""
        try:
            self.sink.mark(text, lsl_s)
            self.notify(text.split(" ", 1)[0], text)
        except Exception:  # whoever listens must not end what is listened to
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
        logger.warning("%s", text, exc_info=cause)
        self.last_error = text
        self._keep(text)
        self.mark(event or f"error {text}", self.now())

    def gap(self, name: str, n_values: int, lsl_s: float) -> None:
        """Tell of a loss: an event each, and a line for all that come close together."""
        text = f"gap {name} {n_values}"
        self.mark(text, lsl_s)
        self._n_gaps += 1
        if len(self._gaps) < _MAX_NAMED:
            self._gaps.append(text)

    def count(self, counts: Mapping[str, int]) -> None:
        """Tell of what was counted since the last time, each by its name."""
        for name, n in counts.items():
            more = n - self._counts.get(name, 0)
            if more > 0:
                self.tell(f"{more} {name.removesuffix('s') if more == 1 else name}")
            self._counts[name] = n

    def flush(self) -> None:
        """Tell of the losses that have come together."""
        if not self._gaps:
            return
        more = self._n_gaps - len(self._gaps)
        text = ", ".join(self._gaps) + (f" and {more} more" if more else "")
        self._gaps.clear()
        self._n_gaps = 0
        logger.warning("%s", text)
        self._keep(text)

    def _keep(self, text: str) -> None:
        if text in self._times:
            self._kept.remove(text)
        elif len(self._kept) == _MAX_KEPT:
            del self._times[self._kept[0]]
        self._kept.append(text)
        self._times[text] += 1
