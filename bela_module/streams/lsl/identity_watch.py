"""Search of the network for streams of others that have the identity of ours.

An inlet that finds its stream again by its identity silently moves to another board's data when
there are two of one identity. So the second one is refused.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pylsl

from bela_module.errors import IdentityTakenError
from bela_module.streams.time_limits import (
    IDENTITY_CONFIRM_S,
    IDENTITY_SEARCH_PERIOD_S,
    IDENTITY_SEARCH_S,
)

logger = logging.getLogger(__name__)

_SOON_S: Final = 0.3  # a search that has just begun serves those who ask for one
_OURS: Final = "starts-with(source_id,'bela:')"


@dataclass(frozen=True, slots=True)
class _ForeignStream:
    uid: str
    host: str


class IdentityWatch:
    """Looks for the streams of other processes in the background, now and then.

    Parameters
    ----------
    own_uids : callable
        Gives the identities that LSL gave to our own outlets; called in any thread.
    """

    def __init__(self, own_uids: Callable[[], set[str]]) -> None:
        self._own_uids = own_uids
        self._found: dict[str, _ForeignStream] = {}  # by source_id
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_asked = False  # somebody waits for a search that has not ended
        self._asked_s = 0.0
        self._stopped = False
        self._waiting: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin the searches: at once, then periodically."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="bela-identities", daemon=True)
            self._thread.start()

    def search(self) -> None:
        """Begin a search, unless one is about to begin."""
        with self._changed:
            if not self._is_asked:
                self._is_asked = self._thread is not None and not self._stopped
                self._asked_s = time.monotonic()
            self._changed.notify_all()

    def after_search(self, action: Callable[[], None]) -> None:
        """Do something when the search that was asked for has ended; at once if none was."""
        with self._changed:
            if self._is_asked:
                self._waiting.append(action)
                return
        action()

    def check(self, identity: str) -> None:
        """Refuse an identity that another process has on the network.

        A stream that was found is asked for once more, since LSL may remember one that is gone.

        Raises
        ------
        IdentityTakenError
            When it has, with the name of its computer.
        """
        foreign = self._found.get(identity)
        if foreign is None:
            return
        # All of that identity: one of our own that has just ended may answer, too.
        found = pylsl.resolve_bypred(f"uid='{foreign.uid}'", 1, IDENTITY_CONFIRM_S)
        if found:
            raise IdentityTakenError(identity, foreign.host)
        self._found.pop(identity, None)

    def stop(self) -> None:
        """End the searches, also one that is under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(IDENTITY_SEARCH_S)

    def _run(self) -> None:
        while not self._stopped:
            began_s = time.monotonic()
            try:
                self._look()
            except Exception:  # a search that fails leaves what is known
                logger.exception("LSL could not look for other streams")
            actions: list[Callable[[], None]] = []
            with self._changed:
                covers_it = self._asked_s < began_s + _SOON_S
                if self._stopped or (self._is_asked and covers_it):
                    self._is_asked = False
                    actions, self._waiting = self._waiting, []
            for action in actions:
                action()
            with self._changed:
                if not (self._stopped or self._is_asked):
                    self._changed.wait(IDENTITY_SEARCH_PERIOD_S)

    def _look(self) -> None:
        # Unlike a plain resolve it can be ended at once, when the module ends.
        resolver = pylsl.ContinuousResolver(pred=_OURS)
        until_s = time.monotonic() + IDENTITY_SEARCH_S
        with self._changed:
            while not self._stopped and (left_s := until_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
        own_uids = self._own_uids()
        self._found = {
            info.source_id(): _ForeignStream(info.uid(), info.hostname())
            for info in resolver.results()
            if info.uid() not in own_uids
        }
