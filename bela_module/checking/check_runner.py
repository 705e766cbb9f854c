"""The PCOMM ``CHECK``: runs a check in a thread of its own; log lines and ``last_check``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from bela_module.config import Settings
from bela_module.errors import BelaError, RequestError
from bela_module.requests import CheckRequest, make_request

logger = logging.getLogger(__name__)


class KeepsCheck(Protocol):
    """Keeps the result of a check for STATUS: a session."""

    def note_check(self, result: dict[str, Any]) -> None:
        """Keep it."""


class CheckRunner:
    """Carries out one check at a time, beside whatever the session does.

    Parameters
    ----------
    session : KeepsCheck
        Keeps the result for STATUS.
    settings : callable
        Gives the settings to check: those of the session, with the address that is really served.
    """

    def __init__(self, session: KeepsCheck, settings: Callable[[], Settings]) -> None:
        self._session = session
        self._settings = settings
        self._running = threading.Lock()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def begin(self, **payload: object) -> Future[str]:
        """Begin a check, and return at once.

        Returns
        -------
        Future of str
            The summary.

        Raises
        ------
        RequestError
            When the payload is not allowed, or a check runs already.
        """
        request = make_request(CheckRequest, payload)
        if not self._running.acquire(blocking=False):
            raise RequestError("a check is running already; its result will be in the log")
        outcome: Future[str] = Future()
        outcome.set_running_or_notify_cancel()
        self._thread = threading.Thread(
            target=self._run, args=(request.seconds, outcome), name="bela-check", daemon=True
        )
        self._thread.start()
        return outcome

    @property
    def is_running(self) -> bool:
        """Whether a check uses the board at this moment."""
        return self._running.locked()

    def cancel(self) -> None:
        """Have a check that runs end soon, and no more begin."""
        self._is_closing = True

    def close(self, timeout_s: float) -> None:
        """End a check that runs, and wait until it has left the board as it was found."""
        self.cancel()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, seconds: float, outcome: Future[str]) -> None:
        try:
            from bela_module.checking.checker import run_check

            report = run_check(
                self._settings(),
                seconds,
                is_cancelled=lambda: self._is_closing,
                nothing_begins=True,  # START and its like are refused meanwhile
            )
            for check in report.checks:
                logger.info("check: %s", check.as_line())
            logger.info("check: %s", report.summary())
            self._session.note_check(report.as_json())
        except Exception as error:  # the thread ends with it; who waits must learn of it
            known = isinstance(error, BelaError)
            logger.error("the check failed: %r", error, exc_info=None if known else error)
            self._running.release()
            outcome.set_exception(error if known else BelaError(f"the check failed: {error!r}"))
        else:
            self._running.release()  # first: who hears of the end may begin at once
            outcome.set_result(report.summary())
