"""The PCOMM server: Dareplane's ``DefaultServer`` for several clients, none of which can stop it.

One loop serves all connections, so that nothing a client does makes another wait. Handlers return
at once; what they begin is the session's work, and its end is reported to whoever asked.

A connection that did not ask receives no byte: the control room takes whatever arrives for a
callback. Replies go to queries (``UP``, ``GET_PCOMMS``, ``LIST``, ``STATUS``), and with ``VERBOSE``
one line to each other command. Callbacks go to the control room's connection: the one that asked
for ``GET_PCOMMS`` and has sent the most ``UP`` since, and did not switch ``VERBOSE`` on.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, Final

from dareplane_utils.default_server.server import BUILT_IN_PCOMMS, DefaultServer
from pydantic_core import to_jsonable_python

from api.callbacks import CallbackQueue
from api.connections import Connection
from api.pcomms import Handler, Outcome, Reply, SessionApi, pcommand_map
from bela_module.config import Settings
from bela_module.errors import BelaError, ConfigError, RequestError
from bela_module.requests import Request, VerboseRequest, make_request, parse_fields
from bela_module.validation import shown

_COMMANDS_PER_TURN: Final = 8  # of one connection, before the others have theirs
_MAX_PENDING: Final = 64
_LINGER_S: Final = 5.0
_PCOMM_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,40}")
_QUERIES: Final = frozenset({"UP", "GET_PCOMMS", "LIST", "STATUS"})

SessionMaker = Callable[[], SessionApi]


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
    """

    # What __del__ of the base class finds when __init__ did not come to its end.
    _live = False

    def __init__(
        self, settings: Settings, make_session: SessionMaker, *, name: str = "dp-bela"
    ) -> None:
        super().__init__(
            port=settings.server.port,
            ip=settings.server.ip,
            nlisten=settings.server.max_connections,
            name=name,
            accept_timeout_s=0.1,
            logger=logging.getLogger("api.server"),
        )
        self.settings = settings
        self.session: SessionApi | None = None
        self._make_session = make_session
        self._callbacks = CallbackQueue(settings.callbacks)
        self._connections: list[Connection] = []
        self._selector = selectors.DefaultSelector()
        self._posted: deque[Callable[[], object]] = deque()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._listener: threading.Thread | None = None
        self._live = True

    # --- as the users of DefaultServer know it -------------------------------------------------

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
            server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server_socket.bind((self.ip, self.port))
            server_socket.listen(self.nlisten)
            server_socket.setblocking(False)
        except OSError as error:
            server_socket.close()
            raise ConfigError(
                f"cannot serve at {self.ip}:{self.port}: {error.strerror or error}; "
                "is it in use, or not an address of this machine? Another --port may do"
            ) from error
        self.server_socket = server_socket
        self.port = server_socket.getsockname()[1]
        self.logger.info("listening on %s:%d", self.ip, self.port)
        if not _is_loopback(self.ip):
            self.logger.warning(
                "listening on %s: other machines of the network can command this module", self.ip
            )

    def start_listening(self) -> None:
        """Serve until ``CLOSE`` or the stop event; then the connections are closed.

        Raises
        ------
        Exception
            Whatever making the session raised.
        """
        self._listener = threading.current_thread()
        if self.session is None:
            self.session = self._make_session()
            self.session.subscribe(self._on_event)
            self.pcommand_map = {**pcommand_map(self.session), **self.pcommand_map}
        self._selector.register(self.server_socket, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, self._wake)
        try:
            self.is_listening = True
            while not self.listen_stop_event.is_set():
                self._turn()
        finally:
            self.is_listening = False
            for connection in list(self._connections):
                self._drop(connection)
            self._selector.close()
            self._listener = None

    def stop_soon(self) -> None:
        """Have :meth:`start_listening` return; safe in signal handlers and in any thread."""
        # Not by setting the event here: a signal may arrive while this thread holds its lock.
        self._post(self.listen_stop_event.set)

    def shutdown(self) -> None:
        """End listening, close the session and all sockets; idempotent, from any thread."""
        if not self._live:
            return
        self._live = False
        if hasattr(self, "listen_stop_event"):
            self.stop_soon()
        listener = self._listener
        if listener is not None and listener is not threading.current_thread():
            listener.join(timeout=1.0)
        if self.session is not None:
            self.session.close(timeout_s=0.8)
        super().shutdown()
        self._wake_receiver.close()
        self._wake_sender.close()

    # --- the loop ------------------------------------------------------------------------------

    def _turn(self) -> None:
        for key, events in self._selector.select(self._wait_s()):
            key.data(events)
        while self._posted:
            self._posted.popleft()()
        for connection in list(self._connections):
            self._serve(connection)
        self._send_callback()

    def _wait_s(self) -> float:
        if any(connection.commands for connection in self._connections):
            return 0.0
        wait_s = self._callbacks.wait_s(time.monotonic())
        return self.accept_timeout_s if wait_s is None else min(wait_s, self.accept_timeout_s)

    def _post(self, function: Callable[[], object]) -> None:
        """Have the loop call a function soon; safe in any thread."""
        self._posted.append(function)
        try:
            self._wake_sender.send(b"\0")
        except BlockingIOError:
            return  # so many wake-ups are under way that one more is not needed
        except OSError:
            self._posted.clear()  # the loop has ended

    def _wake(self, _events: int) -> None:
        self._wake_receiver.recv(4096)

    def _accept(self, _events: int) -> None:
        try:
            sock, (host, port) = self.server_socket.accept()
        except OSError as error:  # the client has gone again, or too many files are open
            self.logger.warning("a client could not be accepted: %s", error)
            return
        connection = Connection(sock, f"{host}:{port}")
        limit = self.settings.server.max_connections
        if len(self._connections) >= limit:
            self.logger.warning("refused %s: %d connections are open", connection.peer, limit)
            self._guard(connection, connection.send, b"Refused: too many connections\n")
            connection.close()
            return
        self.logger.info("%s connected", connection.peer)
        self._connections.append(connection)
        self._guard(connection, connection.send, f"Connected to {self.name}\n".encode("ascii"))

    def _ready(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._guard(connection, connection.flush)
        if events & selectors.EVENT_READ and not connection.closed:
            self._guard(connection, connection.receive, time.monotonic())

    def _serve(self, connection: Connection) -> None:
        for _ in range(min(_COMMANDS_PER_TURN, len(connection.commands))):
            if connection.closed:
                return
            self._guard(connection, self._carry_out, connection, connection.commands.popleft())
        if connection.ended_s is not None and not connection.closed:
            lingered = time.monotonic() - connection.ended_s > _LINGER_S
            if connection.is_idle or lingered:
                self._drop(connection, "disconnected")
        if not connection.closed:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Have the selector look at what the connection wants now."""
        wanted = selectors.EVENT_READ if connection.wants_reading else 0
        wanted |= selectors.EVENT_WRITE if connection.wants_writing else 0
        key = self._selector.get_map().get(connection.socket)
        if (key.events if key is not None else 0) == wanted:
            return
        if key is not None:
            self._selector.unregister(connection.socket)
        if wanted:
            self._selector.register(connection.socket, wanted, partial(self._ready, connection))

    def _guard(self, connection: Connection, function: Callable[..., None], *args: Any) -> None:
        """Call a function; should the connection break, only that connection ends."""
        try:
            function(*args)
        except OSError as error:
            self._drop(connection, f"lost: {error.strerror or error}")

    def _drop(self, connection: Connection, reason: str = "") -> None:
        if connection.socket in self._selector.get_map():
            self._selector.unregister(connection.socket)
        if connection in self._connections:
            self._connections.remove(connection)
        connection.close()
        if reason:
            self.logger.info("%s %s", connection.peer, reason)

    # --- commands ------------------------------------------------------------------------------

    def _carry_out(self, connection: Connection, command: str | RequestError) -> None:
        if isinstance(command, RequestError):
            self._fail(connection, "?", command)
            return
        pcomm, _, payload = (part.strip() for part in command.partition("|"))
        if pcomm != "UP":
            level = logging.DEBUG if pcomm in _QUERIES else logging.INFO
            self.logger.log(level, "received %s from %s", shown(command), connection.peer)
        try:
            self._answer(connection, pcomm, self._handle(connection, pcomm, payload))
        except RequestError as error:
            self._fail(connection, pcomm, error)
        except OSError:
            raise  # the connection's, not the handler's: handlers do no I/O
        except Exception as error:
            self.logger.exception("the handler of %s failed", pcomm)
            self._fail(connection, pcomm, error)

    def _handle(self, connection: Connection, pcomm: str, payload: str) -> Outcome | bytes | None:
        """Begin what a command asks for; bytes are a reply as it stands."""
        handler: Handler | None = self.pcommand_map.get(pcomm)
        if handler is not None:
            if connection.n_pending >= _MAX_PENDING:
                raise RequestError(f"{_MAX_PENDING} commands of this connection are under way")
            return handler(**parse_fields(payload))
        if pcomm == "VERBOSE":
            return self._switch_verbose(connection, payload)
        if pcomm not in BUILT_IN_PCOMMS:
            raise RequestError(
                f"unknown PCOMM {shown(pcomm)}; known: {', '.join(self._known_pcomms())}"
            )
        make_request(Request, parse_fields(payload))
        if pcomm == "UP":
            connection.n_ups += 1
            return b"1"
        if pcomm == "GET_PCOMMS":
            connection.asked_pcomms = True
            return "|".join(self._known_pcomms()).encode("ascii")
        if pcomm == "CLOSE":
            self.listen_stop_event.set()
            return 0
        return self._session().stop()

    def _known_pcomms(self) -> list[str]:
        return [*self.pcommand_map, "VERBOSE", *BUILT_IN_PCOMMS]

    def _session(self) -> SessionApi:
        if self.session is None:
            raise RequestError("the session has not been made yet")
        return self.session

    def _switch_verbose(self, connection: Connection, payload: str) -> bytes | None:
        request = make_request(VerboseRequest, parse_fields(payload))
        was_on, connection.verbose = connection.verbose, request.on
        # Its last line, when it is switched off, still answers.
        return b"OK VERBOSE\n" if was_on and not request.on else None

    def _answer(self, connection: Connection, pcomm: str, outcome: Outcome | bytes | None) -> None:
        if isinstance(outcome, Future):
            connection.n_pending += 1
            outcome.add_done_callback(
                lambda future: self._post(partial(self._finish, connection, pcomm, future))
            )
        elif isinstance(outcome, bytes):
            connection.send(outcome)
        elif isinstance(outcome, int | None):
            self._confirm(connection, pcomm)
        else:
            connection.send(_json_line(outcome))

    def _finish(self, connection: Connection, pcomm: str, future: Future[Any]) -> None:
        """Report how the work of a command has ended."""
        connection.n_pending -= 1
        try:
            result = future.result()
        except (BelaError, CancelledError) as error:
            self._guard(connection, self._fail, connection, pcomm, error)
        except Exception as error:
            self.logger.exception("%s failed", pcomm)
            self._guard(connection, self._fail, connection, pcomm, error)
        else:
            if isinstance(result, str):
                self.logger.info("%s: %s", pcomm, result)
                self._guard(connection, self._confirm, connection, pcomm)
            else:
                self._guard(connection, self._answer, connection, pcomm, result)

    def _confirm(self, connection: Connection, pcomm: str) -> None:
        if connection.verbose and not connection.closed:
            connection.send(f"OK {pcomm}\n".encode("ascii"))

    def _fail(self, connection: Connection, pcomm: str, error: BaseException) -> None:
        name = pcomm if _PCOMM_NAME.fullmatch(pcomm) else "?"
        words = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, BelaError):
            words = f"{type(error).__name__}: {words}"
        text = f"{name}: {words}".encode("ascii", "backslashreplace").decode("ascii")
        self.logger.warning("refused or failed, from %s: %s", connection.peer, text)
        if self.session is not None:
            self.session.note_error(text)
        if connection.closed:
            return
        if connection.verbose:
            connection.send(f"ERROR {text}\n".encode("ascii"))
        elif pcomm in _QUERIES:
            connection.send(_json_line({"error": text}))

    # --- callbacks -----------------------------------------------------------------------------

    def _on_event(self, event: str, _marker: str) -> None:
        """Note an event of the session; called in the session's thread."""
        self._post(partial(self._callbacks.add, event))

    def _send_callback(self) -> None:
        message = self._callbacks.take(time.monotonic())
        if message is None:
            return
        room = self._control_room()
        if room is None:
            self.logger.warning("no control room is connected to take %s", message)
            return
        self.logger.info("callback to %s: %s", room.peer, message)
        self._guard(room, room.send, message.encode("ascii"))

    def _control_room(self) -> Connection | None:
        able = [one for one in self._connections if one.asked_pcomms and not one.verbose]
        return max(able, key=lambda one: one.n_ups, default=None)


def _json_line(reply: Reply) -> bytes:
    return (json.dumps(to_jsonable_python(reply, inf_nan_mode="null")) + "\n").encode("ascii")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    import sys

    from api.launch import main

    sys.exit(main(sys.argv[1:]))
