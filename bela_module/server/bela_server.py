"""The PCOMM server: Dareplane's ``DefaultServer`` for several clients, none of which can stop it.

Handlers return at once; what they begin is the session's work, and its end is reported to the
client that asked for it.

A connection that did not ask receives no byte: the control room takes whatever arrives for a
callback. Replies go to queries (``UP``, ``GET_PCOMMS``, ``LIST``, ``STATUS``), and with ``VERBOSE``
one line to each other command. Callbacks go to the control room's connection: of those that asked
for ``GET_PCOMMS``, the one that has sent the most ``UP`` of late, else to the oldest connection.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, Final

from dareplane_utils.default_server.server import DefaultServer
from pydantic_core import to_jsonable_python

from bela_module.config import Settings
from bela_module.errors import BelaError, ConfigError, RequestError
from bela_module.requests import Request, VerboseRequest, parse_fields
from bela_module.server.callbacks import CallbackQueue
from bela_module.server.client_connection import ClientConnection
from bela_module.server.client_loop import ClientLoop
from bela_module.server.pcomms import (
    PCOMMS_BY_NAME,
    PcommHandler,
    PcommOutcome,
    session_handlers,
)
from bela_module.server.session_api import QueryReply, SessionApi
from bela_module.server.time_limits import (
    CALLBACK_CONNECT_S,
    LISTENING_END_S,
    SESSION_CLOSE_S,
    STOP_EVENT_CHECK_S,
)
from bela_module.validation import shown

_MAX_PENDING: Final = 64
_UNLISTED: Final = frozenset({"VERBOSE"})  # each name of GET_PCOMMS becomes a button
_PCOMM_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,40}")


class BelaServer(DefaultServer):  # type: ignore[misc]  # dareplane-utils has no type hints
    """Serves PCOMMs to several clients.

    It is used as any ``DefaultServer``: ``init_server()``, ``start_listening()``, which returns
    after ``CLOSE`` or when the stop event is set, and ``shutdown()``.

    Parameters
    ----------
    settings : Settings
        Address, number of connections, callbacks.
    make_session : callable
        Makes the session, already open. It is called by :meth:`start_listening`: clients can
        connect from :meth:`init_server` on, whatever it takes to import what a session needs.
    name : str
        The name in the banner.
    session_close_s : float
        How long the session may take to leave the board clean.
    """

    ip: str
    port: int
    name: str
    logger: logging.Logger
    pcommand_map: dict[str, PcommHandler]
    listen_stop_event: threading.Event
    server_socket: socket.socket | None

    # What __del__ of the base class finds when __init__ did not come to its end.
    _live = False

    def __init__(
        self,
        settings: Settings,
        make_session: Callable[[], SessionApi],
        *,
        name: str = "dp-bela",
        session_close_s: float = SESSION_CLOSE_S,
    ) -> None:
        super().__init__(
            port=settings.server.port,
            ip=settings.server.ip,
            nlisten=settings.server.max_connections,
            name=name,
            logger=logging.getLogger("bela_module.server"),
        )
        self.session: SessionApi | None = None
        self._make_session = make_session
        self._session_close_s = session_close_s
        self._callbacks = CallbackQueue(settings.callbacks)
        self._callbacks_to = settings.callbacks.to
        self._loop = ClientLoop(
            f"Connected to {name}\n".encode("ascii"),
            settings.server.max_connections,
            self._carry_out,
            self._send_callback,
            self.logger,
        )
        self._answers: dict[str, Callable[[ClientConnection, Any], int | bytes]] = {
            "VERBOSE": self._answer_verbose,
            "CLOSE": self._answer_close,
            "GET_PCOMMS": self._answer_get_pcomms,
            "UP": self._answer_up,
        }
        self._listening_thread: threading.Thread | None = None
        self._live = True

    def init_server(self, stop_event: threading.Event | None = None) -> None:
        """Bind the address; from now on clients can connect. ``port`` is then the real one.

        Parameters
        ----------
        stop_event : threading.Event, optional
            Set, it ends :meth:`start_listening` within 0.1 s. A fresh one is made without it.

        Raises
        ------
        ConfigError
            The address cannot be used.
        """
        self.listen_stop_event = stop_event if stop_event is not None else threading.Event()
        server_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                # On Windows two servers with SO_REUSEADDR would share the port.
                server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server_socket.bind((self.ip, self.port))
            server_socket.listen(self.nlisten)
            server_socket.setblocking(False)
        except OSError as error:
            server_socket.close()
            raise ConfigError(
                f"cannot serve at {self.ip}:{self.port}: {error.strerror or error}; "
                "is it in use, or no address of this machine? Try another --port or --ip"
            ) from error
        self.server_socket = server_socket
        self.port = server_socket.getsockname()[1]
        self.logger.info("listening on %s:%d", self.ip, self.port)
        if not _is_loopback(self.ip):
            self.logger.warning(
                "listening on %s: other machines of the network can command this module", self.ip
            )

    def open_session(self) -> SessionApi:
        """Open the session if it is not open yet, as :meth:`start_listening` does."""
        if self.session is None:
            session = self._make_session()
            session.subscribe(self._on_event)
            self.pcommand_map = {**session_handlers(session), **self.pcommand_map}
            self.session = session
        return self.session

    def start_listening(self) -> None:
        """Serve until ``CLOSE`` or the stop event; then the connections are closed.

        Raises
        ------
        ConfigError
            :meth:`init_server` was not called before.
        """
        if self.server_socket is None:
            raise ConfigError("init_server() must be called before start_listening()")
        self._listening_thread = threading.current_thread()
        try:
            session = self.open_session()
            if not self._live:  # shut down while the session was made
                session.close(timeout_s=self._session_close_s)
                return
            self.is_listening = True
            self._loop.run(self.server_socket, self.listen_stop_event.is_set)
        finally:
            self.is_listening = False
            self._listening_thread = None

    def stop_soon(self) -> None:
        """Have :meth:`start_listening` return; safe in signal handlers and in any thread."""
        # Not by setting the event here: a signal may arrive while this thread holds its lock.
        self._loop.post(self.listen_stop_event.set)

    def shutdown(self) -> None:
        """End listening, close the session and all sockets; idempotent, from any thread."""
        if not self._live:
            return
        self._live = False
        listening_thread = self._listening_thread
        if listening_thread is not None and listening_thread is not threading.current_thread():
            self.stop_soon()
            listening_thread.join(timeout=LISTENING_END_S)
        if self.session is not None:
            self.session.close(timeout_s=self._session_close_s)
        super().shutdown()
        self._loop.close()

    # --- commands ------------------------------------------------------------------------------

    def _carry_out(self, connection: ClientConnection, command: str | RequestError) -> None:
        if isinstance(command, RequestError):
            self._fail(connection, "?", command)
            return
        pcomm, _, payload = (part.strip() for part in command.partition("|"))
        if pcomm != "UP":
            level = logging.DEBUG if _is_query(pcomm) else logging.INFO
            self.logger.log(level, "received %s from %s", shown(command), connection.peer)
        self._answer(connection, pcomm, partial(self._handle, connection, pcomm, payload))

    def _handle(
        self, connection: ClientConnection, pcomm: str, payload: str
    ) -> PcommOutcome | bytes:
        """Begin what a command asks for; bytes are a reply as it stands."""
        known = self._known_pcomms()
        if pcomm not in known or self.session is None:
            raise RequestError(f"unknown PCOMM {shown(pcomm)}; known: {', '.join(known)}")
        fields = parse_fields(payload)
        if connection.n_pending >= _MAX_PENDING:
            raise RequestError(f"{_MAX_PENDING} commands of this connection are under way")
        handler = self.pcommand_map.get(pcomm)
        if handler is not None:
            return handler(**fields)
        return self._answers[pcomm](connection, PCOMMS_BY_NAME[pcomm].parse(fields))

    def _known_pcomms(self) -> list[str]:
        """Name the PCOMMs of the table, and what else stands in ``pcommand_map``."""
        return list(dict.fromkeys([*PCOMMS_BY_NAME, *self.pcommand_map]))

    # The answers to PCOMMs that no session is needed for.

    def _answer_up(self, connection: ClientConnection, _request: Request) -> bytes:
        connection.note_up(time.monotonic())
        return b"1"

    def _answer_get_pcomms(self, connection: ClientConnection, _request: Request) -> bytes:
        connection.asked_pcomms = True
        listed = [name for name in self._known_pcomms() if name not in _UNLISTED]
        return "|".join(listed).encode("ascii")

    def _answer_close(self, _connection: ClientConnection, _request: Request) -> int:
        self.listen_stop_event.set()
        return 0

    def _answer_verbose(self, connection: ClientConnection, request: VerboseRequest) -> int | bytes:
        was_on, connection.verbose = connection.verbose, request.on
        # The command that switches it off is the last one with an answer.
        return b"OK VERBOSE\n" if was_on and not connection.verbose else 0

    def _answer(
        self,
        connection: ClientConnection,
        pcomm: str,
        work: Callable[[], PcommOutcome | bytes | str],
    ) -> None:
        """Do the work of a command, or take its result, and tell the client."""
        try:
            reply = self._reply(connection, pcomm, work())
        except Exception as error:
            if not isinstance(error, BelaError | CancelledError):
                self.logger.exception("a defect in %s", shown(pcomm))
            self._fail(connection, pcomm, error)
        else:
            self._send(connection, reply)

    def _reply(
        self, connection: ClientConnection, pcomm: str, outcome: PcommOutcome | bytes | str
    ) -> bytes:
        """Word the outcome of a command; nothing, as long as its work is under way."""
        if isinstance(outcome, Future):
            connection.n_pending += 1
            outcome.add_done_callback(
                lambda future: self._loop.post(partial(self._finish, connection, pcomm, future))
            )
            return b""
        if isinstance(outcome, bytes):
            return outcome
        if isinstance(outcome, dict):
            line = _json_line(outcome)
            if connection.is_control_room:  # it takes whatever arrives for a callback
                self.logger.info("%s: %s", pcomm, line.decode("ascii").rstrip())
                return b""
            return line
        if isinstance(outcome, str):
            self.logger.info("%s: %s", pcomm, outcome)
        return f"OK {pcomm}\n".encode("ascii") if connection.verbose else b""

    def _finish(self, connection: ClientConnection, pcomm: str, future: Future[Any]) -> None:
        """Report how the work of a command has ended."""
        connection.n_pending -= 1
        self._loop.guard(connection, self._answer, connection, pcomm, future.result)

    def _fail(self, connection: ClientConnection, pcomm: str, error: Exception) -> None:
        text = _worded(pcomm, error)
        self.logger.warning("%s (from %s)", text, connection.peer)
        if self.session is not None:
            self.session.note_error(text)
        if connection.verbose:
            self._send(connection, f"ERROR {text}\n".encode("ascii"))
        elif _is_query(pcomm):
            self._send(connection, _json_line({"error": text}))

    def _send(self, connection: ClientConnection, reply: bytes) -> None:
        if reply and not connection.closed:
            connection.send(reply)

    # --- callbacks -----------------------------------------------------------------------------

    def _on_event(self, event: str, _marker: str) -> None:
        """Note an event of the session; called in the session's thread."""
        self._loop.post(partial(self._callbacks.add, event, time.monotonic()))

    def _send_callback(self, now_s: float) -> float:
        message = self._callbacks.take(now_s)
        if message is not None:
            self._send_to_control_room(message)
        wait_s = self._callbacks.wait_s(time.monotonic())
        return STOP_EVENT_CHECK_S if wait_s is None else min(wait_s, STOP_EVENT_CHECK_S)

    def _control_room(self) -> ClientConnection | None:
        """Find the connection that takes callbacks.

        It is the one with the most ``UP`` of late among those that asked for ``GET_PCOMMS``, else
        the oldest: a control room that only connects asks for nothing.
        """
        now_s = time.monotonic()
        alive = [one for one in self._loop.connections if one.ended_s is None]
        asking = [one for one in alive if one.asked_pcomms]
        if asking:
            return max(asking, key=lambda one: one.recent_ups(now_s))
        return alive[0] if alive else None

    def _send_to_control_room(self, message: str) -> None:
        to = self._callbacks_to
        room = self._control_room()
        if to is not None:
            room = next((one for one in self._loop.connections if one.peer == to), None)
            if room is None:
                _send_in_background(to, message, self.logger)
                return
        if room is None:
            self.logger.warning("no control room is connected to take %s", message)
            return
        self.logger.info("callback to %s: %s", room.peer, message)
        self._loop.guard(room, room.send, message.encode("ascii"))


def _send_in_background(address: str, message: str, logger: logging.Logger) -> None:
    """Send a callback to an address that is configured, without making the server wait."""

    def send() -> None:
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), CALLBACK_CONNECT_S) as receiver:
                receiver.sendall(message.encode("ascii"))
        except OSError as error:
            logger.warning("callbacks.to = %s took no %s: %s", address, message, error)
        else:
            logger.info("callback to %s: %s", address, message)

    threading.Thread(target=send, name="callback", daemon=True).start()


def _worded(pcomm: str, error: Exception) -> str:
    """Say in one line of ASCII which command failed, and why."""
    name = pcomm if _PCOMM_NAME.fullmatch(pcomm) else "?"
    words = " ".join(str(error).split())
    if not isinstance(error, BelaError):
        words = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return f"{name}: {words}".encode("ascii", "backslashreplace").decode("ascii")


def _is_query(pcomm: str) -> bool:
    return pcomm in PCOMMS_BY_NAME and PCOMMS_BY_NAME[pcomm].is_query


def _json_line(reply: QueryReply) -> bytes:
    return (json.dumps(to_jsonable_python(reply, inf_nan_mode="null")) + "\n").encode("ascii")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
