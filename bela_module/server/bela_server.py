"""The PCOMM server: Dareplane's ``DefaultServer`` for several clients at a time.

Handlers return at once; the session does the work, and its result is reported to the client that
sent the command. No client, command or failing handler ends the server.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from dareplane_utils.default_server.server import DefaultServer

from bela_module.checking.check_runner import CheckRunner
from bela_module.config import Settings, with_overrides
from bela_module.errors import BelaError, ConfigError, RequestError
from bela_module.server.callbacks import CallbackSender
from bela_module.server.client_loop import ClientLoop
from bela_module.server.command_dispatch import CommandDispatcher
from bela_module.server.listening_socket import BANNER_START, open_listening_socket
from bela_module.server.pcomms import PcommHandler, PcommOutcome, session_handlers
from bela_module.server.session_api import SessionApi
from bela_module.server.time_limits import LISTENING_END_S, SESSION_CLOSE_S

_BEGINS: Final = frozenset({"PREPARE", "START", "SCHEDULE", "MONITOR"})


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
        self.session_close_s = session_close_s
        self._dispatcher = CommandDispatcher(self.pcommand_map, self._end_listening, self.logger)
        self._loop = ClientLoop(
            f"{BANNER_START}{name}\n".encode("ascii"),
            settings.server.max_connections,
            self._dispatcher.carry_out,
            self._send_callbacks,
            self.logger,
        )
        self._dispatcher.loop = self._loop
        self._callbacks = CallbackSender(settings.callbacks, self._loop, self.logger)
        self._listening_thread: threading.Thread | None = None
        self._checks: CheckRunner | None = None
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
        try:
            self.server_socket = open_listening_socket(self.ip, self.port, self.nlisten)
        except ConfigError as error:
            self.logger.error("%s", error)
            raise
        self.port = self.server_socket.getsockname()[1]
        self.logger.info("listening on %s:%d", self.ip, self.port)
        if not _is_loopback(self.ip):
            self.logger.warning(
                "listening on %s: other machines of the network can command this module", self.ip
            )

    def open_session(self) -> SessionApi:
        """Open the session if it is not open yet, as :meth:`start_listening` does."""
        if self.session is None:
            try:
                session = self._make_session()
            except BelaError as error:
                self.logger.error("%s", error)
                raise
            session.subscribe(self._on_event)
            for pcomm, handler in session_handlers(session).items():
                guarded = partial(self._unless_checking, pcomm, handler)
                self.pcommand_map.setdefault(pcomm, guarded if pcomm in _BEGINS else handler)
            self._checks = CheckRunner(session, partial(self._settings_in_use, session))
            self.pcommand_map.setdefault("CHECK", self._checks.begin)
            self.session = self._dispatcher.session = session
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
                session.close(timeout_s=self.session_close_s)
                return
            self.is_listening = True
            self._loop.run(self.server_socket, self.listen_stop_event.is_set, self._callbacks.flush)
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
        if self._checks is not None:
            self._checks.cancel()
        if self.session is not None:
            self.session.close(timeout_s=self.session_close_s)
        if self._checks is not None:
            self._checks.close(self.session_close_s)
        super().shutdown()
        self._callbacks.close()
        self._loop.close()

    def _unless_checking(
        self, pcomm: str, handler: PcommHandler, /, **payload: object
    ) -> PcommOutcome:
        """Refuse to begin streams while a check has watches of its own, which its end would end."""
        if self._checks is not None and self._checks.is_running:
            raise RequestError(f"a check is running; {pcomm} again when it has ended, in seconds")
        return handler(**payload)

    def _settings_in_use(self, session: SessionApi) -> Settings:
        return with_overrides(session.settings, server={"ip": self.ip, "port": self.port})

    def _end_listening(self) -> None:
        self.listen_stop_event.set()

    def _on_event(self, event: str, _marker: str) -> None:
        """Queue the callback of an event; called in the session's thread."""
        self._loop.post(partial(self._callbacks.add, event, time.monotonic()))

    def _send_callbacks(self, now_s: float) -> float:
        return self._callbacks.send_due(now_s)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
