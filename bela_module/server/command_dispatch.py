"""Command dispatch: validates a PCOMM, calls its handler, replies OK, ERROR or JSON.

A connection that did not ask receives no byte, since a control room takes everything that arrives
for a callback. Queries (``UP``, ``GET_PCOMMS``, ``LIST``, ``STATUS``) are answered, and with
``VERBOSE`` each other command, with one line. What would be a line of JSON for a control room goes
to the log.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, Final

from pydantic_core import to_jsonable_python

from bela_module.asking_client import asked_by
from bela_module.errors import BelaError, RequestError
from bela_module.requests import Request, VerboseRequest, parse_fields
from bela_module.server.client_connection import ClientConnection
from bela_module.server.client_loop import ClientLoop
from bela_module.server.pcomms import PCOMMS_BY_NAME, PcommHandler, PcommOutcome
from bela_module.server.session_api import QueryReply, SessionApi
from bela_module.validation import shown

MAX_PENDING: Final = 64
"""Commands of one connection that may be under way at a time, besides as many ``STOP``."""

_MAX_ERROR_CHARS: Final = 1000

_PCOMM_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,40}")


class CommandDispatcher:
    """Carries out the commands of all connections; its methods are called in the loop's thread.

    `handlers` are those of ``DefaultServer.pcommand_map``; `end_server()` is what ``CLOSE`` does.
    """

    def __init__(
        self,
        handlers: dict[str, PcommHandler],
        end_server: Callable[[], object],
        logger: logging.Logger,
    ) -> None:
        self.session: SessionApi | None = None
        """Where errors are noted; without one no command is known."""
        self.loop: ClientLoop | None = None
        """Where work that ends in another thread is reported."""
        self._handlers = handlers
        self._end_server = end_server
        self._logger = logger
        self._answers: dict[str, Callable[[ClientConnection, Any], int | bytes]] = {
            "VERBOSE": self._answer_verbose,
            "CLOSE": self._answer_close,
            "GET_PCOMMS": self._answer_get_pcomms,
            "UP": self._answer_up,
        }

    def carry_out(self, connection: ClientConnection, command: str | RequestError) -> None:
        """Carry out a command and send its reply, now or when its work has ended."""
        if isinstance(command, RequestError):
            self._fail(connection, "?", command)
            return
        pcomm, _, payload = (part.strip() for part in command.partition("|"))
        if pcomm != "UP":
            level = logging.DEBUG if _is_query(pcomm) else logging.INFO
            self._logger.log(level, "received %s from %s", shown(command), connection.peer)
        self._answer(connection, pcomm, partial(self._handle, connection, pcomm, payload))

    def _handle(
        self, connection: ClientConnection, pcomm: str, payload: str
    ) -> PcommOutcome | bytes:
        """Begin what a command asks for; bytes are a reply as it stands."""
        known = self._known_pcomms()
        if pcomm not in known or self.session is None:
            raise RequestError(f"unknown PCOMM {shown(pcomm)}; known: {', '.join(known)}")
        fields = parse_fields(payload)
        handler = self._handlers.get(pcomm)
        if handler is None:
            return self._answers[pcomm](connection, PCOMMS_BY_NAME[pcomm].parse(fields))
        most = 2 * MAX_PENDING if pcomm == "STOP" else MAX_PENDING
        if connection.n_pending >= most and pcomm != "STATUS":  # which is answered at once
            raise RequestError(f"{most} commands of this connection are under way")
        with asked_by(connection.peer):
            return handler(**fields)

    def _known_pcomms(self) -> list[str]:
        """Name the PCOMMs of the table, and what else stands in ``pcommand_map``."""
        return list(dict.fromkeys([*PCOMMS_BY_NAME, *self._handlers]))

    # The answers to PCOMMs that need no session.

    def _answer_up(self, connection: ClientConnection, _request: Request) -> bytes:
        connection.note_up(time.monotonic())
        return b"1"

    def _answer_get_pcomms(self, connection: ClientConnection, _request: Request) -> bytes:
        connection.asked_pcomms = True
        unlisted = {pcomm.name for pcomm in PCOMMS_BY_NAME.values() if not pcomm.is_listed}
        listed = [name for name in self._known_pcomms() if name not in unlisted]
        return "|".join(listed).encode("ascii")

    def _answer_close(self, _connection: ClientConnection, _request: Request) -> int:
        self._end_server()
        return 0

    def _answer_verbose(self, connection: ClientConnection, request: VerboseRequest) -> int | bytes:
        was_on, connection.verbose = connection.verbose, request.on
        # The command that switches it off is the last one with an answer.
        return b"OK VERBOSE\n" if was_on and not connection.verbose else 0

    # From outcomes to replies.

    def _answer(
        self,
        connection: ClientConnection,
        pcomm: str,
        work: Callable[[], PcommOutcome | bytes | str],
    ) -> None:
        """Do the work of a command, or take its result, and send the reply."""
        try:
            reply = self._reply(connection, pcomm, work())
        except Exception as error:
            if not isinstance(error, BelaError | CancelledError):
                self._logger.exception("internal error in %s", shown(pcomm))
            self._fail(connection, pcomm, error)
            # Its frames hold the future that holds it: only a collection, which makes all threads
            # wait, could free them, and a client may have thousands of commands refused a second.
            error.__traceback__ = None
        else:
            _send(connection, reply)

    def _reply(
        self, connection: ClientConnection, pcomm: str, outcome: PcommOutcome | bytes | str
    ) -> bytes:
        """Encode the outcome of a command as a reply; empty while its work is under way."""
        if isinstance(outcome, Future):
            connection.n_pending += 1
            if _is_query(pcomm):
                connection.queries.add(outcome)
            outcome.add_done_callback(partial(self._report_end, connection, pcomm))
            return b""
        if isinstance(outcome, bytes):
            return outcome
        if isinstance(outcome, dict):
            line = _json_line(outcome)
            if connection.is_control_room:
                self._logger.info("%s: %s", pcomm, line.decode("ascii").rstrip())
                return b""
            return line
        if isinstance(outcome, str):
            self._logger.info("%s: %s", pcomm, outcome)
        return f"OK {pcomm}\n".encode("ascii") if connection.verbose else b""

    def _report_end(self, connection: ClientConnection, pcomm: str, future: Future[Any]) -> None:
        """Have the loop report how work has ended; called in any thread."""
        if self.loop is not None:
            self.loop.post(partial(self._finish, self.loop, connection, pcomm, future))

    def _finish(
        self, loop: ClientLoop, connection: ClientConnection, pcomm: str, future: Future[Any]
    ) -> None:
        """Send the result of a command whose work has ended, or was given up with its client."""
        connection.n_pending -= 1
        connection.queries.discard(future)
        if connection.closed and future.cancelled():
            return
        loop.guard(connection, self._answer, connection, pcomm, future.result)

    def _fail(self, connection: ClientConnection, pcomm: str, error: Exception) -> None:
        text = _error_line(pcomm, error)
        self._logger.warning("%s (from %s)", text, connection.peer)
        if self.session is not None:
            self.session.note_error(text)
        if connection.verbose:
            _send(connection, f"ERROR {text}\n".encode("ascii"))
        elif _is_query(pcomm) and not connection.is_control_room:
            _send(connection, _json_line({"error": text}))


def _send(connection: ClientConnection, reply: bytes) -> None:
    if reply and not connection.closed:
        connection.send(reply)


def _is_query(pcomm: str) -> bool:
    return pcomm in PCOMMS_BY_NAME and PCOMMS_BY_NAME[pcomm].is_query


def _error_line(pcomm: str, error: Exception) -> str:
    """Describe in one line of ASCII which command failed, and why."""
    name = pcomm if _PCOMM_NAME.fullmatch(pcomm) else "?"
    words = " ".join(str(error).split())
    if not isinstance(error, BelaError):
        words = f"{type(error).__name__}: {words}" if words else type(error).__name__
    line = f"{name}: {words}".encode("ascii", "backslashreplace").decode("ascii")
    return line if len(line) <= _MAX_ERROR_CHARS else f"{line[: _MAX_ERROR_CHARS - 3]}..."


def _json_line(reply: QueryReply) -> bytes:
    return (json.dumps(to_jsonable_python(reply, inf_nan_mode="null")) + "\n").encode("ascii")
